"""What members in document mode see of each other, in a world on a clock."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from helix.errors import CloseCode
from helix.members.awareness import MAX_BYTES_PER_SECOND, MAX_GREETING_BYTES, TICK
from helix.members.cursors import Cursors
from helix.members.presence import Presence
from helix.telemetry.metrics import Metrics
from tests.support.phoenixpresence import PhoenixPresence
from tests.support.publicids import Names
from tests.support.world import V1, V2, Client, World

FLOW = "flow:f"

NAMES = Names()

MakeWorld = Callable[..., World]


class Member:
    """
    A client in document mode that keeps what it is told of others, as phoenix.js would.

    :ivar events: all but replies, as they came.
    :ivar cursors: where the others point.
    """

    def __init__(self, world: World, client_id: str, client: Client | None = None, **user: Any):
        self.world = world
        self.client_id = NAMES.learn(client_id)
        self.user = user
        self.client = client or world.client()
        self.presence = PhoenixPresence()
        self.cursors: dict[str, Any] = {}
        self.events: list[str] = []
        self.replies: dict[Any, tuple[str, Any]] = {}
        self.join()

    def join(self, client: Client | None = None) -> None:
        """Join, or join again, perhaps over another connection."""
        self.client = client or self.client
        self.presence.rejoin()
        params = {"mode": "document", "client_id": self.client_id, "user": self.user}
        self.joining = self.client.join(FLOW, params)

    def show(self, meta: Any) -> str:
        return self.client.push(FLOW, "presence", meta)

    def point(self, cursor: Any) -> str:
        return self.client.push(FLOW, "cursor", cursor)

    def look(self) -> list[str]:
        """Take what has arrived; give the new events."""
        new = []
        for message in self.client.received():
            payload = NAMES.read(message.payload)
            if message.event == "phx_reply":
                self.replies[message.ref] = (payload["status"], payload["response"])
                new += ["joined"] if message.ref == self.joining else []
                continue
            new.append(message.event)
            self.presence.receive(message.event, payload)
            if message.event == "cursors":
                self.cursors.update(payload)
        self.events += new
        return new

    def people(self) -> dict[str, list[dict[str, Any]]]:
        """Who is here: the metas by key, without refs."""
        self.look()
        return {
            key: [
                {name: value for name, value in meta.items() if not name.startswith("phx_")}
                for meta in one["metas"]
            ]
            for key, one in self.presence.state.items()
        }

    def reply(self, ref: str) -> tuple[str, Any]:
        self.look()
        return self.replies[ref]


@pytest.fixture
def members(world: World) -> list[Member]:
    """Ada, Bob and Cy, who know each other."""
    made = [Member(world, client_id, name=client_id.title()) for client_id in ("ada", "bob", "cy")]
    rest(world)
    for member in made:
        member.look()
        member.presence.calls.clear()
    return made


def rest(world: World) -> None:
    """Let what is to be told be told, and a tick pass."""
    world.settle()
    world.clock.advance(TICK)
    world.settle()


def looks(members: list[Member]) -> list[list[str]]:
    return [member.look() for member in members]


# presence


def test_prs2_everybody_who_joins_is_present(members: list[Member]) -> None:
    """Without having said anything of themselves, and to themselves too."""
    everybody = {
        name: [{"client_id": name, "name": name.title(), "color": ""}]
        for name in ("ada", "bob", "cy")
    }
    assert [member.people() for member in members] == [everybody] * 3


@pytest.mark.parametrize("serializer", [V1, V2])
def test_prs3_state_follows_the_reply_and_precedes_every_diff(
    world: World, serializer: Any
) -> None:
    early = Member(world, "early")
    rest(world)
    late = Member(world, "late", world.client(serializer))
    later = Member(world, "later")
    rest(world)
    assert late.look() == ["joined", "presence_state"]
    assert later.look() == ["joined", "presence_state"]
    assert early.look() == ["joined", "presence_state", "presence_diff"]
    last = Member(world, "last")
    rest(world)
    assert looks([early, late, later]) == [["presence_diff"]] * 3
    assert last.look() == ["joined", "presence_state"]
    assert last.people() == early.people() == late.people()


def test_prs3_rejoin_on_the_same_socket_is_sent_the_state_again(members: list[Member]) -> None:
    ada, bob, cy = members
    bob.join()
    rest(bob.world)
    assert bob.look() == ["joined", "phx_close", "presence_state"]
    assert bob.people() == ada.people() == cy.people()
    assert all(metas for _, _, metas in ada.presence.calls), "Bob was seen to leave"


def test_prs3_rejoin_while_the_leave_is_under_way(members: list[Member]) -> None:
    """The old connection goes and the new one comes within a tick: nobody sees Bob go."""
    ada, bob, cy = members
    ada.show({"n": 1})
    bob.world.settle()
    bob.client.cut()
    bob.join(bob.world.client())
    rest(bob.world)
    assert bob.look() == ["joined", "presence_state"]
    assert ada.people() == bob.people() == cy.people()
    assert [call for call in cy.presence.calls if call[1] == "bob"] == [
        ("join", "bob", 1),
        ("leave", "bob", 1),
    ]
    assert "bob" not in {key for call, key, metas in bob.presence.calls if not metas}


def test_idn3_client_that_is_back_before_its_old_connection_is_gone(members: list[Member]) -> None:
    """The new one takes the place of the old at once, and others see neither come nor go."""
    ada, bob, cy = members
    old, new = bob.client, bob.world.client()
    bob.join(new)
    rest(bob.world)
    assert [event for event, _ in old.events()] == ["replaced", "phx_close"]
    assert bob.look() == ["joined", "presence_state"]
    assert ada.people() == bob.people() == cy.people()
    assert sorted(bob.people()) == ["ada", "bob", "cy"]
    assert ada.presence.calls == []
    old.cut()
    rest(bob.world)
    assert ada.look() == []
    assert sorted(ada.people()) == ["ada", "bob", "cy"]


def test_idn3_who_is_back_as_somebody_else_leaves_as_who_it_was(members: list[Member]) -> None:
    """The same client under another ``user.id``: one person goes, another comes."""
    ada, bob, _ = members
    bob.point({"x": 1, "y": 1})
    bob.user = {"id": "robert", "name": "Robert"}
    bob.join(bob.world.client())
    rest(bob.world)
    assert sorted(ada.people()) == sorted(bob.people()) == ["ada", "cy", "robert"]
    assert ada.cursors == {"bob": None}


def test_prs1_tabs_of_one_person_that_close_at_once(world: World) -> None:
    watcher = Member(world, "w")
    tabs = [Member(world, f"tab{number}", id="ada", name="Ada") for number in range(2)]
    rest(world)
    assert [meta["client_id"] for meta in watcher.people()["ada"]] == ["tab0", "tab1"]
    watcher.presence.calls.clear()
    for tab in tabs:
        tab.client.cut()
    rest(world)
    assert list(watcher.people()) == ["w"]
    assert watcher.presence.calls == [("leave", "ada", 0)]


def test_prs1_tabs_of_one_person_that_close_one_after_another(world: World) -> None:
    watcher = Member(world, "w")
    tabs = [Member(world, f"tab{number}", id="ada") for number in range(2)]
    rest(world)
    watcher.look()
    watcher.presence.calls.clear()
    for tab in tabs:
        tab.client.leave(FLOW)
        rest(world)
    watcher.look()
    assert watcher.presence.calls == [("leave", "ada", 1), ("leave", "ada", 0)]


@pytest.mark.parametrize(
    ("user", "named"),
    [
        ({"id": "__proto__"}, "user.id"),
        ({"id": "toString"}, "user.id"),
        ({"id": ".."}, "user.id"),
        ({"id": ""}, "user.id"),
        ({"id": 7}, "id"),
        ({"color": "c" * 65}, "color"),
    ],
)
def test_prs1_user_that_cant_be(world: World, user: dict[str, Any], named: str) -> None:
    member = Member(world, "c", **user)
    status, response = member.reply(member.joining)
    assert (status, response["code"]) == ("error", "invalid_parameters")
    assert named in response["reason"]


@pytest.mark.parametrize("client_id", ["constructor", "valueOf", "."])
def test_prs1_client_id_that_cant_be_a_key(world: World, client_id: str) -> None:
    member = Member(world, client_id)
    assert member.reply(member.joining)[0] == "error"


def test_prs4_presence_is_answered_and_shown(members: list[Member]) -> None:
    ada, bob, cy = members
    ref = ada.show({"selection": ["n1"], "editing": {"node": "n1", "field": "label"}})
    rest(ada.world)
    assert ada.reply(ref) == ("ok", {})
    shown = bob.people()["ada"]
    assert shown == [
        {
            "client_id": "ada",
            "name": "Ada",
            "color": "",
            "selection": ["n1"],
            "editing": {"node": "n1", "field": "label"},
        }
    ]
    assert ada.people() == bob.people() == cy.people()


def test_prs4_presence_that_cant_be_changes_nothing(members: list[Member]) -> None:
    ada, bob, _ = members
    before = bob.people()
    refs = [ada.show(meta) for meta in ([], {"phx_ref": "1"}, {"a": "x" * 5000})]
    rest(ada.world)
    answers = [ada.reply(ref) for ref in refs]
    assert {(status, response["code"]) for status, response in answers} == {
        ("error", "invalid_parameters")
    }
    assert bob.people() == before
    assert bob.look() == []


def test_prs5_update_never_looks_like_leave_or_join(members: list[Member]) -> None:
    ada, bob, cy = members
    for number in range(3):
        ada.show({"n": number})
        rest(ada.world)
    assert looks([bob, cy]) == [["presence_diff"] * 3] * 2
    assert bob.presence.calls == [("join", "ada", 1), ("leave", "ada", 1)] * 3


def test_prs6_what_changes_within_a_tick_is_one_diff(members: list[Member]) -> None:
    ada, bob, cy = members
    ada.show({"n": 0})
    ada.world.clock.turn()
    assert looks([bob, cy]) == [["presence_diff"]] * 2
    for number in range(1, 50):
        ada.show({"n": number})
        bob.show({"n": number})
        ada.world.clock.advance(TICK / 100)
    assert cy.look() == []
    rest(ada.world)
    assert cy.look() == ["presence_diff"]
    assert cy.people()["ada"][0]["n"] == cy.people()["bob"][0]["n"] == 49


def test_prs6_what_is_much_is_told_less_often(world: World) -> None:
    """A tick that wrote much is followed by none for as long as that may take."""
    members = [Member(world, f"m{number}") for number in range(100)]
    for _ in range(30):
        rest(world)
    looks(members)

    def everybody_shows(value: int) -> None:
        for member in members:
            member.show({"v": value, "x": "x" * 4000})

    everybody_shows(1)
    world.clock.turn()
    size = max(len(frame) for frame in members[1].client.raw())
    everybody_shows(2)
    pause = size * len(members) / MAX_BYTES_PER_SECOND
    assert pause > 10 * TICK
    world.clock.advance(pause - TICK)
    assert members[1].look() == []
    world.clock.advance(2 * TICK)
    assert members[1].look() == ["presence_diff"]


def test_prs6_a_crowd_is_greeted_in_several_ticks(world: World) -> None:
    crowd = []
    for number in range(20):
        crowd.append(Member(world, f"m{number}"))
        crowd[-1].show({"x": "x" * 4000})
    for _ in range(20):
        rest(world)
    together = [Member(world, f"n{number}") for number in range(60)]
    world.settle()
    greeted = [member for member in together if "presence_state" in member.look()]
    looks(crowd)
    size = len(json.dumps(crowd[0].presence.state))
    assert 0 < len(greeted) <= MAX_GREETING_BYTES / size + 1 < len(together)
    for _ in range(20):
        rest(world)
    looks(together)
    assert all(member.events.count("presence_state") == 1 for member in together)
    assert all(member.people() == crowd[0].people() for member in together)
    assert len(crowd[0].people()) == 80


def test_prs7_lagging_member_gets_the_state_once_it_has_drained(make_world: MakeWorld) -> None:
    world = make_world(high_water_mark=20_000)
    ada, slow = Member(world, "ada"), Member(world, "slow")
    rest(world)
    slow.look()
    slow.client.socket.room = 0
    for number in range(30):
        ada.show({"n": number, "x": "x" * 3000})
        ada.point({"x": number, "y": 0})
        rest(world)
    assert slow.client.lagged == [True]
    ada.show({"n": "last"})
    gone = Member(world, "gone")
    rest(world)
    gone.client.cut()
    rest(world)
    slow.client.socket.room = None
    world.settle()
    new = slow.look()
    assert len(slow.client.socket.taken) == 0
    assert new.count("presence_state") == 1
    assert new.index("presence_state") > max(
        index for index, event in enumerate(new) if event == "presence_diff"
    )
    assert slow.people() == ada.people()
    assert slow.people()["ada"][0]["n"] == "last"


@pytest.mark.parametrize("end", ["leave", "cut", "silent"])
def test_prs8_nobody_stays_as_a_ghost(world: World, members: list[Member], end: str) -> None:
    ada, bob, cy = members
    world.registry.startService()
    ada.point({"x": 1, "y": 2})
    rest(world)
    if end == "leave":
        ada.client.leave(FLOW)
    elif end == "cut":
        ada.client.cut()
    else:
        ada.client.answers_close = True
        for _ in range(70):
            world.clock.advance(1)
            for member in (bob, cy):
                member.client.push("phoenix", "heartbeat")
        assert ada.client.close_code is CloseCode.SILENT
    rest(world)
    for member in (bob, cy):
        assert sorted(member.people()) == ["bob", "cy"]
        assert member.cursors == {"ada": None}


def test_prs8_forced_end_leaves_nothing(world: World, members: list[Member]) -> None:
    members[0].show({"n": 1})
    members[0].point({"x": 1, "y": 1})
    world.service.close("f")
    rest(world)
    assert [one.events[-2:] for one in members if one.look()] == [
        ["session_ended", "phx_error"]
    ] * 3
    assert world.flow() is None


def test_prs8_after_a_crash_the_new_session_has_refs_of_its_own(
    world: World, members: list[Member]
) -> None:
    def refs() -> set[str]:
        state = members[0].presence.state
        return {meta["phx_ref"] for one in state.values() for meta in one["metas"]}

    old = refs()
    assert len(old) == 3
    session = world.flow()
    session.awareness._places = None  # any fault
    members[0].show({"n": 1})
    members[0].look()
    assert members[0].events[-1] == "phx_error"
    assert world.flow() is None
    for member in members:
        member.join()
    rest(world)
    assert all(sorted(member.people()) == ["ada", "bob", "cy"] for member in members)
    assert len(refs()) == 3
    assert not refs() & old
    world.failures.clear()


def test_ses5_fault_in_a_tick_ends_the_session_alone(
    world: World, members: list[Member], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(self: Presence) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(Presence, "diff", fault)
    members[0].show({"n": 1})
    world.settle()
    assert all(member.look()[-1] == "phx_error" for member in members)
    assert world.flow() is None
    world.failures.clear()


def test_prs9_relay_members_are_neither_told_nor_present(world: World) -> None:
    relay = world.client()
    relay.join(FLOW)
    ada = Member(world, "ada")
    rest(world)
    ada.show({"n": 1})
    ada.point({"x": 1, "y": 1})
    rest(world)
    assert [event for event, _ in relay.events()] == ["phx_reply", "client_joined", "client_joined"]
    assert list(ada.people()) == ["ada"]
    for event in ("presence", "cursor"):
        ref = relay.push(FLOW, event, {})
        assert relay.answer(ref) == ("error", {"reason": "Unknown event"})


def test_prs9_presence_told_is_counted(world: World, members: list[Member]) -> None:
    told = world.events("helix.presence.told")
    members[0].show({"n": 1})
    rest(world)
    assert world.events("helix.presence.told")[len(told) :] == [({"changes": 1}, {"flow_id": "f"})]


def test_ops8_metrics_follow_presence_and_cursors(world: World, members: list[Member]) -> None:
    metrics = Metrics(world.telemetry)
    members[0].show({"n": 1})
    for x in range(5):
        members[0].point({"x": x, "y": 0})
    members[1].point({"x": 1, "y": 0})
    rest(world)
    exposed = metrics.exposition().decode().splitlines()
    assert "helix_presence_changes_total 1.0" in exposed
    assert "helix_cursor_moves_total 6.0" in exposed
    assert "helix_cursors_told_total 2.0" in exposed


# cursors


def test_cur1_cursor_reaches_the_others_without_a_reply(members: list[Member]) -> None:
    ada, bob, cy = members
    ref = ada.point({"x": 1.5, "y": 2, "moving": {"n": {"x": 3, "y": 4}}})
    rest(ada.world)
    assert looks([bob, cy]) == [["cursors"]] * 2
    assert bob.cursors == {"ada": {"x": 1.5, "y": 2, "moving": {"n": {"x": 3, "y": 4}}}}
    ada.look()
    assert ref not in ada.replies


def test_cur2_cursor_that_cant_be_is_answered_and_told_to_nobody(members: list[Member]) -> None:
    ada, bob, _ = members
    ref = ada.point({"x": 1})
    rest(ada.world)
    status, response = ada.reply(ref)
    assert (status, response["code"], response["retry"]) == ("error", "invalid_parameters", False)
    assert bob.look() == []


def test_cur3_all_that_move_are_in_one_frame_thirty_times_a_second(members: list[Member]) -> None:
    world = members[0].world
    steps = 600
    for step in range(steps):
        for member in members:
            member.point({"x": step, "y": 0})
        world.clock.advance(1 / steps)
        world.clock.turn()
    for member in members:
        new = member.look()
        assert set(new) == {"cursors"}
        assert 25 <= len(new) <= 31
    rest(world)
    looks(members)
    assert members[0].cursors == {name: {"x": steps - 1, "y": 0} for name in ("ada", "bob", "cy")}
    (moves, cursors) = (
        sum(values[name] for values, _ in world.events("helix.cursors.told"))
        for name in ("moves", "cursors")
    )
    assert moves == 3 * steps
    assert 75 <= cursors <= 96


def test_cur3_the_first_after_a_rest_is_told_at_once(members: list[Member]) -> None:
    ada, bob, _ = members
    ada.world.clock.advance(1)
    ada.point({"x": 1, "y": 1})
    ada.world.clock.turn()
    assert bob.look() == ["cursors"]


def test_cur3_nothing_is_told_when_nobody_moves(members: list[Member]) -> None:
    ada, bob, _ = members
    ada.point({"x": 1, "y": 1})
    rest(ada.world)
    looks(members)
    ada.point({"x": 1, "y": 1})
    for _ in range(10):
        rest(ada.world)
    assert looks(members) == [[], [], []]
    assert bob.cursors == {"ada": {"x": 1, "y": 1}}


def test_cur3_one_who_is_alone_is_told_nothing(world: World) -> None:
    ada = Member(world, "ada")
    rest(world)
    ada.look()
    ada.point({"x": 1, "y": 1})
    rest(world)
    assert ada.look() == []
    bob = Member(world, "bob")
    rest(world)
    assert bob.look() == ["joined", "presence_state", "cursors"]
    assert bob.cursors == {"ada": {"x": 1, "y": 1}}


def test_cur4_gone_is_null(members: list[Member]) -> None:
    ada, bob, cy = members
    for member in (ada, bob):
        member.point({"x": 1, "y": 1})
    rest(ada.world)
    ada.point({})
    bob.client.cut()
    rest(ada.world)
    cy.look()
    assert cy.cursors == {"ada": None, "bob": None}


def test_cur4_the_dead_connection_of_a_client_takes_no_cursor_with_it(
    members: list[Member],
) -> None:
    ada, bob, cy = members
    bob.point({"x": 1, "y": 1})
    rest(ada.world)
    old = bob.client
    bob.join(bob.world.client())
    bob.point({"x": 2, "y": 2})
    rest(ada.world)
    old.cut()
    rest(ada.world)
    cy.look()
    assert cy.cursors["bob"] == {"x": 2, "y": 2}


def test_cur5_who_joins_is_sent_the_cursors_that_there_are(members: list[Member]) -> None:
    ada, bob, _ = members
    ada.point({"x": 1, "y": 1})
    bob.point({"x": 2, "y": 2})
    bob.point({})
    rest(ada.world)
    late = Member(ada.world, "late")
    rest(ada.world)
    assert late.look() == ["joined", "presence_state", "cursors"]
    assert late.cursors == {"ada": {"x": 1, "y": 1}}


def test_cur6_lagging_member_gets_what_is_current_once_it_has_drained(
    make_world: MakeWorld,
) -> None:
    world = make_world(high_water_mark=20_000)
    ada, bob, slow = (Member(world, name) for name in ("ada", "bob", "slow"))
    rest(world)
    bob.point({"x": 1, "y": 1})
    rest(world)
    slow.look()
    slow.client.socket.room = 0
    ada.client.push(FLOW, "patch", {"op_id": 1, "patch": {"data": {"text": "x" * 60_000}}})
    rest(world)
    assert slow.client.lagged == [True]
    taken = len(slow.client.socket.taken)
    bob.point({})
    for number in range(100):
        ada.point({"x": number, "y": 0})
        rest(world)
    assert len(slow.client.socket.taken) == taken
    slow.client.socket.room = None
    world.settle()
    assert slow.look() == ["entries", "cursors"]
    assert slow.cursors == {"ada": {"x": 99, "y": 0}, "bob": None, "slow": None}


def test_cur7_cursors_are_not_stored(members: list[Member]) -> None:
    ada = members[0]
    ada.point({"x": 1, "y": 1, "moving": {"n": {"x": 1, "y": 1}}})
    rest(ada.world)
    log = ada.world.flow().log
    assert (log.version, log.is_stored) == (0, False)


@pytest.mark.parametrize("end", ["close", "drain", "crash"])
def test_ses4_no_tick_is_left_when_a_session_ends(
    world: World, members: list[Member], end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The world sees that no timer is left."""
    members[0].point({"x": 1, "y": 1})
    world.settle()
    members[0].point({"x": 2, "y": 2})
    members[1].show({"n": 2})
    session = world.flow()
    timer = session.awareness._timer
    assert timer.active()
    if end == "close":
        world.service.close("f")
    elif end == "drain":
        world.service.stopService()
    else:
        monkeypatch.setattr(Cursors, "move", None)
        members[0].point({"x": 3, "y": 3})
        world.failures.clear()
    assert not timer.active()
    assert session.end_reason is not None


def test_ses3_who_is_seen_to_move_keeps_the_session(make_world: MakeWorld) -> None:
    world = make_world(idle_timeout=60.0)
    ada, _ = Member(world, "ada"), Member(world, "bob")
    rest(world)
    session = world.flow()
    for second in range(100):
        ada.point({"x": second, "y": 0})
        world.clock.advance(1)
    assert world.flow() is session
    world.clock.advance(61)
    world.settle()
    assert world.flow() is None
