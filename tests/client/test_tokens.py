"""The tokens of `FlowClient`: shown on every connection, and renewed on an open one. (PYC)"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from helix.client import FlowClient, Status
from helix.client.rest import FlowsApi
from helix.client.tokens import TOKEN_TIMEOUT
from helix.errors import Disconnected, Refused
from tests.client.test_flow_client import Desk, desk, title
from tests.support.flowserver import FLOW, URL

__all__ = ["desk"]

SECRET = "s3cret-token"


class Giver:
    """Gives one token after the other, and keeps count."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> str:
        self.count += 1
        return f"token-{self.count}"


def expire(desk: Desk) -> None:
    """The server says that the token expires."""
    connection = desk.connection
    connection.push(connection.join_ref, None, "token_expiring", {"expires_at": 1})
    desk.server.settle()


def reasons(desk: Desk) -> list[Any]:
    return [event.reason for event in desk.told if getattr(event, "reason", None) is not None]


def test_pyc18_without_a_token_none_is_shown(desk: Desk) -> None:
    desk.joined()
    assert desk.connection.authorization is None


def test_pyc18_a_token_is_shown_on_each_connection(desk: Desk) -> None:
    client = desk.joined(token=SECRET)
    desk.connection.cut()
    desk.until(client, Status.OFFLINE)
    desk.until(client, Status.JOINED)
    shown = [connection.authorization for connection in desk.server.connections]
    assert shown == [f"Bearer {SECRET}"] * 2


@pytest.mark.parametrize("is_late", [False, True])
def test_pyc18_a_function_is_asked_for_each_connection(desk: Desk, is_late: bool) -> None:
    give = Giver()

    def give_late() -> Deferred[str]:
        given: Deferred[str] = Deferred()
        desk.clock.callLater(1, given.callback, give())
        return given

    token: Callable[[], str | Deferred[str]] = give_late if is_late else give
    client = desk.client(token=token)
    desk.until(client, Status.JOINED)
    desk.connection.cut()
    desk.until(client, Status.OFFLINE)
    desk.until(client, Status.JOINED)
    shown = [connection.authorization for connection in desk.server.connections]
    assert shown == ["Bearer token-1", "Bearer token-2"]


def test_pyc18_another_token_is_shown_before_one_expires(desk: Desk) -> None:
    client = desk.joined(token=Giver())
    expire(desk)
    assert desk.connection.events("access_token") == [{"access_token": "token-2"}]
    assert client.status is Status.JOINED
    assert len(desk.server.connections) == 1


def test_pyc18_a_fixed_token_is_not_shown_again(desk: Desk) -> None:
    desk.joined(token=SECRET)
    expire(desk)
    assert desk.connection.events("access_token") == []


@pytest.mark.parametrize("code", ["token_refused", "forbidden"])
def test_pyc18_a_token_that_is_refused_leaves_the_client_where_it_is(desk: Desk, code: str) -> None:
    client = desk.joined(token=Giver())
    desk.server.renew_error = {"reason": "no", "code": code, "retry": False}
    expire(desk)
    assert client.status is Status.JOINED
    client.patch(title("still here"))
    desk.server.settle()
    assert client.pending == 0
    desk.connection.close(4401)
    desk.until(client, Status.OFFLINE)
    desk.until(client, Status.JOINED)
    assert desk.connection.authorization == "Bearer token-3"


def test_pyc18_a_renewal_under_way_ends_with_its_channel(desk: Desk) -> None:
    waiting: list[Deferred[str]] = []
    cancelled: list[Deferred[str]] = []

    def give() -> Any:
        if not desk.server.connections or desk.connection.is_gone:
            return "first"
        waiting.append(Deferred(cancelled.append))
        return waiting[-1]

    client = desk.joined(token=give)
    expire(desk)
    assert len(waiting) == 1
    desk.connection.cut()
    desk.until(client, Status.OFFLINE)
    assert cancelled == waiting
    desk.until(client, Status.JOINED)
    assert desk.connection.events("access_token") == []


@pytest.mark.parametrize("error", [OSError("gone"), Refused("not you", "x")])
def test_pyc18_without_its_token_a_client_tries_again(desk: Desk, error: Exception) -> None:
    errors = [error]

    def give() -> str:
        if errors:
            raise errors.pop()
        return SECRET

    client = desk.client(token=give)
    desk.until(client, Status.OFFLINE)
    assert isinstance(reasons(desk)[-1], Disconnected)
    assert str(error) in str(reasons(desk)[-1])
    desk.until(client, Status.JOINED)


def test_pyc18_a_fault_of_the_function_is_logged(desk: Desk) -> None:
    faults = [RuntimeError("a bug")]

    def give() -> str:
        if faults:
            raise faults.pop()
        return SECRET

    client = desk.client(token=give)
    desk.until(client, Status.OFFLINE)
    assert [str(failure) for failure in desk.failures] == ["a bug"]
    desk.failures.clear()
    assert "a bug" not in str(reasons(desk)[-1])
    desk.until(client, Status.JOINED)


def test_pyc18_a_token_that_does_not_come_is_waited_for_so_long(desk: Desk) -> None:
    asked: list[Deferred[str]] = []

    def give() -> Deferred[str]:
        asked.append(Deferred())
        return asked[-1]

    client = desk.client(token=give)
    desk.server.run(TOKEN_TIMEOUT - 1)
    assert client.status is Status.CONNECTING
    desk.server.run(1.5)
    assert "in time" in str(reasons(desk)[0])
    desk.until(client, Status.CONNECTING)
    # which is where `desk` stops it, and nothing is left


BAD = ["", "a b", "a\r\nX-Evil: 1", "\u00e4", "tab\t"]


@pytest.mark.parametrize("token", BAD)
def test_pyc18_what_is_no_token_is_never_sent_nor_shown(desk: Desk, token: str) -> None:
    for make in (
        lambda: FlowClient(desk.clock, URL, FLOW, token=token),
        lambda: FlowsApi(Clock(), URL, token),
    ):
        with pytest.raises(ValueError, match="A token is ") as caught:
            make()
        assert not token or token not in str(caught.value)
    client = desk.client(token=lambda: token)
    desk.until(client, Status.OFFLINE)
    assert "A token is" in str(reasons(desk)[-1])
    assert desk.server.connections == []


def test_pyc18_access_that_is_withdrawn_closes_the_client(desk: Desk) -> None:
    client = desk.joined(token=SECRET)
    connection = desk.connection
    connection.push(connection.join_ref, None, "access_revoked", {"reason": "You were removed"})
    connection.end("phx_close")
    desk.server.settle()
    assert client.status is Status.CLOSED
    reason = reasons(desk)[-1]
    assert (reason.code, str(reason)) == ("access_revoked", "You were removed")
