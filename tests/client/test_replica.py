"""The client's copy of a flow: what is confirmed, and its own patches on top. (PYC1, PYC2, PYC6)"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helix.client.replica import FlowEntry, Gap, Operation, Replica
from helix.delivery.protocol import encode_json
from helix.documents.document import DocumentLimits, FlowDocument, encode_document
from helix.documents.text_merge import merge_patch
from helix.errors import HelixError, InvalidPatch, TooManyPending
from tests.support.flowdata import FLOW_PATCHES, by_id, chain, edge, node

ADD_N1 = {"nodes": {"n1": node("n1")}}


def move(node_id: str, x: int) -> dict[str, Any]:
    return {"nodes": {node_id: {"position": {"x": x}}}}


START = {
    "nodes": by_id(*map(node, ("n1", "n2", "n3"))),
    "edges": by_id(edge("e1", "n1", "n2"), edge("e2", "n2", "n3")),
}


class LogKeeper:
    """The server's part, without a wire."""

    def __init__(self) -> None:
        self.document = FlowDocument.empty()
        self.log: list[FlowEntry] = []
        self.known: dict[tuple[str, int], int] = {}

    def take(
        self, client_id: str, op_id: int, patch: Any, bases: Mapping[str, str] | None = None
    ) -> int:
        """Take a patch or recognise it, and say at which version the log holds it."""
        if (client_id, op_id) in self.known:
            return self.known[client_id, op_id]
        effective = self.document.stage(merge_patch(self.document.content, patch, bases or {}))
        if effective:
            self.document.apply(effective)
            entry = FlowEntry(len(self.log) + 1, effective, 0.0, "", client_id, op_id)
            self.log.append(copy.deepcopy(entry))
        self.known[client_id, op_id] = len(self.log)
        return len(self.log)

    def at(self, version: int) -> FlowDocument:
        document = FlowDocument.empty()
        for entry in self.log[:version]:
            document.apply(entry.patch)
        return document


@attrs.define(eq=False)
class Peer:
    """A replica, and what is under way between it and the server."""

    server: LogKeeper
    replica: Replica
    up: deque[tuple[int, Any, Mapping[str, str]]] = attrs.field(factory=deque)
    down: deque[tuple[str, Any]] = attrs.field(factory=deque)
    heard: int = 0
    durable: dict[int, int] = attrs.field(factory=dict)
    refused: set[int] = attrs.field(factory=set)

    def edit(self, patch: Any, is_text: bool = False) -> None:
        self.send(self.replica.submit(patch, is_text=is_text))

    def send(self, op: Operation) -> None:
        op.was_sent = True
        self.up.append((op.op_id, op.patch, op.bases))


def make_peer(server: LogKeeper, name: str) -> Peer:
    peer = Peer(server, Replica(name))
    peer.replica.adopt("e", len(server.log), copy.deepcopy(server.document.content))
    peer.heard = len(server.log)
    return peer


class Net:
    """Three peers of one server; every message waits until it is let through."""

    def __init__(self) -> None:
        self.server = LogKeeper()
        self.server.take("nobody", 1, START)
        self.peers = [make_peer(self.server, name) for name in "abc"]

    def edit(self, at: int, patch: Any) -> None:
        self.peers[at].edit(patch)

    def write(self, at: int, words: str, is_behind: bool) -> None:
        """A peer writes in the title, before or behind what it shows there."""
        document = self.peers[at].replica.document
        assert document is not None
        there = document["title"]
        self.peers[at].edit({"title": there + words if is_behind else words + there}, is_text=True)

    def up(self, at: int, ack_first: bool) -> None:
        """The server takes the next patch of a peer, and tells everybody."""
        peer = self.peers[at]
        if not peer.up:
            return
        op_id, patch, bases = peer.up.popleft()
        try:
            version = self.server.take(peer.replica.client_id, op_id, patch, bases)
        except HelixError:
            peer.down.append(("refuse", op_id))
            return
        if ack_first:
            peer.down.append(("ack", (op_id, version)))
        for each in self.peers:
            self.tell(each)
        if not ack_first:
            peer.down.append(("ack", (op_id, version)))

    def tell(self, peer: Peer) -> None:
        if news := self.server.log[peer.heard :]:
            peer.down.append(("entries", copy.deepcopy(news)))
            peer.heard = len(self.server.log)

    def down(self, at: int) -> None:
        """A peer takes the next message."""
        peer = self.peers[at]
        if not peer.down:
            return
        kind, what = peer.down.popleft()
        if kind == "entries":
            for op in peer.replica.receive(what)[1]:
                peer.durable[op.op_id] = op.durable_at or 0
        elif kind == "ack":
            op = peer.replica.acknowledge(*what)
            if op is not None:
                peer.durable[op.op_id] = op.durable_at or 0
        elif kind == "refuse":
            assert peer.replica.refuse(what) is not None
            peer.refused.add(what)
        else:
            peer.replica.adopt("e", *what)

    def rejoin(self, at: int, whole: bool) -> None:
        """A peer loses all that is under way, joins again, and sends its patches again."""
        peer = self.peers[at]
        peer.up.clear()
        peer.down.clear()
        peer.heard = peer.replica.version
        if whole:
            content = copy.deepcopy(self.server.document.content)
            peer.down.append(("document", (len(self.server.log), content)))
            peer.heard = len(self.server.log)
        else:
            self.tell(peer)
        for op in peer.replica.unconfirmed:
            peer.send(op)

    def check(self) -> None:
        """What each shows is what it confirmed and, on top, what it waits for."""
        for peer in self.peers:
            expected = self.server.at(peer.replica.version)
            for op in peer.replica.operations:
                try:
                    effective = expected.stage(op.merged(expected.content))
                except HelixError:
                    continue
                expected.apply(effective)
            assert peer.replica.document is not None
            assert encode_document(peer.replica.document) == encode_document(expected.content)

    def settle(self) -> None:
        for _ in range(2):
            for at, peer in enumerate(self.peers):
                self.rejoin(at, whole=False)
                while peer.up:
                    self.up(at, ack_first=True)
            for at, peer in enumerate(self.peers):
                while peer.down:
                    self.down(at)


