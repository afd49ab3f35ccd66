"""API keys and guests by REST and on sockets, whatever else the server asks for. (ACC150-160)"""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import attrs
import jsonschema_rs
import pytest
from twisted.internet.defer import fail

from helix.access.roles import Role
from helix.access.sharing import Audience, FlowAccess, GeneralAccess, Link
from helix.errors import StoreUnavailable
from helix.identity import passwords
from helix.identity.api_keys import audit_creation, audit_revocation, make_key
from helix.identity.guests import GUEST_SECONDS, digest_of
from helix.identity.passwords import ADDRESS_BURST, hash_password
from helix.records import AuditEntry
from helix.web.keys import MAX_BODY_BYTES
from helix.web.openapi import ApiDocs
from tests.support.logs import Log, logged
from tests.support.memory_clients import Answer, Poller
from tests.support.results import result_of
from tests.support.stack import NOW, Stack
from tests.support.tokens import bearer, secret_file, token

__all__ = ["logged"]

DOCUMENT: dict[str, Any] = json.loads(ApiDocs.load().document)

SECRET = "s" * 43


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords that are hashed fast."""
    monkeypatch.setattr(passwords, "_COST", 2)


def assert_described(answer: Answer, path: str, method: str) -> None:
    """The answer is one that the description of REST has."""
    responses = DOCUMENT["paths"][path][method]["responses"]
    assert str(answer.status) in responses, answer
    described = responses[str(answer.status)]
    if "$ref" in described:
        described = DOCUMENT["components"]["responses"][described["$ref"].rpartition("/")[2]]
    if "content" not in described:
        assert answer.body == b""
        return
    (media,) = described["content"].values()
    schema = {"components": DOCUMENT["components"], "allOf": [media["schema"]]}
    jsonschema_rs.validate(schema, answer.json)


class Guarded(Stack):
    """A server that takes tokens, whose administrator is ``root``."""

    def __init__(self, directory: Path, **options: Any) -> None:
        given = {"auth": f"jwt:hmac:{secret_file(directory)}", "admin": "root"}
        super().__init__(**{**given, **options})
        self.root = bearer(token(sub="root", name="Root"))

    def create(self, *headers: tuple[str, str], **wanted: object) -> Answer:
        answer = self.post_json("/api/keys", {"name": "ci", **wanted}, *(headers or (self.root,)))
        assert_described(answer, "/api/keys", "post")
        return answer

    def made(self, **wanted: object) -> dict[str, Any]:
        answer = self.create(**wanted)
        assert answer.status == 201, answer
        made: dict[str, Any] = answer.json
        return made

    def listed(self) -> list[dict[str, Any]]:
        answer = self.get("/api/keys", self.root)
        assert_described(answer, "/api/keys", "get")
        keys: list[dict[str, Any]] = answer.json["keys"]
        return keys

    def revoke(self, key_id: str, *headers: tuple[str, str]) -> Answer:
        answer = self.request("DELETE", f"/api/keys/{key_id}", headers or (self.root,))
        assert_described(answer, "/api/keys/{key_id}", "delete")
        return answer

    def audited(self) -> list[AuditEntry]:
        entries: list[AuditEntry] = result_of(self.store.access.audited(None, 99))
        return entries

    # guests

    def share(self, flow_id: str = "f", **changes: Any) -> None:
        """Change what a flow gives."""
        audited = AuditEntry(0, NOW, "access.change", flow_id)

        def edit(access: FlowAccess) -> FlowAccess:
            return attrs.evolve(access, **changes)

        result_of(self.store.access.change(flow_id, edit, audited))

    def link(self, **about: Any) -> str:
        """Give a new flow ``f`` one link."""
        result_of(self.store.create("f", "e", NOW))
        given = {"role": Role.VIEWER, "digest": digest_of(SECRET), "created_at": NOW}
        self.share(links={"link": Link(**{"id": "link", **given, **about})})
        return f"link.{SECRET}"

    def come(self, wanted: object, *headers: tuple[str, str], **how: Any) -> Answer:
        given = [("Content-Type", "application/json"), *headers]
        body = wanted if isinstance(wanted, bytes) else json.dumps(wanted).encode()
        answer = self.request("POST", "/api/guests", given, body, **how)
        assert_described(answer, "/api/guests", "post")
        return answer


@pytest.fixture
def stack(tmp_path: Path) -> Guarded:
    return Guarded(tmp_path)


# keys


def test_acc150_an_administrator_makes_keys_and_sees_each_once(stack: Guarded) -> None:
    made = stack.made(flows={"team-a/*": "editor"}, create=["team-a/*"], expires_in=60)
    assert made.pop("key").startswith("hx_")
    assert made == {
        "id": made["id"],
        "name": "ci",
        "flows": {"team-a/*": "editor"},
        "create": ["team-a/*"],
        "admin": False,
        "created_at": NOW,
        "created_by": "root",
        "expires_at": NOW + 60,
        "used_at": None,
    }
    assert stack.listed() == [made]
    (entry,) = stack.audited()
    assert (entry.action, entry.credential) == ("key.create", f"key:{made['id']}")
    assert entry.actor is not None
    assert (entry.actor.id, entry.actor.kind, entry.actor.name) == ("root", "person", "Root")


def test_acc150_keys_are_for_administrators(stack: Guarded) -> None:
    key = stack.made(flows={"*": "owner"}, create=["*"])["key"]
    for headers in ((bearer(token()),), (bearer(key),)):
        assert stack.create(*headers).json["code"] == "forbidden"
        assert stack.get("/api/keys", *headers).status == 403
        assert stack.revoke("x", *headers).json["code"] == "forbidden"
    assert stack.request("GET", "/api/keys").status == 401
    admin = stack.made(admin=True)["key"]
    assert stack.create(bearer(admin)).json["created_by"].startswith("key:")


@pytest.mark.parametrize(
    ("wanted", "status", "code"),
    [
        ({"name": ""}, 400, "invalid_parameters"),
        ({"flows": {"a": "king"}}, 400, "invalid_parameters"),
        ({"flows": {"a*b": "editor"}}, 400, "invalid_parameters"),
        ({"create": [""]}, 400, "invalid_parameters"),
        ({"expires_in": 0}, 400, "invalid_parameters"),
        ({"expires_in": "90d"}, 400, "malformed_body"),
        ({"flows": []}, 400, "malformed_body"),
        ({"admin": "yes"}, 400, "malformed_body"),
        ({"role": "editor"}, 400, "malformed_body"),
        ({"flows": {"a" * MAX_BODY_BYTES: "editor"}}, 413, "body_too_large"),
        ({"create": [[]] * 5000}, 413, "too_many_values"),
        ({"flows": {"a" * 9000: "editor"}}, 400, "invalid_parameters"),
    ],
)
def test_acc150_what_is_no_key_is_refused(
    stack: Guarded, wanted: dict[str, Any], status: int, code: str
) -> None:
    answer = stack.create(**wanted)
    assert (answer.status, answer.json["code"]) == (status, code)
    assert stack.listed() == []


def by_operator(stack: Stack) -> str:
    """A key that was made at the machine; the server isn't told of it."""
    key, text = make_key(Random(5), stack.wall(), "ci", {"f": "editor"})
    result_of(stack.store.credentials.add_key(key, audit_creation(key)))
    return text


