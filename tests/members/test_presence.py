"""Who is here, pure: what phoenix.js makes of states and diffs, and what can be a meta."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from helix.documents.ids import check_key
from helix.errors import InvalidParameters
from helix.members.presence import (
    MAX_META_BYTES,
    MAX_META_DEPTH,
    Person,
    Presence,
    check_user,
    parse_meta,
)
from tests.support.phoenixpresence import PhoenixPresence

ADA = Person("ada", "tab 1", "Ada", "#ff0000")


def payload(presence: Presence) -> dict[str, Any]:
    """What the next diff tells."""
    diff = presence.diff()
    assert diff is not None
    told: dict[str, Any] = json.loads(diff.payload)
    return told


def state(presence: Presence) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(presence.state())
    return told


def meta(ref: str, client_id: str = "tab 1", **rest: Any) -> dict[str, Any]:
    return {"phx_ref": ref, "client_id": client_id, "name": "Ada", "color": "#ff0000", **rest}


def test_prs2_who_joins_is_told_with_name_and_colour() -> None:
    presence = Presence("p")
    presence.join(1, ADA)
    assert payload(presence) == {"joins": {"ada": {"metas": [meta("p1")]}}, "leaves": {}}
    assert state(presence) == {"ada": {"metas": [meta("p1")]}}
    assert presence.diff() is None


def test_prs5_update_is_one_diff_with_both_refs() -> None:
    presence = Presence("p")
    presence.join(1, ADA)
    presence.diff()
    assert presence.update(1, ADA.meta({"editing": "n1"}))
    new = meta("p2", phx_ref_prev="p1", editing="n1")
    assert payload(presence) == {
        "joins": {"ada": {"metas": [new]}},
        "leaves": {"ada": {"metas": [meta("p1")]}},
    }
    assert state(presence) == {"ada": {"metas": [new]}}


def test_prs5_what_changes_nothing_is_not_told() -> None:
    presence = Presence("p")
    presence.join(1, ADA)
    presence.diff()
    assert not presence.update(1, ADA.meta())
    assert presence.diff() is None


def test_prs6_of_changes_told_together_the_last_counts() -> None:
    presence = Presence("p")
    presence.join(1, ADA)
    presence.diff()
    for number in range(5):
        presence.update(1, ADA.meta({"n": number}))
    told = payload(presence)
    assert told["joins"]["ada"]["metas"] == [meta("p2", phx_ref_prev="p1", n=4)]
    assert told["leaves"]["ada"]["metas"] == [meta("p1")]


def test_prs6_who_comes_and_goes_between_two_diffs_is_not_told() -> None:
    presence = Presence("p")
    presence.join(1, ADA)
    presence.leave(1)
    assert presence.diff() is None
    assert state(presence) == {}


def test_prs6_a_diff_counts_members() -> None:
    presence = Presence("p")
    presence.join(1, ADA)
    presence.join(2, ADA)
    presence.diff()
    presence.update(1, ADA.meta({"n": 1}))
    presence.leave(2)
    diff = presence.diff()
    assert diff is not None
    assert diff.changes == 2


def test_prs1_tabs_of_a_person_are_metas_of_one_key() -> None:
    presence = Presence("p")
    presence.join(1, ADA)
    presence.join(2, Person("ada", "tab 2", "Ada", "#ff0000"))
    told = payload(presence)
    assert told["joins"] == {"ada": {"metas": [meta("p1"), meta("p2", "tab 2")]}}
    presence.leave(1)
    presence.leave(2)
    assert payload(presence) == {"joins": {}, "leaves": told["joins"]}
    assert state(presence) == {}


def test_prs3_state_is_what_was_told() -> None:
    """What is still to be told is in the diff behind it."""
    presence = Presence("p")
    presence.join(1, ADA)
    presence.diff()
    presence.join(2, ADA)
    presence.leave(1)
    assert state(presence) == {"ada": {"metas": [meta("p1")]}}


KEYS = st.sampled_from(["ada", "bob", "7"])


class Telling(RuleBasedStateMachine):
    """Clients that come and lag at any time hold what is so, and see each change as what it is."""

    def __init__(self) -> None:
        super().__init__()
        self.presence = Presence("p")
        self.members: dict[int, Person] = {}
        self.metas: dict[int, dict[str, Any]] = {}
        self.clients: list[PhoenixPresence] = []
        self.lagging: list[PhoenixPresence] = []
        self.count = 0
        self.refs: set[str] = set()

    @rule(key=KEYS)
    def join(self, key: str) -> None:
        self.count += 1
        person = self.members[self.count] = Person(key, f"c{self.count}")
        self.presence.join(self.count, person)
        self.metas[self.count] = json.loads(person.meta())

    @precondition(lambda self: self.members)
    @rule(data=st.data(), value=st.integers(0, 2))
    def update(self, data: st.DataObject, value: int) -> None:
        member = data.draw(st.sampled_from(sorted(self.members)))
        changed = self.members[member].meta({"v": value})
        self.presence.update(member, changed)
        self.metas[member] = json.loads(changed)

    @precondition(lambda self: self.members)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        member = data.draw(st.sampled_from(sorted(self.members)))
        self.presence.leave(member)
        del self.members[member], self.metas[member]

    @rule()
    def newcomer(self) -> None:
        self.clients.append(PhoenixPresence())
        self.clients[-1].receive("presence_state", self.presence.state())

    @precondition(lambda self: self.clients)
    @rule(data=st.data())
    def rejoin(self, data: st.DataObject) -> None:
        client = data.draw(st.sampled_from(self.clients))
        client.rejoin()
        client.receive("presence_state", self.presence.state())

    @precondition(lambda self: self.clients)
    @rule(data=st.data())
    def lag(self, data: st.DataObject) -> None:
        client = data.draw(st.sampled_from(self.clients))
        self.clients.remove(client)
        self.lagging.append(client)

    @precondition(lambda self: self.lagging)
    @rule()
    def drain(self) -> None:
        client = self.lagging.pop()
        client.receive("presence_state", self.presence.state())
        self.clients.append(client)

    @rule()
    def tell(self) -> None:
        before = json.loads(self.presence.state())
        diff = self.presence.diff()
        if diff is None:
            return
        told = json.loads(diff.payload)
        after = json.loads(self.presence.state())
        new = [one["phx_ref"] for key in told["joins"].values() for one in key["metas"]]
        assert not self.refs & set(new)
        self.refs |= set(new)
        assert len(new) == len(set(new))
        for client in self.clients:
            client.calls.clear()
            client.receive("presence_diff", told)
            came = {key for call, key, metas in client.calls if (call, metas) == ("join", 0)}
            went = {key for call, key, metas in client.calls if (call, metas) == ("leave", 0)}
            assert came == set(after) - set(before)
            assert went == set(before) - set(after)
            assert client.state == after

    @invariant()
    def all_know_the_same(self) -> None:
        told = json.loads(self.presence.state())
        for client in self.clients:
            assert client.state == told

    def teardown(self) -> None:
        self.tell()
        told = json.loads(self.presence.state())
        shown = [
            (key, {name: meta[name] for name in meta if not name.startswith("phx_")})
            for key, person in told.items()
            for meta in person["metas"]
        ]
        here = [(self.members[member].key, self.metas[member]) for member in self.members]
        assert sorted(shown, key=str) == sorted(here, key=str)


Telling.TestCase.__name__ = "test_prs3_whatever_the_interleaving_clients_hold_what_is_so"
test_prs3_whatever_the_interleaving_clients_hold_what_is_so = Telling.TestCase


@given(
    diffs=st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=12),
    known=st.integers(0, 12),
)
def test_prs7_diffs_that_a_state_holds_already_do_no_harm(
    diffs: list[tuple[bool, int]], known: int
) -> None:
    """A member that has drained may be told in a diff what it was sent in the state."""
    presence = Presence("p")
    payloads, here = [], set()
    sent = None
    for number, (comes, member) in enumerate(diffs):
        if comes and member not in here:
            presence.join(member, Person(f"k{member % 2}", f"c{member}"))
            here.add(member)
        elif comes:
            presence.update(member, Person(f"k{member % 2}", f"c{member}").meta({"n": number}))
        elif member in here:
            presence.leave(member)
            here.remove(member)
        diff = presence.diff()
        payloads += [diff.payload] if diff is not None else []
        if number == known:
            sent = presence.state()
    client = PhoenixPresence()
    client.receive("presence_state", sent or presence.state())
    for one in payloads:
        client.receive("presence_diff", one)
    assert {key: sorted(map(str, one["metas"])) for key, one in client.state.items()} == {
        key: sorted(map(str, one["metas"])) for key, one in state(presence).items()
    }


@pytest.mark.parametrize(
    "key",
    [
        "", "x" * 256, "é" * 128, "prototype", ".", "..", "__proto__", "constructor", "toString",
        "valueOf", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable", "toLocaleString",
        "__defineGetter__", "__defineSetter__", "__lookupGetter__", "__lookupSetter__",
    ],
)  # fmt: skip
def test_prs1_key_that_cant_be(key: str) -> None:
    with pytest.raises(InvalidParameters, match=r"user\.id"):
        check_key("user.id", key)


@pytest.mark.parametrize("key", ["x", "x" * 255, "é" * 127, "tostring", "7", "..."])
def test_prs1_key_that_can_be(key: str) -> None:
    assert check_key("user.id", key) == key


@pytest.mark.parametrize(
    ("name", "color", "named"),
    [("n" * 256, "", "name"), ("", "c" * 65, "color"), (7, "", "name"), ("", None, "color")],
)
def test_prs4_name_or_colour_that_cant_be_shown(name: object, color: object, named: str) -> None:
    with pytest.raises(InvalidParameters, match=named):
        check_user(name, color)


def nested(depth: int) -> dict[str, Any]:
    """An object of so many levels."""
    return {"a": nested(depth - 1)} if depth > 1 else {}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[]", "object"),
        ("null", "object"),
        ('"x"', "object"),
        ('{"a":1e999}', "out of range"),
        (json.dumps({"a": {"__proto__": 1}}), "/a/__proto__"),
        (json.dumps({"constructor": 1}), "/constructor"),
        (json.dumps(nested(MAX_META_DEPTH + 1)), f"deeper than {MAX_META_DEPTH}"),
        (json.dumps({"phx_ref": "x"}), "phx_ref"),
        (json.dumps({"phx_ref_prev": "x"}), "phx_ref_prev"),
        (json.dumps({"client_id": "x"}), "client_id"),
        (json.dumps({"name": 7}), "name"),
        (json.dumps({"color": None}), "color"),
        *(
            (json.dumps({"selection": odd}), "selection")
            for odd in (5, {}, True, "n1", ["n1", 5], [None])
        ),
        *((json.dumps({"selected": odd}), "selected") for odd in ("5", -1, 0.5, True, [])),
        (json.dumps({"a": "x" * (MAX_META_BYTES - 8)}), f"{MAX_META_BYTES + 1} bytes"),
    ],
)
def test_prs4_meta_that_cant_be(text: str, named: str) -> None:
    with pytest.raises(InvalidParameters) as refused:
        parse_meta(text.encode())
    assert named in refused.value.message


@pytest.mark.parametrize(
    "given_meta",
    [
        {},
        {"selection": ["n1", "n2"], "editing": {"node": "n1", "field": "label"}, "x": None},
        {"selection": [], "selected": 0},
        {"selection": ["n1"], "selected": 20_000, "editing": None},
        {"selection": None, "selected": None},
        {"name": "Countess", "color": "hsl(120 50% 50%)"},
        {"a": "x" * (MAX_META_BYTES - 9)},
        nested(MAX_META_DEPTH),
    ],
)
def test_prs4_meta_that_can_be(given_meta: dict[str, Any]) -> None:
    assert parse_meta(json.dumps(given_meta).encode()) == given_meta


def test_prs2_what_is_pushed_goes_before_what_was_joined_as() -> None:
    shown = json.loads(ADA.meta({"color": "blue", "selection": ["n"]}))
    assert shown == {
        "client_id": "tab 1",
        "name": "Ada",
        "color": "blue",
        "selection": ["n"],
    }