PEERS = st.integers(0, 2)
STEPS = st.lists(
    st.tuples(st.just("edit"), PEERS, FLOW_PATCHES)
    | st.tuples(st.just("write"), PEERS, st.sampled_from(["a ", "b ", "c"]), st.booleans())
    | st.tuples(st.sampled_from(["up", "rejoin"]), PEERS, st.booleans())
    | st.tuples(st.just("down"), PEERS),
    max_size=40,
)


@given(STEPS)
@settings(max_examples=150)
def test_pyc1_replicas_converge_whatever_is_lost_or_late(steps: list[tuple[Any, ...]]) -> None:
    net = Net()
    submitted = [0, 0, 0]
    for name, at, *arguments in steps:
        submitted[at] += name in ("edit", "write")
        getattr(net, name)(at, *arguments)
        net.check()
    net.settle()
    net.check()
    named = [(entry.client_id, entry.op_id) for entry in net.server.log]
    assert len(named) == len(set(named)), "a patch is in the log twice"
    for at, peer in enumerate(net.peers):
        replica = peer.replica
        assert not replica.operations
        assert replica.document == net.server.document.content
        assert peer.durable.keys() | peer.refused == set(range(1, submitted[at] + 1))
        for op_id, version in peer.durable.items():
            assert version == net.server.known[replica.client_id, op_id]


# one thing at a time


def replica_with(*patches: Any) -> Replica:
    """A replica called ``a`` that has taken these patches of somebody else's."""
    replica = Replica("a")
    replica.adopt("e", 0, FlowDocument.empty().content)
    replica.receive([FlowEntry(n, patch) for n, patch in enumerate(patches, 1)])
    return replica


def shown(replica: Replica, node_id: str = "n1") -> Any:
    assert replica.document is not None
    return replica.document["nodes"].get(node_id)


def test_pyc1_patch_shows_at_once_and_stays() -> None:
    replica = replica_with(ADD_N1)
    op = replica.submit(move("n1", 5))
    assert shown(replica)["position"]["x"] == 5
    assert replica.version == 1
    assert replica.acknowledge(op.op_id, 2) is op
    assert replica.operations == [op]  # its entry has not come
    replica.receive([FlowEntry(2, move("n1", 5), client_id="a", op_id=op.op_id)])
    assert replica.operations == []
    assert shown(replica)["position"]["x"] == 5


def test_pyc1_own_patch_stays_on_top_of_others() -> None:
    replica = replica_with(ADD_N1)
    replica.submit(move("n1", 5))
    replica.receive([FlowEntry(2, move("n1", 7))])
    assert shown(replica)["position"]["x"] == 5
    replica.refuse(1)
    assert shown(replica)["position"]["x"] == 7


def test_pyc1_patch_of_what_somebody_deletes_is_shown_no_more() -> None:
    replica = replica_with(ADD_N1)
    replica.submit(move("n1", 5))
    replica.receive([FlowEntry(2, {"nodes": {"n1": None}})])
    assert shown(replica) is None
    assert [op.op_id for op in replica.unconfirmed] == [1]
    replica.receive([FlowEntry(3, ADD_N1)])
    assert shown(replica)["position"]["x"] == 5