def doors(stack: Stack, text: str) -> list[int]:
    """The status of an answer by each door."""
    polled = stack.get("/socket/longpoll?vsn=2.0.0", bearer(text)).json
    checked = stack.post_json("/socket/check?vsn=2.0.0", {"token": text}).json
    opened = stack.upgrade(f"vsn=2.0.0&token={text}").transport.value()
    return [
        stack.get("/api/me", bearer(text)).status,
        int(opened.split()[1]),
        polled["status"],
        200 if checked["admitted"] else checked["refusal"]["code"],
    ]


IN, OUT = [200, 101, 410, 200], [401, 403, 403, "token_refused"]


@pytest.mark.parametrize("auth", ["jwt", "header:X-User", "anyone", None])
def test_acc151_keys_open_every_door_whatever_auth_says(tmp_path: Path, auth: str | None) -> None:
    options: dict[str, Any] = {"auth": auth} if auth != "jwt" else {}
    if auth is None:
        options = {"auth": []}
    stack = Guarded(tmp_path, trusted_proxy="10.0.0.1", **options)
    made = by_operator(stack)
    assert doors(stack, made) == IN
    me = stack.get("/api/me", bearer(made)).json
    assert (me["id"][:4], me["name"], me["kind"]) == ("key:", "ci", "service")
    assert me["admin"] is (auth in ("anyone", None))
    for wrong in (made[:-1], made + "a", "hx_" + "a" * 43, "hg_" + made[3:], "hx_"):
        assert doors(stack, wrong) == OUT, wrong


