"""Requests that wait until it is known who makes them. (ACC12)"""

from __future__ import annotations

import json
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.logger import globalLogPublisher
from zope.interface import implementer

from helix.access.principal import Kind, Principal
from helix.errors import KeysUnavailable, TokenRefused
from helix.interfaces import Credentials, IAuthenticator
from tests.support.logs import Log, logged
from tests.support.memory_clients import MemoryConnection
from tests.support.rawsocket import TEXT, build_frame
from tests.support.stack import Stack

__all__ = ["logged"]

ALICE = Principal("alice", kind=Kind.PERSON, is_admin=True)


@implementer(IAuthenticator)
class Slow:
    """
    Answers when a test says so, or at once.

    :ivar waiting: those who have no answer yet.
    :ivar at_once: the answer to the next ones, if they needn't wait.
    """

    def __init__(self) -> None:
        self.waiting: list[Deferred[Principal]] = []
        self.cancelled = 0
        self.at_once: Deferred[Principal] | None = None

    def authenticate(self, credentials: Credentials) -> Deferred[Principal]:
        if self.at_once is not None:
            return self.at_once
        one: Deferred[Principal] = Deferred(self._cancel)
        self.waiting.append(one)
        return one

    def _cancel(self, one: Deferred[Principal]) -> None:
        self.cancelled += 1
        self.waiting.remove(one)


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
def stack(slow: Slow) -> Stack:
    return Stack(authenticator=slow)


def polling(stack: Stack) -> MemoryConnection:
    connection = stack.connect()
    connection.request("GET", "/socket/longpoll?vsn=2.0.0")
    return connection


def checking(stack: Stack) -> MemoryConnection:
    connection = stack.connect()
    connection.request("POST", "/socket/check?vsn=2.0.0", (), b"{}")
    return connection


def listing(stack: Stack) -> MemoryConnection:
    connection = stack.connect()
    connection.request("GET", "/api/sessions")
    return connection


DOORS = {
    "socket": lambda stack: stack.upgrade(),
    "polling": polling,
    "check": checking,
    "rest": listing,
}

each_door = pytest.mark.parametrize("door", DOORS)


@each_door
def test_acc12_who_waits_is_served_then(stack: Stack, slow: Slow, door: str) -> None:
    waits: Any = DOORS[door](stack)
    assert waits.transport.value() == b""
    slow.waiting.pop().callback(ALICE)
    slow.at_once = succeed(ALICE)
    at_once: Any = DOORS[door](stack)
    late, soon = waits.transport.value(), at_once.transport.value()
    assert late.split(b"\r\n")[0] == soon.split(b"\r\n")[0] != b""
    if door == "socket":
        for socket in (waits, at_once):
            socket.send(build_frame(TEXT, b'[null,"7","phoenix","heartbeat",{}]'))
            assert b'"status":"ok"' in socket.transport.value()
    elif door != "polling":  # where each session has a name of its own
        assert late == soon


@each_door
@pytest.mark.parametrize("error", [TokenRefused("no"), KeysUnavailable()])
def test_acc12_who_waits_is_refused_then(
    stack: Stack, slow: Slow, door: str, error: Exception
) -> None:
    waits: Any = DOORS[door](stack)
    slow.waiting.pop().errback(error)
    slow.at_once = fail(error)
    at_once: Any = DOORS[door](stack)
    assert waits.transport.value() == at_once.transport.value() != b""
    assert len(stack.clients) == 0


@each_door
def test_acc12_nothing_is_done_for_who_is_gone(
    stack: Stack, slow: Slow, door: str, logged: Log
) -> None:
    waits: Any = DOORS[door](stack)
    waits.lose()
    assert (slow.cancelled, slow.waiting) == (1, [])
    assert len(stack.clients) == 0
    assert waits.transport.value() == b""


@each_door
def test_acc12_fault_is_answered_and_logged(stack: Stack, slow: Slow, door: str) -> None:
    log: Any = Log()
    globalLogPublisher.addObserver(log)
    try:
        waits: Any = DOORS[door](stack)
        slow.waiting.pop().errback(ZeroDivisionError())
    finally:
        globalLogPublisher.removeObserver(log)
    assert len(log.failures) == 1
    answer = waits.answer
    if door == "polling":
        assert answer.json["status"] == 500
    else:
        assert (answer.status, answer.json["code"]) == (500, "internal_error")


def test_acc12_next_request_of_a_connection_waits_its_turn(stack: Stack, slow: Slow) -> None:
    connection = stack.connect()
    connection.request("GET", "/api/sessions")
    connection.request("GET", "/healthz")
    assert connection.answers == []
    slow.waiting.pop().callback(ALICE)
    stack.settle()
    assert next(json.loads(one.body) for one in connection.answers) == {
        "sessions": [],
        "next": None,
    }
    assert len(connection.answers) == 2


def test_acc12_drain_meanwhile_counts(stack: Stack, slow: Slow) -> None:
    waits = stack.upgrade()
    stack.clients.draining = True
    slow.waiting.pop().callback(ALICE)
    assert (waits.answer.status, waits.answer.json["code"]) == (503, "draining")


def test_acc12_cancelled_by_others_is_answered(stack: Stack, slow: Slow) -> None:
    """As everything else that fails: only who is gone gets nothing."""
    waits = listing(stack)
    slow.waiting.pop().errback(CancelledError())
    assert waits.answer.status == 500