def test_pyc1_patch_that_the_document_cant_take_is_kept_unseen() -> None:
    replica = replica_with()
    op = replica.submit({"nodes": {"n1": {"id": "n1"}}})
    assert shown(replica) is None
    assert replica.unconfirmed == [op]


def test_pyc1_edge_to_a_node_that_comes_later_is_shown_then() -> None:
    replica = replica_with(ADD_N1)
    replica.submit({"edges": {"e": edge("e", "n1", "n2")}})
    assert replica.document is not None
    assert replica.document["edges"] == {}
    replica.receive([FlowEntry(2, {"nodes": {"n2": node("n2")}})])
    assert replica.document["edges"].keys() == {"e"}


def test_pyc1_edge_of_another_to_a_node_deleted_here() -> None:
    replica = replica_with({"nodes": by_id(node("n1"), node("n2"))})
    replica.submit({"nodes": {"n1": None}})
    replica.receive([FlowEntry(2, {"edges": {"e": edge("e", "n1", "n2")}})])
    assert replica.document is not None
    assert replica.document["edges"] == {}
    replica.refuse(1)
    assert replica.document["edges"].keys() == {"e"}


def test_pyc1_edge_of_a_node_deleted_here_that_another_changes() -> None:
    replica = replica_with(START)
    replica.submit({"nodes": {"n1": None}})
    replica.receive([FlowEntry(2, {"edges": {"e1": {"label": "new"}}})])
    assert replica.document is not None
    assert replica.document["edges"].keys() == {"e2"}
    replica.refuse(1)
    assert replica.document["edges"]["e1"] == edge("e1", "n1", "n2", label="new")


def test_pyc1_own_entry_that_is_not_what_was_shown() -> None:
    replica = replica_with(ADD_N1)
    replica.submit({"title": "mine", "nodes": {"n1": {"position": {"x": 5}}}})
    replica.receive([FlowEntry(2, {"title": "mine"}, client_id="a", op_id=1)])
    assert replica.document is not None
    assert replica.document["title"] == "mine"
    assert shown(replica)["position"]["x"] == 0


def test_pyc1_own_entry_before_one_of_an_earlier_patch() -> None:
    replica = replica_with()
    replica.submit({"title": "first"})
    replica.submit({"title": "second"})
    replica.receive([FlowEntry(1, {"title": "second"}, client_id="a", op_id=2)])
    assert replica.document is not None
    assert replica.document["title"] == "first"  # it is still to come
    replica.refuse(1)
    assert replica.document["title"] == "second"


def test_pyc2_own_entry_before_the_acknowledgement() -> None:
    replica = replica_with(ADD_N1)
    op = replica.submit(move("n1", 5))
    _, settled = replica.receive([FlowEntry(2, move("n1", 5), client_id="a", op_id=1)])
    assert settled == [op]
    assert op.durable_at == 2
    assert replica.acknowledge(1, 2) is None


def test_pyc2_acknowledged_without_an_entry() -> None:
    """It changed nothing at version 2; what is shown of it ends when that version is there."""
    replica = replica_with(ADD_N1)
    replica.submit(move("n1", 5))
    replica.acknowledge(1, 2)
    replica.receive([FlowEntry(2, move("n1", 5)), FlowEntry(3, move("n1", 6))])
    assert replica.operations == []
    assert shown(replica)["position"]["x"] == 6


def test_pyc2_entry_of_another_client_with_the_same_op_id() -> None:
    replica = replica_with(ADD_N1)
    replica.submit(move("n1", 5))
    _, settled = replica.receive([FlowEntry(2, move("n1", 7), client_id="b", op_id=1)])
    assert settled == []


def test_pyc6_known_entries_are_skipped() -> None:
    replica = replica_with(ADD_N1, move("n1", 5))
    new, _ = replica.receive([FlowEntry(2, move("n1", 9)), FlowEntry(3, move("n1", 6))])
    assert [entry.version for entry in new] == [3]
    assert shown(replica)["position"]["x"] == 6


@pytest.mark.parametrize("versions", [[3], [2, 4], [2, 2], [5, 2]])
def test_pyc6_gap_takes_nothing(versions: list[int]) -> None:
    replica = replica_with(ADD_N1)
    before = encode_json(replica.document)
    with pytest.raises(Gap):
        replica.receive([FlowEntry(version, move("n1", version)) for version in versions])
    assert replica.version == 1
    assert encode_json(replica.document) == before