def test_acc151_a_key_may_do_what_it_was_given(stack: Guarded) -> None:
    key = bearer(stack.made(flows={"team-a/*": "viewer"}, create=["team-a/*"])["key"])
    assert stack.post_json("/api/flows", {"id": "team-a/f"}, key).status == 201
    assert stack.post_json("/api/flows", {"id": "other"}, key).status == 403
    result_of(stack.store.create("other", "e", NOW))
    assert stack.get("/api/flows/other", key).status == 404
    assert stack.get("/api/flows/team-a%2Ff", key).status == 200
    listed = stack.get("/api/flows", key).json["flows"]
    assert [one["id"] for one in listed] == ["team-a/f"]


def test_acc151_access_lists_may_name_a_key(stack: Guarded) -> None:
    made = stack.made()
    key = bearer(made["key"])
    result_of(stack.store.create("f", "e", NOW))
    assert stack.get("/api/flows/f", key).status == 404
    stack.share(owner=f"key:{made['id']}")
    assert stack.get("/api/flows/f", key).json["role"] == "owner"


def test_acc151_nobody_else_has_the_id_of_a_key_or_a_guest(stack: Guarded) -> None:
    made = stack.made()
    for claimed in (f"key:{made['id']}", "key:", "guest:x"):
        assert stack.get("/api/me", bearer(token(sub=claimed))).status == 401
    proxied = Stack(auth="header:X-User", trusted_proxy="127.0.0.1")
    for claimed in ("key:x", " guest:x"):
        assert proxied.get("/api/me", ("X-User", claimed)).status == 401


def test_acc152_until_the_keys_can_be_read_it_is_to_be_tried_again(stack: Guarded) -> None:
    text = by_operator(stack)
    stack.store.is_open = False
    answer = stack.get("/api/me", bearer(text))
    assert (answer.status, answer.json["code"]) == (503, "keys_unavailable")
    assert answer.headers["retry-after"]
    assert stack.get("/api/me", bearer(token())).status == 200
    stack.store.is_open = True
    assert stack.get("/api/me", bearer(text)).status == 200


def polled(poller: Poller) -> list[Any]:
    return [[message[2], message[3]] for message in poller.messages()]


def test_acc153_a_revoked_key_ends_what_it_has_opened_at_once(stack: Guarded) -> None:
    made, other = stack.made(flows={"f": "editor"}), stack.made(flows={"f": "editor"})
    result_of(stack.store.create("f", "e", NOW))
    poller = Poller(stack, f"vsn=2.0.0&token={made['key']}")
    staying = Poller(stack, f"vsn=2.0.0&token={other['key']}")
    for client in (poller, staying):
        client.push("flow:f", "phx_join")
    socket = stack.open(f"vsn=2.0.0&token={made['key']}")
    stack.settle()
    poller.poll()
    assert stack.revoke(made["id"]).status == 204
    assert polled(poller) == [["flow:f", "access_revoked"], ["flow:f", "phx_close"]]
    stack.run(1.0, 0.05)
    (closed,) = [frame for frame in socket.take_frames() if frame.opcode == 8]
    assert int.from_bytes(closed.payload[:2], "big") == 4401
    assert poller.poll()["status"] != 200
    assert doors(stack, made["key"]) == OUT
    assert doors(stack, other["key"]) == IN
    assert staying.poll()["status"] in (200, 204)
    assert stack.revoke(made["id"]).json["code"] == "key_not_found"
    assert [entry.action for entry in stack.audited()][:1] == ["key.revoke"]
    assert json.loads(stack.audited()[0].details) == {"name": "ci"}


