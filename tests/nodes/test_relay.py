"""What relay members on several nodes are sent. (docs/spec.md, NOD50 to NOD53, REL3)"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from helix.access.roles import Role
from helix.documents.merge_patch import JsonObject
from helix.interfaces import Relayed, Way
from helix.members.relay.audience import MIN_INTERVAL
from helix.members.relay.elsewhere import MAX_COMING, MAX_EDIT_BYTES
from helix.members.relay.repeats import REPEAT_AFTER
from helix.nodes.messages import decode, encode_relayed
from helix.nodes.post import RESERVE_BYTES
from helix.nodes.service import UP_SECONDS
from tests.support.bus import Bus
from tests.support.flowdata import node
from tests.support.heldstore import HeldStore
from tests.support.principals import somebody
from tests.support.world import V2, Client, World
from tests.support.world import decode as read_frame

FLOW = "flow:f"

LATER = 5.0
"""Seconds after which a member surely has what it was sent, and hears again."""


class Relays:
    """
    Two nodes, each with a relay member of the flow ``f``.

    :ivar ada, bob: the members, on ``here`` and ``there``.
    """

    def __init__(self, title: str | None = "Old") -> None:
        self.bus = Bus()
        self.stores = [HeldStore()]
        self.stores.append(HeldStore(self.stores[0]))
        self.worlds = [
            World(store=store, broker=self.bus.broker, seed=seed)
            for seed, store in enumerate(self.stores)
        ]
        self.here, self.there = self.worlds
        if title is not None:
            self.here.library.create({"title": title}, "f")
        self.ada, self.bob = self.join(self.here), self.join(self.there)
        self.bus.sent.clear()

    def join(self, world: World, **params: object) -> Client:
        client = world.client()
        client.join(FLOW, params)
        self.settle(1.0)
        self.settle(LATER)
        client.received()
        return client

    def settle(self, seconds: float = 0.0) -> None:
        for _ in range(4):
            for world in self.worlds:
                world.settle()
        for world in self.worlds:
            world.clock.advance(seconds)
            world.settle()

    def change(self, client: Client, changes: bytes) -> None:
        """Send a change, whose text is sent as it is."""
        ref = client._join_refs[FLOW]
        text = b'["%b","77","%b","flow_change",{"changes":%b}]'
        client.send(text % (ref.encode(), FLOW.encode(), changes))
        self.settle()

    def kinds(self) -> list[str]:
        return [json.loads(message)["kind"] for topic, message in self.bus.sent if topic == "f"]


def updates(client: Client) -> list[bytes]:
    """The changes of the updates that a client was sent since the last look, as they came."""
    found = []
    for first, payload in client.frames():
        message = read_frame(V2, first, payload)
        if message.event == "flow_update":
            found.append(
                message.payload
                if first == 0x82
                else payload.partition(b'{"changes":')[2].rpartition(b',"timestamp":')[0]
            )
    return found


def arrays(*nodes: JsonObject, edges: Sequence[JsonObject] = (), **more: Any) -> bytes:
    """An edit as a client may write it: with spaces, and not in the order of the ids."""
    return json.dumps({"edges": edges, "nodes": nodes, **more}).encode()


@pytest.fixture
def relays() -> Iterator[Relays]:
    relays = Relays()
    yield relays
    for world in relays.worlds:
        world.end()


# NOD50: what is no edit

UNREAD = [
    b"1",
    b'{ "cursor" : [1.0,2e0] }',
    b'"\\ud83d\\ude00 and \\u00e9"',
    '"\u00e9 \U0001f600"'.encode(),
    b'{"nodes": [{"no": "id"}], "edges": []}',
    b'"%b"' % (b"x" * 200_000),
]


@pytest.mark.parametrize("changes", UNREAD, ids=range(len(UNREAD)))
def test_nod50_what_is_no_edit_is_relayed_byte_for_byte_and_once(
    relays: Relays, changes: bytes
) -> None:
    relays.change(relays.ada, changes)
    relays.settle(LATER)
    assert updates(relays.ada) == [changes]
    assert updates(relays.bob) == [changes]
    assert relays.there.flow().log.version == 1


def test_nod50_binary_data_is_relayed(relays: Relays) -> None:
    data = bytes(range(256))
    ref = relays.ada._join_refs[FLOW].encode()
    names = (ref, b"9", FLOW.encode(), b"flow_change")
    head = bytes([0, *map(len, names)])
    relays.ada.send_binary(head + b"".join(names) + data)
    relays.settle()
    assert updates(relays.ada) == updates(relays.bob) == [data]


def test_nod50_members_in_document_mode_get_none(relays: Relays) -> None:
    document = relays.join(relays.there, mode="document", client_id="cy")
    relays.change(relays.ada, b"1")
    assert document.events() == []
    assert updates(relays.bob) == [b"1"]


def test_nod50_what_no_document_can_hold_is_relayed_all_the_same(relays: Relays) -> None:
    odd = arrays(node("n", data={"__proto__": 1}), {"id": 7})
    relays.change(relays.ada, odd)
    relays.settle(LATER)
    assert updates(relays.bob) == updates(relays.ada) == [odd]
    assert relays.there.flow().log.document.content["nodes"] == {"n": node("n")}


def test_nod50_of_who_may_not_edit_all_nothing_is_sent(relays: Relays) -> None:
    viewer = relays.here.client(principal=somebody(Role.VIEWER))
    viewer.join(FLOW)
    relays.settle(LATER)
    relays.bus.sent.clear()
    relays.change(viewer, b"1")
    assert updates(relays.bob) == []
    assert relays.kinds() == []


def test_nod50_a_lone_node_sends_none() -> None:
    bus = Bus()
    alone = World(broker=bus.broker)
    (client,) = alone.members(1)
    alone.clock.pump([1.0] * 20)
    bus.sent.clear()
    client.change(FLOW, 1)
    client.change(FLOW, {"nodes": [node("n")], "edges": []})
    alone.settle()
    assert not bus.sent
    alone.end()


def test_nod50_while_the_broker_is_away_they_are_lost(relays: Relays) -> None:
    relays.bus.set_up(False)
    relays.change(relays.ada, b"1")
    relays.bus.set_up(True)
    relays.settle(LATER)
    assert updates(relays.ada) == [b"1"]
    assert updates(relays.bob) == []


def test_nod50_what_is_larger_than_a_mebibyte_stays_here(relays: Relays) -> None:
    large = b'"%b"' % (b"x" * 1024 * 1024)
    relays.here.service.broadcast("f", large)
    relays.settle()
    assert updates(relays.ada) == [large]
    assert updates(relays.bob) == []


# NOD51: edits


def test_nod51_an_edit_is_sent_as_it_came_once_on_all_nodes(relays: Relays) -> None:
    edit = arrays(node("b"), node("a", selected=True), seen=1)
    store = relays.stores[0]
    store.holding = True
    relays.change(relays.ada, edit)
    store.let_through()
    assert relays.kinds() == ["relay", "entries"]  # so that the document isn't shown before
    relays.settle(LATER)
    assert updates(relays.ada) == updates(relays.bob) == [edit]
    assert relays.there.flow().log.document.content["nodes"].keys() == {"a", "b"}


def test_nod51_one_that_changes_only_somebodys_screen_too(relays: Relays) -> None:
    relays.change(relays.ada, arrays(node("a")))
    relays.settle(LATER)
    updates(relays.bob)
    selection = arrays(node("a", selected=True))
    relays.change(relays.ada, selection)
    relays.settle(LATER)
    assert updates(relays.bob) == [selection]
    assert relays.there.flow().log.version == 2


def test_nod51_edits_by_both_converge(relays: Relays) -> None:
    for number in range(3):
        for name, client in (("a", relays.ada), ("b", relays.bob)):
            nodes = [node(one, position={"x": number, "y": 0}) for one in ("a", "b")]
            if not number and name == "a":
                del nodes[1]
            relays.change(client, arrays(*nodes))
            relays.settle(LATER)
            assert updates(relays.ada)[-1] == updates(relays.bob)[-1] == arrays(*nodes)


def test_nod51_a_merged_edit_is_the_same_on_all_nodes(relays: Relays) -> None:
    relays.change(relays.ada, arrays(node("a"), node("b")))
    relays.settle(LATER)
    eve = relays.join(relays.here)
    updates(relays.ada), updates(relays.bob)
    store = relays.stores[0]
    store.holding = True
    moved = {"x": 7, "y": 0}
    relays.change(relays.ada, arrays(node("a", position=moved), node("b")))
    store.holding = False
    relays.change(eve, arrays(node("b", position=moved), node("a"), seen=1))
    store.let_through()
    relays.settle()
    last = updates(relays.ada)[-1]
    assert {one["id"]: one["position"] for one in json.loads(last)["nodes"]} == {
        "b": moved,
        "a": moved,
    }
    assert last.startswith(b'{"nodes":[{"id":"b"')  # as eve has them
    assert updates(relays.bob)[-1] == last


def test_nod51_a_new_flow_is_shown_as_its_first_edit_came() -> None:
    relays = Relays(title=None)
    empty, edit = arrays(), arrays(node("b"), node("a"))
    relays.change(relays.ada, empty)
    relays.settle(LATER)
    relays.change(relays.ada, edit)
    relays.settle(LATER)
    assert updates(relays.ada) == [empty, edit]
    assert updates(relays.bob) == [empty, edit]
    for world in relays.worlds:
        world.end()


def test_nod51_of_a_large_edit_the_document_is_shown(relays: Relays) -> None:
    edit = arrays(node("b"), node("a", data={"text": "x" * MAX_EDIT_BYTES}))
    relays.change(relays.ada, edit)
    assert relays.kinds() == ["entries"]
    relays.settle(LATER)
    (update,) = updates(relays.bob)
    assert [one["id"] for one in json.loads(update)["nodes"]] == ["a", "b"]


def test_nod51_entries_that_are_read_from_the_store_wait_for_it(relays: Relays) -> None:
    edit = arrays(node("b", data={"text": "x" * 10_000}), node("a"))
    relays.change(relays.ada, edit)
    relays.settle(LATER)
    assert updates(relays.bob) == [edit]


@pytest.mark.parametrize("kind", ["relay", "entries"])
def test_nod51_if_one_message_is_lost_the_document_is_shown(relays: Relays, kind: str) -> None:
    carry = relays.bus.carry

    def lose(sender: Any, topic: str, message: bytes) -> None:
        if json.loads(message)["kind"] != kind:
            carry(sender, topic, message)

    relays.bus.carry = lose  # type: ignore[method-assign]
    edit = arrays(node("b"), node("a"))
    relays.change(relays.ada, edit)
    relays.settle(UP_SECONDS)
    relays.settle(LATER)
    (update,) = updates(relays.bob)
    if kind == "entries":  # it was read, and what is sent is that
        assert update == edit
    else:
        assert [one["id"] for one in json.loads(update)["nodes"]] == ["a", "b"]


def test_nod51_what_shows_another_version_is_not_sent(relays: Relays) -> None:
    relays.change(relays.ada, arrays(node("a")))
    relays.settle(LATER)
    updates(relays.bob)
    log = relays.there.flow().log
    wrong = [
        Relayed(Way.EDITED, b'"old"', log.epoch, 1, log.chain_at(1) or b""),
        Relayed(Way.EDITED, b'"fork"', log.epoch, 2, bytes(8)),
        Relayed(Way.EDITED, b'"other"', "elsewhere", 2, log.chain),
    ]
    for relayed in wrong:
        relays.bus.carry(None, "f", encode_relayed("x", relayed))
    relays.settle(LATER)
    assert updates(relays.bob) == []
    right = Relayed(Way.EDITED, arrays(node("a"), seen=1), log.epoch, 2, log.chain)
    relays.bus.carry(None, "f", encode_relayed("x", right))
    relays.settle(MIN_INTERVAL)
    assert updates(relays.bob) == [right.changes]


def test_nod51_what_is_shown_of_no_flow_yet_is_not_sent_where_it_was_made() -> None:
    """The message that tells of what changed nothing is late, and meets a document."""
    relays = Relays(title=None)
    carry = relays.bus.carry
    late: list[Callable[[], None]] = []

    def hold(sender: Any, topic: str, message: bytes) -> None:
        if not late and json.loads(message)["kind"] == "relay":
            late.append(lambda: carry(sender, topic, message))
        else:
            carry(sender, topic, message)

    relays.bus.carry = hold  # type: ignore[method-assign]
    relays.change(relays.ada, arrays())
    relays.settle(LATER)
    edit = arrays(node("a"))
    relays.change(relays.bob, edit)
    relays.settle(LATER)
    (tell,) = late
    tell()
    relays.settle(LATER)
    assert updates(relays.bob) == [edit]
    assert updates(relays.ada)[-1] == edit
    for world in relays.worlds:
        world.end()


def test_nod51_what_comes_before_its_version_waits_while_others_are_shown(relays: Relays) -> None:
    """What is sent of the second edit overtakes all else."""
    carry, held = relays.bus.carry, []

    def hold(sender: Any, topic: str, message: bytes) -> None:
        if topic == "f" and json.loads(message)["kind"] in ("relay", "entries"):
            held.append(lambda: carry(sender, topic, message))
        else:
            carry(sender, topic, message)

    relays.bus.carry = hold  # type: ignore[method-assign]
    first, second = arrays(node("b"), node("a")), arrays(node("c"), node("b"), node("a"))
    for edit in (first, second):
        relays.change(relays.ada, edit)
    kinds = [json.loads(message)["kind"] for _, message in relays.bus.sent]
    assert not [kind for kind in kinds if kind in ("relay", "entries")]
    assert len(held) == 4  # entries and what is shown, of the first, then of the second
    for number in (3, 0, 1, 2):
        held[number]()
        relays.settle(MIN_INTERVAL)
    assert updates(relays.bob)[-1] == second


def test_nod51_what_waits_for_its_version_is_bounded(relays: Relays) -> None:
    log = relays.there.flow().log
    for version in range(100, 140):
        early = Relayed(Way.EDITED, b"1", log.epoch, version, bytes(8))
        relays.bus.carry(None, "f", encode_relayed("x", early))
    relays.settle()
    assert len(relays.there.flow()._relays._elsewhere._coming) == MAX_COMING


def test_nod51_a_member_that_goes_on_from_what_another_node_was_sent_edits_just_that(
    relays: Relays,
) -> None:
    relays.change(relays.ada, arrays(node("a"), node("b")))
    relays.settle(REPEAT_AFTER)
    moved = node("b", position={"x": 9, "y": 9})
    relays.change(relays.bob, arrays(node("a"), moved))
    entry = relays.there.flow().log.recent(2)[-1]
    assert json.loads(entry.patch)["nodes"] == {"b": {"position": {"x": 9, "y": 9}}}


# the message


@pytest.mark.parametrize(
    "relayed",
    [
        Relayed(Way.UNREAD, b'{"a": "\\u00e9\\ud83d\\ude00"}'),
        Relayed(Way.SHOWN, b"[1, 2]"),
        Relayed(Way.BINARY, b"\0\xff"),
        Relayed(Way.BINARY, b""),
        Relayed(Way.EDITED, b'{"nodes":[]}', "e", 3, b"12345678"),
    ],
    ids=lambda relayed: f"{relayed.way.value}{len(relayed.changes)}",
)
def test_nod50_messages_arrive_as_they_were(relayed: Relayed) -> None:
    assert decode(encode_relayed("n", relayed)) == ("n", "relay", relayed)


# NOD143: what is too much for the broker


def test_nod143_a_broadcast_for_which_there_is_no_room_is_lost_alone(relays: Relays) -> None:
    sender = relays.bus.brokers[0]
    sender.room = RESERVE_BYTES + 2 * sender.max_bytes
    relays.change(relays.ada, b'"%s"' % (b"x" * 12_000))
    relays.change(relays.ada, b"1")
    assert updates(relays.bob) == [b"1"]
    sender.room = RESERVE_BYTES + 3 * sender.max_bytes
    relays.change(relays.ada, b'"%s"' % (b"x" * 12_000))
    assert len(updates(relays.bob)) == 1


def test_nod143_of_edits_only_the_version_is_told_then(relays: Relays) -> None:
    relays.bus.brokers[0].room = RESERVE_BYTES - 1
    relays.here.library.patch("f", {"nodes": {"n1": node("n1")}})
    relays.settle(LATER)
    (message,) = [m for topic, m in relays.bus.sent if topic == "f"]
    assert "entries" not in json.loads(message)
    assert b'"n1"' in updates(relays.bob)[-1]