def test_pyc6_whole_document_keeps_what_is_not_confirmed() -> None:
    replica = replica_with(ADD_N1)
    replica.submit(move("n1", 5))
    replica.submit({"title": "mine"})
    replica.acknowledge(1, 9)
    content = FlowDocument.empty().content | {"nodes": by_id(node("n1"), node("n2"))}
    replica.adopt("another", 4, content)
    assert (replica.epoch, replica.version) == ("another", 4)
    assert [op.op_id for op in replica.operations] == [2]
    assert replica.document is not None
    assert replica.document["title"] == "mine"
    assert shown(replica)["position"]["x"] == 0


def test_pyc9_patches_that_cant_be_are_refused_at_once() -> None:
    replica = replica_with()
    for patch in ({"nope": 1}, {"nodes": []}, {"data": {"x": float("nan")}}, [], None):
        with pytest.raises(InvalidPatch):
            replica.submit(patch)
    assert replica.operations == []
    assert replica.newest_op == 0


def test_pyc9_what_json_cant_tell_is_refused_with_its_path() -> None:
    cycle: dict[str, Any] = {}
    cycle["again"] = cycle
    deep: dict[str, Any] = {}
    for _ in range(10_000):
        deep = {"a": deep}
    untold = [{1}, datetime.now(UTC), b"x", (1, 2), Decimal(1), print, 1j, cycle, deep]
    for value in untold:
        replica = Replica("me")
        with pytest.raises(InvalidPatch, match=r"^/nodes/n1/data/x"):
            replica.submit({"nodes": {"n1": {"data": {"x": value}}}})
        assert replica.operations == []


def test_pyc9_patch_is_copied() -> None:
    replica = replica_with()
    patch = {"data": {"a": [1]}}
    replica.submit(patch)
    patch["data"]["a"].append(2)
    assert replica.document is not None
    assert replica.document["data"] == {"a": [1]}
    assert replica.operations[0].patch == {"data": {"a": [1]}}


def test_pyc9_patches_that_wait_are_bounded_in_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("helix.client.replica.MAX_PENDING", 3)
    replica = replica_with()
    for n in range(3):
        replica.submit({"title": str(n)})
    with pytest.raises(TooManyPending):
        replica.submit({"title": "more"})
    replica.refuse(1)
    replica.submit({"title": "more"})


def test_pyc9_patches_that_wait_are_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("helix.client.replica.MAX_PENDING_BYTES", 100)
    replica = replica_with()
    replica.submit({"title": "x" * 60})
    with pytest.raises(TooManyPending):
        replica.submit({"title": "x" * 60})
    replica.acknowledge(1, 0)
    replica.submit({"title": "x" * 60})


def test_pyc9_limits_of_the_server_hold_for_what_is_shown() -> None:
    replica = replica_with()
    replica.limit(DocumentLimits(max_members=0))
    replica.submit(ADD_N1)
    assert shown(replica) is None


def test_pyc13_entries_elsewhere_leave_what_waits_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    replica = Replica("a")
    replica.adopt("e", 0, chain(50).content)
    for n in range(20):
        replica.submit(move(f"n{n}", 5))
    staged: list[Any] = []
    stage = FlowDocument.stage
    monkeypatch.setattr(FlowDocument, "stage", lambda *a, **kw: staged.append(a) or stage(*a, **kw))
    replica.receive([FlowEntry(1, move("n40", 1)), FlowEntry(2, {"title": "t"})])
    replica.receive([FlowEntry(3, move("n0", 5), client_id="a", op_id=1)])
    assert staged == []
    replica.receive([FlowEntry(4, move("n1", 9))])
    assert len(staged) == 1
    assert shown(replica, "n1")["position"]["x"] == 5


def test_pyc1_grp2_a_ring_is_seen_though_its_halves_have_no_node_in_common() -> None:
    nodes = by_id(node("a"), node("b", parentId="d"), node("d"), node("x", parentId="a"))
    replica = replica_with({"nodes": nodes})
    replica.submit({"nodes": {"a": {"parentId": "b"}}})
    assert shown(replica, "a")["parentId"] == "b"
    replica.receive([FlowEntry(2, {"nodes": {"d": {"parentId": "x"}}})])
    assert shown(replica, "d")["parentId"] == "x"
    assert "parentId" not in shown(replica, "a")


def test_pyc1_grp4_what_a_deletion_frees_follows_what_it_lay_in() -> None:
    nodes = by_id(node("a"), node("b", parentId="a"), node("c", parentId="b"))
    replica = replica_with({"nodes": nodes})
    replica.submit({"nodes": {"b": None}})
    replica.receive([FlowEntry(2, move("a", 100))])
    assert shown(replica, "c")["position"]["x"] == 100