@pytest.mark.parametrize("key_id", ["x", "%00", "a" * 65, "..%2F", "hx_" + "a" * 43])
def test_acc153_there_is_no_such_key(stack: Guarded, key_id: str) -> None:
    assert stack.revoke(key_id).json["code"] == "key_not_found"


def test_acc154_the_list_tells_when_a_key_was_used(stack: Guarded) -> None:
    made = stack.made()
    assert stack.listed()[0]["used_at"] is None
    stack.get("/api/me", bearer(made["key"]))
    assert stack.listed()[0]["used_at"] == NOW


def test_acc150_where_everybody_may_do_everything_nobody_makes_keys_by_rest(tmp_path: Path) -> None:
    for auth in ([], ["anyone"], ["anyone", f"jwt:hmac:{secret_file(tmp_path)}"]):
        stack = Guarded(tmp_path, auth=auth)
        assert stack.create().json["code"] == "forbidden"
        assert stack.create(bearer(by_operator(stack)), admin=True).status == 403
        assert len(stack.listed()) == 1


def test_acc151_sockets_end_with_the_key(stack: Guarded) -> None:
    made = stack.made(expires_in=50)
    socket = stack.open(f"vsn=2.0.0&token={made['key']}")
    stack.run(51)
    (closed,) = [frame for frame in socket.take_frames() if frame.opcode == 8]
    assert int.from_bytes(closed.payload[:2], "big") == 4401
    assert doors(stack, made["key"]) == OUT


# guests


def test_acc155_a_link_is_exchanged_for_a_guests_token(stack: Guarded) -> None:
    answer = stack.come({"link": stack.link(role=Role.COMMENTER), "name": " Grace "})
    assert answer.status == 201
    came = answer.json
    assert (came["flow_id"], came["role"]) == ("f", "commenter")
    assert came["expires_at"] == NOW + GUEST_SECONDS
    me = stack.get("/api/me", bearer(came["token"])).json
    assert (me["id"], me["name"], me["kind"]) == (came["principal_id"], "Grace", "guest")
    assert me["admin"] is False
    assert stack.get("/api/flows/f", bearer(came["token"])).json["role"] == "commenter"
    assert stack.get("/api/flows", bearer(came["token"])).json["flows"] == []
    assert doors(stack, came["token"]) == IN
    for wrong in (
        came["token"][:-4],
        came["token"][3:],
        "hx_" + came["token"][3:],
        came["token"][:3] + token(),
        token(sub="guest:x"),
    ):
        assert doors(stack, wrong) == OUT, wrong
    stack.share(links={})
    assert stack.get("/api/flows/f", bearer(came["token"])).status == 404


