"""Who comes in by which door: a server that asks clients for a token, whole and in memory."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest

from helix.web.credentials import TOKEN_PREFIX
from helix.web.openapi import ApiDocs
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


def test_acc1_each_route_asks_as_it_is_described_to(stack: Stack) -> None:
    """No route is open by mistake."""
    document = json.loads(ApiDocs.load().document)
    asking, public = [], []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            answer = stack.request(method.upper(), re.sub(r"{\w+}", "x", path), (), b"{}")
            (asking if answer.status == 401 else public).append(path)
            assert (answer.status == 401) == ("security" not in operation), path
            assert ("401" in operation["responses"]) == ("security" not in operation), path
    assert len(asking) > 25
    assert set(public) == {
        *("/healthz", "/readyz", "/status.js", "/flow/{flow_id}", "/assets/{name}"),
        *("/api/openapi.json", "/api/docs", "/api/guests"),
        *("/api/auth", "/auth/sign-in", "/auth/callback", "/auth/sign-out"),
    }


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


# ACC2: the token of metrics


@pytest.fixture
def scraped(tmp_path: Path) -> tuple[str, str]:
    """An own token for metrics, and its file."""
    path = tmp_path / "metrics"
    path.write_text("a token for metrics alone\n", encoding="utf-8")
    return "a token for metrics alone", str(path)


def test_acc2_a_token_of_its_own_opens_metrics_alone(
    tmp_path: Path, scraped: tuple[str, str]
) -> None:
    own, path = scraped
    stack = Stack(auth=f"jwt:hmac:{secret_file(tmp_path)}", metrics_token=path)
    assert stack.get("/metrics", bearer(own)).status == 200
    assert stack.get("/metrics", bearer(token(admin=True))).status == 200
    for wrong in (own[:-1], own + "x", own.upper(), "\u00e9"):
        assert_unauthorized(stack.get("/metrics", bearer(wrong)), 'Bearer error="invalid_token"')
    assert_unauthorized(stack.get("/metrics"))
    assert stack.get("/metrics", bearer(token())).status == 403
    for target in ("/status", "/api/status", "/api/sessions", "/api/flows", "/metrics/x"):
        assert stack.get(target, bearer(own)).status == 401


def test_acc2_where_everything_else_is_open_the_token_still_guards_metrics(
    scraped: tuple[str, str],
) -> None:
    own, path = scraped
    stack = Stack(metrics_token=path)
    assert_unauthorized(stack.get("/metrics"))
    assert_unauthorized(stack.get("/metrics", bearer("other")), 'Bearer error="invalid_token"')
    assert stack.get("/metrics", bearer(own)).status == 200
    assert stack.get("/api/sessions").status == 200


def test_acc3_without_auth_nobody_is_asked() -> None:
    stack = Stack()
    for method, target in ADMINS_ALONE:
        for headers in ([], [bearer("nonsense")]):
            answer = stack.request(method, target, headers)
            assert answer.status == (404 if method == "DELETE" else 200)
    assert stack.upgrade("token=nonsense").take().startswith(b"HTTP/1.1 101")


# ACC10: the header of a proxy

PROXY = "10.0.0.1"


def proxied(**options: Any) -> Stack:
    given = {"auth": "header:X-User", "trusted_proxy": PROXY, "admin": "root"}
    return Stack(**{**given, **options})


def doors(stack: Stack, address: str | None, *headers: tuple[str, str]) -> list[int]:
    """The status of an answer by each door."""
    polled = stack.request("GET", "/socket/longpoll?vsn=2.0.0", headers, address=address).json
    checked = stack.request("POST", "/socket/check?vsn=2.0.0", headers, b"{}", address).json
    opened = stack.upgrade("vsn=2.0.0", *headers, address=address).transport.value()
    return [
        stack.request("GET", "/api/templates", headers, address=address).status,
        int(opened.split()[1]),
        polled["status"],
        200 if checked["admitted"] else 403,
    ]


IN, OUT = [200, 101, 410, 200], [401, 403, 403, 403]


def test_acc10_a_trusted_proxy_names_clients() -> None:
    stack = proxied()
    assert doors(stack, PROXY, ("X-User", "alice")) == IN
    assert doors(stack, PROXY, ("x-user", "  \u00c5sa ".encode().decode("latin-1"))) == IN
    assert doors(stack, PROXY) == OUT
    assert doors(stack, PROXY, ("X-User", "")) == OUT
    assert doors(stack, PROXY, ("X-User", "a" * 256)) == OUT
    assert doors(stack, PROXY, ("X-User", "\xff")) == OUT
    assert doors(stack, PROXY, ("X-User", "alice"), ("X-User", "root")) == OUT
    assert stack.metric("helix_forged_names_total") == 0


def test_acc10_name_becomes_the_principal() -> None:
    stack = proxied()
    me = stack.request("GET", "/api/me", [("X-User", "alice")], address=PROXY).json
    assert (me["id"], me["name"], me["kind"], me["admin"]) == ("alice", "alice", "person", False)
    me = stack.request("GET", "/api/me", [("X-User", "root")], address=PROXY).json
    assert me["admin"] is True


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.2", None])
@pytest.mark.parametrize("forwarded", [(), (("X-Forwarded-For", PROXY),)])
def test_acc10_the_header_from_elsewhere_is_refused_and_counted(
    address: str | None, forwarded: tuple[tuple[str, str], ...], logged: Log
) -> None:
    stack = proxied()
    assert doors(stack, address, ("X-User", "root"), *forwarded) == OUT
    assert stack.metric("helix_forged_names_total") == 4
    assert "root" not in logged.text
    assert stack.request("GET", "/healthz", [("X-User", "root")], address=address).status == 200


def test_acc10_the_header_from_elsewhere_is_refused_beside_a_token(tmp_path: Path) -> None:
    stack = proxied(auth=["header:X-User", f"jwt:hmac:{secret_file(tmp_path)}"])
    own = bearer(token())
    assert doors(stack, "10.0.0.2", own) == IN
    assert doors(stack, "10.0.0.2", own, ("X-User", "root")) == OUT
    assert stack.request("GET", "/api/me", [own, ("X-User", "bob")], address=PROXY).json["id"] == (
        "alice"
    ), "a token says more"


def test_acc10_proxy_may_hand_on_a_token_that_nobody_asked_for() -> None:
    assert doors(proxied(), PROXY, ("X-User", "alice"), bearer("of another system")) == IN
    assert doors(proxied(), PROXY, bearer("of another system")) == OUT


def test_acc10_a_unix_socket_may_be_the_proxy() -> None:
    stack = proxied(trusted_proxy="unix")
    assert doors(stack, None, ("X-User", "alice")) == IN
    assert doors(stack, "127.0.0.1", ("X-User", "alice")) == OUT


# ACC11: anyone beside others


def test_acc11_everyone_may_do_everything_and_a_token_says_who(tmp_path: Path) -> None:
    stack = Stack(auth=["anyone", f"jwt:hmac:{secret_file(tmp_path)}"])
    assert doors(stack, "127.0.0.1") == IN
    assert stack.get("/api/me").json["id"] == ""
    assert stack.get("/api/sessions", bearer(token())).status == 200
    me = stack.get("/api/me", bearer(token(name="Alice", admin=False))).json
    assert (me["id"], me["name"], me["admin"]) == ("alice", "Alice", True)
    assert_unauthorized(stack.get("/api/me", bearer("nonsense")), 'Bearer error="invalid_token"')
