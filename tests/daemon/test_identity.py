"""The real daemon asks who comes in: by WebSocket, long polling and REST. (ACC1, ACC4, ACC9)"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.support.daemon import Daemon, free_port, start_daemon
from tests.support.rawsocket import RawWebSocket
from tests.support.tokens import claims, jwk, jwks, rsa_key, secret_file, sign
from tests.support.watched import eventually

__all__ = ["start_daemon"]

StartDaemon = Callable[..., Daemon]


def now_claims(**more: object) -> dict[str, object]:
    """Claims that hold for an hour of the machine's clock."""
    return claims(exp=int(time.time()) + 3600, flows={"*": "editor"}, create=["*"], **more)


def ask(
    daemon: Daemon, target: str, token: str | None = None, *, upgrade: bool = False
) -> tuple[int, Any]:
    """The status and the JSON of an answer."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    if upgrade:
        headers |= {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg==",
        }
    connection = http.client.HTTPConnection(daemon.address, timeout=30)
    try:
        connection.request("GET", target, headers=headers)
        answer = connection.getresponse()
        return answer.status, None if answer.status == 101 else json.loads(answer.read())
    finally:
        connection.close()


def test_acc1_acc4_one_with_a_token_and_one_without(
    start_daemon: StartDaemon, tmp_path: Path
) -> None:
    daemon = start_daemon("--store", "memory:", "--auth", f"jwt:hmac:{secret_file(tmp_path)}")
    own = sign(now_claims(name="Alice"))
    other = sign(now_claims(), b"another secret of 32 bytes......")
    socket, polling = "/socket/websocket?vsn=2.0.0", "/socket/longpoll?vsn=2.0.0"

    status, refusal = ask(daemon, "/api/flows")
    assert (status, refusal["code"]) == (401, "unauthorized")
    for wrong in (None, other):
        query = "" if wrong is None else f"&token={wrong}"
        status, refusal = ask(daemon, socket + query, upgrade=True)
        assert (status, refusal["code"]) == (403, "token_refused")
        assert ask(daemon, polling + query) == (200, {"status": 403})
        assert ask(daemon, "/api/flows", wrong)[0] == 401

    assert ask(daemon, "/api/flows", own)[0] == 200
    assert ask(daemon, "/api/me", own)[1]["name"] == "Alice"
    assert ask(daemon, f"{polling}&token={own}")[1]["status"] == 410
    assert ask(daemon, "/healthz")[0] == 200
    with RawWebSocket(daemon.port, f"/socket/websocket?vsn=2.0.0&token={own}") as member:
        member.send_json(["1", "1", "flow:f", "phx_join", {"mode": "document", "client_id": "a"}])
        reply: Any = member.read_until_reply("1")[-1][4]
        assert reply["status"] == "ok", reply

    daemon.stop()
    assert "must show who they are: by a signed token" in daemon.log
    for text in (own, other):
        assert all(part not in daemon.log for part in text.split(".")[1:])


@contextmanager
def key_server(port: int, keys: list[dict[str, Any]]) -> Iterator[list[str]]:
    """An address with the keys that are in the list; the paths that were asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(jwks(*keys))

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.timeout(180)
def test_acc9_keys_come_from_an_address_that_may_be_away(start_daemon: StartDaemon) -> None:
    port = free_port()
    own = sign(now_claims(), rsa_key(), "RS256", kid="one")
    daemon = start_daemon("--store=memory:", f"--auth=jwt:jwks:http://127.0.0.1:{port}/s3cret")
    status, refusal = ask(daemon, "/api/flows", own)
    assert (status, refusal["code"], refusal["retry"]) == (503, "keys_unavailable", True)
    with key_server(port, [jwk(rsa_key(), "one")]) as asked:
        eventually(lambda: ask(daemon, "/api/flows", own)[0] == 200, "the keys have come")
        assert asked == ["/s3cret"]
        for kid in ("two", "three"):
            unknown = sign(now_claims(), rsa_key(), "RS256", kid=kid)
            assert ask(daemon, "/api/flows", unknown)[0] == 401
        assert len(asked) == 1, "a minute isn't over"
    assert ask(daemon, "/api/flows", own)[0] == 200
    daemon.stop()
    assert "could not be fetched from 127.0.0.1: no connection" in daemon.log
    assert "s3cret" not in daemon.log
