"""A node that stood still, and what was taken from its clients meanwhile. (docs/spec.md, NOD153)"""

from __future__ import annotations

import http.client
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import Daemon, start_daemon
from tests.support.nodes import TOPIC
from tests.support.postgres import postgres_server, url
from tests.support.rawsocket import RawWebSocket
from tests.support.tokens import HOUR, secret_file, token
from tests.support.watched import eventually, faults_in

__all__ = ["postgres_server", "start_daemon", "url"]

StartDaemon = Callable[..., Daemon]


def token_of(name: str) -> str:
    """A token that holds for an hour."""
    return token(sub=name, exp=int(time.time()) + HOUR)


def ask(
    node: Daemon, method: str, path: str, body: object = None, who: str | None = None
) -> tuple[int, Any]:
    """A request of an administrator, or of whoever has a token, and its answer."""
    connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=30.0)
    try:
        headers = {"Authorization": f"Bearer {who or token_of('root')}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        content = None if body is None else json.dumps(body)
        connection.request(method, f"/api{path}", content, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or "null")
    finally:
        connection.close()


class Member:
    """A member in document mode."""

    def __init__(self, socket: RawWebSocket) -> None:
        self._socket = socket
        params = {"mode": "document", "client_id": "ada"}
        joined: Any = self._socket.ask(TOPIC, "phx_join", params)
        assert joined[4]["status"] == "ok", joined
        self._join_ref = joined[0]

    def send(self, op_id: int) -> None:
        """Send an edit, and wait for nothing."""
        payload = {"op_id": op_id, "patch": {"data": {f"edit {op_id}": True}}}
        self._socket.send_json([self._join_ref, f"p{op_id}", TOPIC, "patch", payload])

    def read(self) -> list[Any]:
        """Read all that comes, until the end of the membership."""
        came: list[Any] = []
        while not came or came[-1][3] != "phx_close":
            came.append(self._socket.read_json())
        return came

    def is_taken(self, op_id: int) -> bool:
        self.send(op_id)
        reply: Any = self._socket.read_until_reply(f"p{op_id}")[-1]
        return bool(reply[4]["status"] == "ok")


@contextmanager
def standing_still(node: Daemon) -> Iterator[None]:
    os.kill(node.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(node.pid, signal.SIGCONT)


@pytest.fixture
def nodes(start_daemon: StartDaemon, url: str, tmp_path: Path) -> Iterator[tuple[Daemon, Daemon]]:
    options = ("--store", url, f"--auth=jwt:hmac:{secret_file(tmp_path)}", "--admin=root")
    nodes = start_daemon(*options), start_daemon(*options)
    for node in nodes:
        eventually(partial(_knows_both, node), "it knows of the other")
    assert ask(nodes[0], "POST", "/flows", {"id": "f", "document": {}})[0] == 201
    yield nodes
    for node in nodes:
        assert not faults_in(node.log)


def _knows_both(node: Daemon) -> bool:
    return bool(ask(node, "GET", "/status")[1]["nodes"] == 2)


def logged(node: Daemon) -> list[str]:
    """What is in the log, by its edits' names."""
    _, page = ask(node, "GET", "/flows/f/entries?after=0&limit=1000")
    return [name for entry in page["entries"] for name in entry["patch"].get("data", {})]


@pytest.mark.parametrize("seconds", [0.0, 17.0], ids=["shortly", "until it counts as gone"])
@pytest.mark.parametrize("what", ["role", "key"])
def test_nod153_what_was_sent_to_a_node_that_stood_still_is_judged_by_what_holds_now(
    nodes: tuple[Daemon, Daemon], what: str, seconds: float
) -> None:
    here, there = nodes
    if what == "role":
        credential = token_of("ada")
        ask(here, "PATCH", "/flows/f/access", {"members": {"ada": "editor"}})
    else:
        wanted = {"name": "ci", "flows": {"*": "editor"}}
        _, key = ask(here, "POST", "/keys", wanted)
        credential = key["key"]
        eventually(
            lambda: ask(there, "GET", "/flows/f", who=credential)[0] == 200, "the key is known"
        )
    path = f"/socket/websocket?vsn=2.0.0&token={credential}"
    with RawWebSocket(there.port, path, timeout=30) as socket:
        member = Member(socket)
        assert member.is_taken(1)
        with standing_still(there):
            if what == "role":
                unlisted = {"members": {"ada": None}}
                assert ask(here, "PATCH", "/flows/f/access", unlisted)[0] == 200
            else:
                assert ask(here, "DELETE", f"/keys/{key['id']}")[0] == 204
            time.sleep(1.1 + seconds)  # what stands still shows nothing to wait for
            for op_id in range(2, 7):
                member.send(op_id)
        came = member.read()
    replies = [message for message in came if message[3] == "phx_reply"]
    assert [one[4]["response"]["code"] for one in replies] == ["forbidden"] * len(replies)
    assert came[-2][3] == "access_revoked"
    assert logged(here) == ["edit 1"]
