"""Who comes in by which door: a server that asks clients for a token, whole and in memory."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from helix.web.credentials import TOKEN_PREFIX
from tests.support.logs import Log, logged
from tests.support.memory_clients import Answer
from tests.support.stack import NOW, Stack
from tests.support.tokens import bearer, secret_file, sign, token

__all__ = ["logged"]


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    """A server that takes tokens signed with the application's secret."""
    return Stack(auth=f"jwt:hmac:{secret_file(tmp_path)}", admin="root")


ADMINS_ALONE = [
    ("GET", "/metrics"),
    ("GET", "/status"),
    ("GET", "/"),  # the status page, where there is no editor
    ("GET", "/api/status"),
    ("GET", "/api/sessions"),
    ("DELETE", "/api/sessions/f"),
]


def assert_unauthorized(answer: Answer, challenge: str = "Bearer") -> None:
    assert (answer.status, answer.json["code"]) == (401, "unauthorized"), answer
    assert answer.headers["www-authenticate"] == challenge
    assert answer.json["retry"] is False


@pytest.mark.parametrize(
    ("method", "target"),
    [*ADMINS_ALONE, ("GET", "/api/flows"), ("POST", "/api/flows"), ("GET", "/nowhere")],
)
def test_acc1_rest_asks_for_a_token(stack: Stack, method: str, target: str) -> None:
    assert_unauthorized(stack.request(method, target))
    wrong = stack.request(method, target, [bearer("nonsense")])
    assert_unauthorized(wrong, 'Bearer error="invalid_token"')
    assert_unauthorized(stack.request(method, target, [("Authorization", "Basic YTpi")]))


@pytest.mark.parametrize(
    "target", ["/healthz", "/readyz", "/status.js", "/api/openapi.json", "/api/docs"]
)
def test_acc1_what_is_public_asks_for_none(stack: Stack, target: str) -> None:
    assert stack.get(target).status == 200
    assert stack.get(target, bearer("nonsense")).status == 200


def test_acc1_a_token_opens_rest(stack: Stack) -> None:
    assert stack.get("/api/templates", bearer(token())).status == 200
    assert stack.get("/api/templates", ("authorization", f"bEARER  {token()} ")).status == 200


@pytest.mark.parametrize(("method", "target"), ADMINS_ALONE)
def test_acc2_what_concerns_the_server_is_for_administrators(
    stack: Stack, method: str, target: str
) -> None:
    refused = stack.request(method, target, [bearer(token(admin=False))])
    assert (refused.status, refused.json["code"]) == (403, "forbidden")
    for own in (token(admin=True), token(sub="root")):
        answer = stack.request(method, target, [bearer(own)])
        assert answer.status == (404 if method == "DELETE" else 200)


def subprotocol(text: str) -> tuple[str, str]:
    encoded = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
    return "Sec-WebSocket-Protocol", f"phoenix, {TOKEN_PREFIX}{encoded}"


def test_acc1_sockets_ask_for_a_token(stack: Stack) -> None:
    own = token()
    for query, headers in (
        (f"token={own}", []),
        ("", [subprotocol(own)]),
        ("", [bearer(own)]),
    ):
        opened = stack.upgrade(f"vsn=2.0.0&{query}", *headers)
        assert opened.take().startswith(b"HTTP/1.1 101")
    for query, headers in (
        ("", []),
        ("token=nonsense", []),
        ("", [subprotocol("nonsense")]),
        ("", [bearer("nonsense")]),
    ):
        refused = stack.upgrade(f"vsn=2.0.0&{query}", *headers).answer
        assert (refused.status, refused.json["code"]) == (403, "token_refused")
    assert stack.metric("helix_connections_refused_total") == 4


def poll(stack: Stack, query: str = "", *headers: tuple[str, str]) -> Any:
    return stack.get(f"/socket/longpoll?vsn=2.0.0{query}", *headers).json["status"]


def test_acc1_long_polling_asks_for_a_token(stack: Stack) -> None:
    assert poll(stack) == 403
    assert poll(stack, "&token=nonsense") == 403
    assert poll(stack, f"&token={token()}") == 410
    assert poll(stack, "", ("X-Phoenix-AuthToken", token())) == 410
    assert poll(stack, "", bearer(token())) == 410


def test_acc1_check_says_why(stack: Stack) -> None:
    checked = stack.post_json("/socket/check?vsn=2.0.0", {"token": token(exp=NOW - 60)}).json
    assert checked["admitted"] is False
    assert checked["refusal"]["code"] == "token_refused"
    assert checked["refusal"]["reason"] == "exp: the token is over"
    assert stack.post_json("/socket/check?vsn=2.0.0", {"token": token()}).json == {"admitted": True}


def test_acc1_connection_knows_who_it_is_of(stack: Stack) -> None:
    stack.upgrade(f"vsn=2.0.0&token={token(name='Alice', flows={'f': 'editor'})}")
    client: Any
    (client,) = stack.clients._clients
    principal = client.connection.principal
    assert (principal.id, principal.name, principal.is_admin) == ("alice", "Alice", False)


def test_acc4_no_token_is_logged_or_answered(stack: Stack, logged: Log) -> None:
    for own in (token(), token(exp=NOW - 60), token(name="a" * 300), sign({"sub": "secretsub"})):
        answers = [
            stack.get("/api/templates", bearer(own)),
            stack.post_json("/socket/check", {"token": own}),
            stack.get(f"/socket/longpoll?token={own}"),
        ]
        stack.upgrade(f"token={own}")
        for part in own.split("."):
            assert all(part not in answer.text for answer in answers)
            assert part not in logged.text