def test_nod153_a_key_that_comes_after_standing_still_may_have_been_revoked(
    stack: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, other = stack.made(), stack.made()
    stack.access.startService()
    stack.settle()
    for one in (key, other):
        assert stack.get("/api/me", bearer(one["key"])).status == 200
    result_of(stack.store.credentials.remove_key(key["id"], audit_revocation(key["id"], NOW, "")))
    stack.clock.rightNow += 30
    asking = stack.connect()
    asking.request("GET", "/api/me", [bearer(key["key"])])
    stack.settle()
    assert asking.answer.status == 401
    stack.clock.rightNow += 30
    monkeypatch.setattr(stack.store.access, "changes", lambda *_: fail(StoreUnavailable()))
    asking = stack.connect()
    asking.request("GET", "/api/me", [bearer(other["key"])])
    stack.settle()
    assert asking.answer.status == 200  # what is known will do
    assert stack.get("/api/me", bearer(other["key"])).status == 200
    stack.access.stopService()


def test_acc155_a_link_that_an_owner_makes_lets_guests_in_until_it_is_revoked(
    stack: Guarded,
) -> None:
    stack.post_json("/api/flows", {"id": "f"}, stack.root)
    wanted = {"role": "editor", "password": "sesame", "expires_in": 60}
    made = stack.post_json("/api/flows/f/links", wanted, stack.root).json
    secret = made["path"].partition("#link=")[2]
    assert stack.come({"link": secret}).json["code"] == "password_refused"
    came = stack.come({"link": secret, "password": "sesame"}).json
    assert (came["role"], came["expires_at"]) == ("editor", NOW + 60)
    poller = Poller(stack, f"vsn=2.0.0&token={came['token']}")
    poller.push("flow:f", "phx_join")
    stack.settle()
    poller.poll()
    gone = stack.request("DELETE", f"/api/flows/f/links/{made['id']}", [stack.root])
    assert gone.status == 204
    assert polled(poller) == [["flow:f", "access_revoked"], ["flow:f", "phx_close"]]
    assert stack.come({"link": secret, "password": "sesame"}).json["code"] == "link_not_found"
    assert stack.get("/api/flows/f", bearer(came["token"])).status == 404


def test_acc155_guests_come_to_open_servers_too() -> None:
    stack = Stack()
    result_of(stack.store.create("f", "e", NOW))
    link = Link("link", Role.VIEWER, digest_of(SECRET), NOW)
    audited = AuditEntry(0, NOW, "link.create", "f")
    result_of(stack.store.access.change("f", lambda _: FlowAccess(links={"link": link}), audited))
    came = stack.post_json("/api/guests", {"link": f"link.{SECRET}", "name": "Grace"}).json
    me = stack.get("/api/me", bearer(came["token"])).json
    assert (me["name"], me["kind"], me["admin"]) == ("Grace", "guest", True)
    assert doors(stack, came["token"]) == IN
    assert doors(stack, came["token"][:-4]) == OUT


def test_acc156_a_guest_who_comes_again_stays_the_same(stack: Guarded) -> None:
    link = stack.link()
    came = stack.come({"link": link, "name": "Grace"}).json
    stack.clock.advance(GUEST_SECONDS + 5)
    again = stack.come({"link": link}, bearer(came["token"])).json
    assert again["principal_id"] == came["principal_id"]
    assert stack.get("/api/me", bearer(again["token"])).json["name"] == "Grace"
    for other in (bearer(token()), bearer("hx_" + "a" * 43), bearer(came["token"][:-4])):
        answer = stack.come({"link": link}, other)
        assert answer.status == 201
        assert answer.json["principal_id"] != came["principal_id"]


def test_acc156_a_connection_goes_on_by_the_new_token(stack: Guarded) -> None:
    link = stack.link()
    came = stack.come({"link": link}).json
    poller = Poller(stack, f"vsn=2.0.0&token={came['token']}")
    join_ref = poller.push("flow:f", "phx_join")
    stack.settle()
    poller.poll()

    def renewed(text: str) -> str:
        poller.push("flow:f", "access_token", {"access_token": text}, join_ref=join_ref)
        (reply,) = poller.messages()
        return str(reply[4]["response"].get("code", "ok"))

    assert renewed(stack.come({"link": link}, bearer(came["token"])).json["token"]) == "ok"
    assert renewed(stack.come({"link": link}).json["token"]) == "forbidden", "another guest"
    assert renewed(came["token"][:-4]) == "token_refused"


WRONG: list[tuple[object, int, str]] = [
    ({}, 400, "invalid_parameters"),
    ({"link": "a.b", "flow": "f"}, 400, "invalid_parameters"),
    ({"flow": "f", "password": "x"}, 400, "invalid_parameters"),
    ({"flow": ""}, 400, "invalid_flow_id"),
    ({"flow": "f\u0000"}, 400, "invalid_flow_id"),
    ({"link": "a.b", "name": "a\nb"}, 400, "invalid_parameters"),
    ({"link": "a.b", "name": "a" * 256}, 400, "invalid_parameters"),
    ({"link": 1}, 400, "malformed_body"),
    ({"link": "a.b", "role": "owner"}, 400, "malformed_body"),
    (b"{", 400, "malformed_body"),
    ({"link": "a" * 20_000}, 413, "body_too_large"),
    ({"link": "a.b"}, 404, "link_not_found"),
    ({"link": ""}, 404, "link_not_found"),
    ({"link": "\u0000.b"}, 404, "link_not_found"),
    ({"link": f"link.{SECRET}x"}, 404, "link_not_found"),
    ({"link": f"link.{SECRET}"}, 403, "password_refused"),
    ({"link": f"link.{SECRET}", "password": "x"}, 403, "password_refused"),
    ({"flow": "f"}, 404, "flow_not_found"),
    ({"flow": "gone"}, 404, "flow_not_found"),
]


@pytest.mark.parametrize(("wanted", "status", "code"), WRONG)
def test_acc157_what_lets_nobody_in(stack: Guarded, wanted: object, status: int, code: str) -> None:
    stack.link(password=hash_password("sesame", b"salt"))
    answer = stack.come(wanted)
    assert (answer.status, answer.json["code"]) == (status, code)


def test_acc157_a_page_of_another_origin_lets_nobody_in(stack: Guarded) -> None:
    link = stack.link()
    answer = stack.come({"link": link}, ("Origin", "https://evil.example.com"))
    assert (answer.status, answer.json["code"]) == (403, "origin_refused")


def test_acc157_while_the_store_is_away_it_is_to_be_tried_again(stack: Guarded) -> None:
    link = stack.link()
    result_of(stack.store.stop())
    for wanted in ({"link": link}, {"flow": "f"}):
        answer = stack.come(wanted)
        assert (answer.status, answer.json["code"]) == (503, StoreUnavailable.code)


def test_acc158_the_address_of_a_flow_that_is_open_to_all(stack: Guarded) -> None:
    link = stack.link()
    stack.share(general=GeneralAccess(Audience.LINK, Role.EDITOR))
    came = stack.come({"flow": " f "}).json
    assert (came["flow_id"], came["role"]) == ("f", "editor")
    assert stack.get("/api/flows/f", bearer(came["token"])).json["role"] == "editor"
    by_link = stack.come({"link": link}).json
    assert by_link["role"] == "viewer"
    stack.share(general=GeneralAccess())
    assert stack.get("/api/flows/f", bearer(came["token"])).status == 404
    assert stack.get("/api/flows/f", bearer(by_link["token"])).status == 200


def test_acc159_guessing_is_slowed_down(stack: Guarded) -> None:
    link = stack.link(password=hash_password("sesame", b"salt"))
    elsewhere = {"address": "192.0.2.1"}
    assert stack.come({"link": link, "password": "sesame"}, **elsewhere).status == 201
    for _ in range(int(ADDRESS_BURST)):
        assert stack.come({"link": link, "password": "wrong"}, **elsewhere).status == 403
    limited = stack.come({"link": link, "password": "sesame"}, **elsewhere)
    assert (limited.status, limited.json["code"]) == (429, "rate_limited")
    assert limited.headers["retry-after"] == "10"
    assert stack.come({"link": link, "password": "sesame"}, address="192.0.2.2").status == 201


def test_acc4_no_key_or_secret_of_a_guest_is_logged_or_told_again(
    stack: Guarded, logged: Log
) -> None:
    made = stack.made(flows={"f": "editor"})
    link = stack.link(password=hash_password("opensesame", b"salt"))
    come = {"link": link, "password": "opensesame"}
    came = stack.come(come).json
    secrets = [made["key"][3:], *came["token"][3:].split("."), SECRET, "opensesame"]
    answers = [
        stack.get("/api/keys", stack.root),
        stack.get("/api/me", bearer(made["key"])),
        stack.get("/api/me", bearer(came["token"])),
        stack.get("/api/me", bearer(made["key"] + "x")),
        stack.get("/api/me", bearer(came["token"] + "x")),
        stack.get(f"/socket/longpoll?token={made['key']}"),
        stack.get(f"/socket/longpoll?token={came['token']}x"),
        stack.post_json("/socket/check", {"token": made["key"] + "x"}),
        stack.come({**come, "password": "opensesames"}),
        stack.come({**come, "link": link + "x"}),
        stack.come({**come, "more": "x"}),
        stack.get("/metrics", stack.root),
    ]
    stack.open(f"vsn=2.0.0&token={made['key']}")
    stack.run(60)
    told = "".join(answer.text for answer in answers)
    for secret in secrets:
        assert secret not in told
        assert secret not in logged.text
        assert all(secret.encode() not in entry.details for entry in stack.audited())
