"""What is taken from somebody on one node counts on all at once. (docs/spec.md, NOD58)"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helix.sharing import following
from helix.store.memory import MemoryStore
from tests.support.bus import Bus
from tests.support.issuer import Signing, own_page
from tests.support.memory_clients import Answer, MemoryWebSocket
from tests.support.stack import Stack
from tests.support.tokens import bearer, secret_file, token
from tests.support.world import open_memory_store

ROOT = bearer(token(sub="root"))


@pytest.fixture(autouse=True)
def seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store is never asked without a reason."""
    monkeypatch.setattr(following, "POLL_SECONDS", 10_000.0)


class Guarded:
    """Two nodes that take tokens and keys; ``root`` is their administrator."""

    def __init__(self, directory: Path) -> None:
        self.bus = Bus()
        store: MemoryStore = open_memory_store()
        auth = f"jwt:hmac:{secret_file(directory)}"
        self.here, self.there = self.stacks = [
            Stack(lambda _: store, bus=self.bus, seed=seed, auth=auth, admin="root")
            for seed in (1, 2)
        ]
        for stack in self.stacks:
            stack.access.startService()
        self.settle()

    def settle(self) -> None:
        for _ in range(12):
            for stack in self.stacks:
                stack.settle()

    def ask(
        self, stack: Stack, method: str, target: str, body: object = None, who: Any = ROOT
    ) -> Answer:
        sent = None if body is None else json.dumps(body).encode()
        headers = [who] if sent is None else [who, ("Content-Type", "application/json")]
        answer = stack.request(method, target, headers, sent)
        self.settle()
        return answer

    def join(self, credential: str, flow_id: str = "f") -> MemoryWebSocket:
        """A member on the other node."""
        socket = self.there.open(f"vsn=2.0.0&token={credential}")
        frame = ["1", "1", f"flow:{flow_id}", "phx_join", {"mode": "document", "client_id": "c"}]
        socket.send_frame(1, json.dumps(frame).encode())
        self.settle()
        assert b'"status":"ok"' in b"".join(one.payload for one in socket.take_frames())
        return socket


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    guarded = Guarded(tmp_path)
    yield guarded
    for stack in guarded.stacks:
        stack.access.stopService()


def events(socket: MemoryWebSocket) -> list[str]:
    return [json.loads(one.payload)[3] for one in socket.take_frames() if one.opcode == 1]


def test_nod58_a_new_key_counts_on_all_nodes_and_a_revoked_one_on_none(guarded: Guarded) -> None:
    guarded.ask(guarded.there, "GET", "/api/keys")  # it knows all keys
    wanted = {"name": "ci", "flows": {"*": "editor"}}
    guarded.ask(guarded.here, "POST", "/api/flows", {"id": "f", "document": {}})
    first = guarded.ask(guarded.here, "POST", "/api/keys", wanted).json
    guarded.join(first["key"])
    second = guarded.ask(guarded.here, "POST", "/api/keys", wanted).json
    socket = guarded.join(second["key"])
    assert guarded.ask(guarded.here, "DELETE", f"/api/keys/{second['id']}").status == 204
    assert events(socket) == ["access_revoked", "phx_close"]
    who = bearer(second["key"])
    assert guarded.ask(guarded.there, "GET", "/api/flows", who=who).status == 401
    assert guarded.ask(guarded.there, "GET", "/api/flows", who=bearer(first["key"])).status == 200


def test_nod58_a_role_that_is_taken_away_and_a_link_too(guarded: Guarded) -> None:
    guarded.ask(guarded.here, "POST", "/api/flows", {"id": "f", "document": {}})
    target = "/api/flows/f/access"
    guarded.ask(guarded.here, "PATCH", target, {"members": {"ada": "editor"}})
    ada = guarded.join(token(sub="ada"))
    guarded.ask(guarded.here, "PATCH", target, {"members": {"ada": "viewer"}})
    assert events(ada) == ["role"]
    guarded.ask(guarded.here, "PATCH", target, {"members": {"ada": None}})
    assert "access_revoked" in events(ada)
    link = guarded.ask(guarded.here, "POST", "/api/flows/f/links", {"role": "viewer"}).json
    guest = guarded.ask(guarded.there, "POST", "/api/guests", {"link": link["secret"]}).json
    member = guarded.join(guest["token"])
    guarded.ask(guarded.here, "DELETE", f"/api/flows/f/links/{link['id']}")
    assert "access_revoked" in events(member)


def test_nod58_sign_outs_count_on_all_nodes() -> None:
    bus = Bus()
    here = Signing(bus=bus, admin="root")
    there = Signing(here.issuer, here, bus=bus, seed=2, admin="root")

    def settle() -> None:
        for _ in range(10):
            for signing in (here, there):
                signing.settle()
                signing.stack.settle()

    for signing in (here, there):
        signing.stack.access.startService()
    settle()
    browsers = [signing.browser() for signing in (here, here, there)]
    for browser in browsers:
        browser.sign_in()
    here.issuer.claims["sub"] = "root"
    root = here.browser()
    root.sign_in()
    for browser in browsers[:2]:  # the other node knows them, and so needn't ask the store
        there_too = there.browser()
        there_too.cookies = browser.cookies
        assert there_too.get("/api/me").status == 200
    browsers[2].get("/api/me")
    browsers[0].ask("POST", "/auth/sign-out", *own_page())
    settle()
    assert there.stack.sign_ins is not None
    assert len(there.stack.sign_ins.sessions._known) == 2
    assert root.ask("DELETE", "/api/auth/sessions?principal=u1", *own_page()).json == {"ended": 2}
    settle()
    assert not there.stack.sign_ins.sessions._known
    assert browsers[2].get("/api/me").status == 401
    for signing in (here, there):
        signing.stack.access.stopService()
