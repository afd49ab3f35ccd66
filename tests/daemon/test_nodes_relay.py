"""What crosses two daemons on one PostgreSQL besides edits. (docs/spec.md, NOD50 to NOD58)"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.support.daemon import Daemon, start_daemon
from tests.support.nodes import TOPIC, wait_until_known
from tests.support.postgres import postgres_server, url
from tests.support.rawsocket import TEXT, RawConnection, RawWebSocket
from tests.support.tokens import secret_file, token
from tests.support.watched import eventually, faults_in, get, rest

__all__ = ["postgres_server", "start_daemon", "url"]

StartDaemon = Callable[..., Daemon]


@pytest.fixture
def nodes(start_daemon: StartDaemon, url: str) -> Iterator[tuple[Daemon, Daemon]]:
    nodes = [start_daemon("--store", url) for _ in range(2)]
    wait_until_known(nodes)
    yield nodes[0], nodes[1]
    for node in nodes:
        assert not faults_in(node.log)


class Relay:
    """A member in relay mode."""

    def __init__(self, node: Daemon) -> None:
        self.socket = RawWebSocket(node.port)
        self.ref = self.socket.join(TOPIC)

    def __enter__(self) -> Relay:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def change(self, changes: str) -> None:
        frame = f'["{self.ref}","c","{TOPIC}","flow_change",{{"changes":{changes}}}]'
        self.socket.send_frame(TEXT, frame.encode())

    def update(self) -> str:
        """The changes of the next update, as they came."""
        text = self.until("flow_update")
        return text.partition('{"changes":')[2].rpartition(',"timestamp":')[0]

    def until(self, event: str) -> str:
        """The next message with an event."""
        while True:
            frame = self.socket.read_frame()
            if json.loads(frame.payload)[3] == event:
                return frame.payload.decode()


def test_nod50_relay_members_of_both_nodes_are_sent_the_same_bytes(
    nodes: tuple[Daemon, Daemon],
) -> None:
    here, there = nodes
    rest(here, "POST", "/flows", {"id": "f", "document": {"title": "Old"}})
    with Relay(here) as ada, Relay(there) as bob:
        for member in (ada, bob):
            assert member.update() == '{"nodes":[],"edges":[]}'  # the greeting
        ada.change("0")
        for member in (ada, bob):
            assert member.update() == "0"
        for number in range(40):
            nodes_sent = [
                {"id": f"n{one}", "position": {"x": number, "y": 0}, "data": {}, "selected": True}
                for one in reversed(range(number // 3 + 1))
            ]
            sent = [
                f'{{ "number" : {number} }}',
                json.dumps({"seen": number, "nodes": nodes_sent, "edges": []}),
                '"%s"' % (str(number) * 10_000),
            ][number % 3]
            sender = (ada, bob)[number // 3 % 2]
            sender.change(sent)
            for member in (ada, bob):
                while (update := member.update()) != sent:
                    # What was missed by a page that is deaf for a second comes again (BRI15).
                    assert '"nodes"' in update
        documents = [rest(node, "GET", "/flows/f")["document"] for node in nodes]
        assert documents[0] == documents[1]
        assert documents[0]["nodes"]


def test_nod54_sync_counts_and_the_end_of_a_session_are_about_both_nodes(
    nodes: tuple[Daemon, Daemon],
) -> None:
    here, there = nodes
    with Relay(here) as ada, Relay(there) as bob, Relay(there):
        answer = rest(here, "POST", "/flows/f/sync", {"changes": [1]})
        assert answer == {"success": True, "message": "Changes sent to 3 clients"}
        assert ada.update() == bob.update() == "[1]"
        for node in nodes:
            assert rest(node, "GET", "/flows/f/status")["client_count"] == 3
            (listed,) = rest(node, "GET", "/sessions")["sessions"]
            assert (listed["flow_id"], listed["client_count"]) == ("f", 3)
        ended = rest(there, "DELETE", "/sessions/f?by=Ada")
        assert ended == {"status": "session_closed", "clients_affected": 3}
        assert json.loads(ada.until("flow_deleted"))[4]["by"] == "Ada"
    with pytest.raises(HTTPError) as caught:
        rest(here, "DELETE", "/sessions/f")
    assert caught.value.code == 404
    caught.value.close()
    assert json.loads(get(here, "/api/status")[1])["nodes"] == 2


def test_nod55_a_node_that_stands_still_delays_answers_by_a_second(
    nodes: tuple[Daemon, Daemon],
) -> None:
    here, there = nodes
    with Relay(there):
        os.kill(there.pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            answer = rest(here, "GET", "/flows/f/status")
            took = time.monotonic() - began
        finally:
            os.kill(there.pid, signal.SIGCONT)
    assert answer == {
        "active": False,
        "client_count": 0,
        "last_activity": None,
        "complete": False,
    }
    assert 0.9 < took < 3.0


def test_nod58_a_revoked_key_counts_on_the_other_node_at_once(
    start_daemon: StartDaemon, url: str, tmp_path: Path
) -> None:
    options = ("--store", url, "--auth", f"jwt:hmac:{secret_file(tmp_path)}", "--admin", "root")
    here, there = [start_daemon(*options) for _ in range(2)]

    def ask(node: Daemon, method: str, path: str, who: str, body: object = None) -> Any:
        request = Request(
            f"http://{node.address}/api{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {who}"},
        )
        with urlopen(request, timeout=30.0) as answer:
            return json.loads(answer.read() or b"null")

    def is_known(key: str) -> bool:
        try:
            return bool(ask(there, "GET", "/me", key))
        except HTTPError as refused:
            refused.close()
            return False

    root = token(sub="root", exp=time.time() + 600)
    eventually(lambda: ask(here, "GET", "/status", root)["nodes"] == 2, "it knows the other")
    ask(here, "POST", "/flows", root, {"id": "f", "document": {}})
    took = []
    for _ in range(10):
        key = ask(here, "POST", "/keys", root, {"name": "ci", "flows": {"*": "editor"}})
        eventually(lambda: is_known(key["key"]), "it knows the key", 5.0)  # noqa: B023
        member = RawWebSocket(there.port, f"/socket/websocket?vsn=2.0.0&token={key['key']}")
        with member:
            reply: Any = member.ask("flow:f", "phx_join", {"mode": "document", "client_id": "c"})
            assert reply[4]["status"] == "ok", reply
            began = time.monotonic()
            ask(here, "DELETE", f"/keys/{key['id']}", root)
            while member.read_json()[3] != "access_revoked":
                pass
            took.append(time.monotonic() - began)
    print(f"largest {max(took):.4f} s")
    assert sorted(took)[5] < 0.25, "it is the message, and not the poll each half a second"
    assert max(took) < 1.0
    for node in (here, there):
        assert not faults_in(node.log)


def test_nod135_a_node_that_ends_costs_no_session_of_another(
    start_daemon: StartDaemon, url: str
) -> None:
    """A poll of a session of the other node waits there: it comes again, and misses nothing."""
    here, there = (start_daemon("--store", url) for _ in range(2))
    wait_until_known([here, there])
    with RawConnection(here.port) as own, RawConnection(there.port) as wrong:
        opened = ask(own, "vsn=2.0.0")
        query = f"vsn=2.0.0&token={opened['token']}"
        join = ["1", "1", TOPIC, "phx_join", {}]
        assert ask(own, query, json.dumps(join).encode()) == {"status": 200}
        assert len(ask(own, query)["messages"]) == 2
        wrong.send(poll(query))
        eventually(lambda: was_asked(here), "the poll has been handed on")
        there.stop()
        answer = json.loads(wrong.read_response().body)
        assert answer == {"status": 204, "token": opened["token"]}
        assert ask(own, query, b'["1","2","flow:f","ping",{}]') == {"status": 200}
        assert len(ask(own, query)["messages"]) == 1
    for node in (here, there):
        assert not faults_in(node.log)


def poll(query: str, body: bytes = b"") -> bytes:
    """A poll, or a POST."""
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    line = f"{'POST' if body else 'GET'} /socket/longpoll?{query} HTTP/1.1"
    return f"{line}\r\nHost: localhost\r\n{length}\r\n".encode() + body


def ask(connection: RawConnection, query: str, body: bytes = b"") -> Any:
    """Poll, or POST, and give the answer."""
    connection.send(poll(query, body))
    return json.loads(connection.read_response().body)


def was_asked(node: Daemon) -> bool:
    """Whether another node has asked this one anything."""
    return b'helix_node_messages_received_total{kind="question"}' in get(node, "/metrics")[1]
