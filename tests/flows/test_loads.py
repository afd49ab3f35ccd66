"""Few loads at once, each in its turn; and who reads the same shares it."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from helix.errors import RateLimited
from helix.flows.loads import AT_ONCE, WAITING, WAITING_OF_ONE, Loads
from tests.support.logs import logged
from tests.support.stack import Stack

__all__ = ["logged"]


@attrs.define(eq=False)
class Slow:
    """Loads that end when they are told to; ``begun`` are those under way, and done."""

    loads: Loads = attrs.field(factory=Loads)
    begun: list[str] = attrs.field(factory=list)
    ends: dict[str, Deferred[str]] = attrs.field(factory=dict)
    outcomes: dict[str, Any] = attrs.field(factory=dict)

    def ask(self, name: str, who: str | None) -> Deferred[str]:
        async def load() -> str:
            self.begun.append(name)
            self.ends[name] = Deferred()
            return await self.ends[name]

        asked = self.loads.ask(who, load)
        asked.addBoth(lambda outcome: self.outcomes.update({name: outcome}))
        return asked

    def end(self, name: str) -> None:
        self.ends[name].callback(name)


def test_res29_one_load_of_an_address_at_once_and_two_in_all() -> None:
    slow = Slow()
    for name, who in [("a1", "a"), ("a2", "a"), ("b1", "b"), ("c1", "c"), ("here", None)]:
        slow.ask(name, who)
    assert AT_ONCE == 2
    assert slow.begun == ["a1", "b1"]
    slow.end("b1")
    assert slow.begun == ["a1", "b1", "c1"], "a has one under way"
    slow.end("a1")
    assert slow.begun == ["a1", "b1", "c1", "a2"]
    slow.end("c1")
    assert slow.begun[-1] == "here"
    slow.end("here")
    slow.end("a2")
    assert slow.outcomes == {name: name for name in ["a1", "a2", "b1", "c1", "here"]}


def test_res29_more_than_may_wait_are_refused() -> None:
    slow = Slow()
    for number in range(1 + WAITING_OF_ONE + 1):
        slow.ask(f"a{number}", "a")
    refused = slow.outcomes.pop(f"a{1 + WAITING_OF_ONE}")
    assert isinstance(refused, Failure)
    assert refused.check(RateLimited)
    slow.ask("b", "b")
    assert slow.begun == ["a0", "b"], "others have their turn"
    for number in range(WAITING):
        slow.ask(f"here{number}", None)
    assert sum(isinstance(one, Failure) for one in slow.outcomes.values()) == WAITING_OF_ONE
    for name in slow.begun:
        slow.end(name)
    assert not slow.loads._running


def test_res29_load_that_nobody_waits_for_keeps_its_turn() -> None:
    """Else who asks, leaves and asks again has as many under way as they like."""
    slow = Slow()
    slow.ask("a1", "a").cancel()
    slow.ask("a2", "a")
    slow.ask("a3", "a").cancel()
    assert slow.begun == ["a1"]
    assert slow.outcomes["a1"].check(CancelledError)
    slow.end("a1")
    slow.end("a2")
    assert slow.begun == ["a1", "a2"]
    assert not slow.loads._waiting


def test_res29_load_that_fails_gives_its_turn_on() -> None:
    slow = Slow()
    slow.ask("a1", "a")
    slow.ask("a2", "a")
    slow.ends["a1"].errback(RuntimeError("a fault"))
    assert slow.outcomes["a1"].check(RuntimeError)
    assert slow.begun == ["a1", "a2"]
    slow.end("a2")


# over REST


@pytest.fixture
def loaded(logged: object, monkeypatch: pytest.MonkeyPatch) -> tuple[Stack, list[int | None]]:
    """A server with a flow of three versions that nobody has open, and what is loaded of it."""
    stack = Stack()
    body = json.dumps({"id": "f", "document": {"title": "0"}}).encode()
    stack.request("POST", "/api/flows", [("Content-Type", "application/json")], body)
    for number in (1, 2):
        patch = json.dumps({"title": str(number)}).encode()
        stack.request("PATCH", "/api/flows/f", [("Content-Type", "application/json")], patch)
    stack.clock.pump([0.5] * 30)
    assert stack.sessions.get("f") is None
    loads: list[int | None] = []
    load = stack.store.load

    def watched(flow_id: str, version: int | None = None) -> Any:
        loads.append(version)
        return load(flow_id, version)

    monkeypatch.setattr(stack.store, "load", watched)
    return stack, loads


def test_res29_what_was_read_last_is_not_read_again(loaded: tuple[Stack, list[int | None]]) -> None:
    stack, loads = loaded
    first, again = stack.get("/api/flows/f"), stack.get("/api/flows/f")
    assert first.body == again.body
    assert first.json["document"]["title"] == "2"
    past = [stack.get("/api/flows/f?version=1").json for _ in range(3)]
    assert [one["version"] for one in past] == [1] * 3
    assert {one["title"] for one in past} == {"0"}
    assert loads == [None, 1]
    patch = json.dumps({"title": "3"}).encode()
    stack.request("PATCH", "/api/flows/f", [("Content-Type", "application/json")], patch)
    stack.clock.pump([0.5] * 30)
    del loads[:]
    assert stack.get("/api/flows/f").json["title"] == "3"
    stack.request("DELETE", "/api/flows/f")
    assert stack.get("/api/flows/f").status == 410
    assert stack.get("/api/flows/f?version=1").status == 410
    assert loads == [None]


def test_res29_known_flow_is_not_loaded(loaded: tuple[Stack, list[int | None]]) -> None:
    stack, loads = loaded
    tag = stack.get("/api/flows/f").headers["etag"]
    del loads[:]
    answer = stack.request("GET", "/api/flows/f", [("If-None-Match", tag)])
    assert (answer.status, answer.headers["etag"], answer.body) == (304, tag, b"")
    assert not loads
