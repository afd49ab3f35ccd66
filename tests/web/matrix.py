"""
What a matrix of access is made of: a whole server, ways to a role, routes, and wrong credentials.

Which role a request needs is said here, and nowhere taken from the server's own tables.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import attrs

from helix.access.paths import parse_paths
from helix.access.principal import Grant
from helix.access.roles import Role
from helix.access.sharing import Audience, FlowAccess, GeneralAccess, Link
from helix.chain import chained, origin_of
from helix.documents.document import FlowDocument, diff, empty_document, encode_document
from helix.identity.guests import digest_of
from helix.log.edits import summary_of
from helix.records import AuditEntry, Entry, NamedVersion
from tests.support.flowdata import by_id, edge, node
from tests.support.issuer import ISSUER, OWN, Browser, Signing
from tests.support.memory_clients import Answer, MemoryConnection, MemoryWebSocket, Poller
from tests.support.rawsocket import BINARY, TEXT
from tests.support.stack import NOW
from tests.support.tokens import bearer, claims, jwk, jwks, rsa_key, sign

AUDIENCE, APPLICATION = "helix", "https://app.test"

TITLE = "Zanzibar"
"""The title of all flows: whoever reads it where they may not see one has found a leak."""

NODES = [node("a", data={"prompt": "old"}), node("b"), node("c")]
EDGES = [edge("ab", "a", "b")]
WHOLE: dict[str, Any] = empty_document() | {
    "title": TITLE,
    "nodes": by_id(*NODES),
    "edges": by_id(*EDGES),
}

PATHS = ["/nodes/a/data"]
"""Those of a narrowed grant."""

INSIDE = {"nodes": {"a": {"data": {"prompt": "new"}}}}
OUTSIDE = {"title": f"{TITLE} 2"}

OWN_PAGE = [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "helix.test"), ("Origin", OWN)]
"""The headers with which a page of the server asks, behind its proxy."""

MERGE_PATCH = "application/merge-patch+json"

SECRET = "s" * 43

SPARE = Link("link-0", Role.VIEWER, digest_of(SECRET), NOW)
"""One that all flows have, and nobody has come by."""

HIDDEN = (404, "flow_not_found")
FORBIDDEN = (403, "forbidden")
FORBIDDEN_PATH = (403, "forbidden_path")

ADMINISTRATOR = Role.OWNER + 1
"""What is needed for what concerns the server."""

PUBLIC = -1
"""Needed for what asks nobody who they are."""

ANYBODY_KNOWN = 0
"""Needed for what is for everyone who is let in."""


@attrs.frozen
class Row:
    """
    A request by REST, and what it needs.

    :ivar route: the endpoint of the route tables.
    :ivar target: with ``F`` for the flow's id.
    :ivar needs: the lowest role in the flow, or one of the numbers above.
    :ivar status: of the answer where it is allowed.
    :ivar makes: the id that one must be allowed to create; ``*`` for any.
    :ivar is_outside: whether it changes what `PATHS` don't cover.
    :ivar changes: whether it changes anything where it is allowed.
    """

    route: str
    method: str
    target: str
    needs: int
    status: int = 200
    body: Any = None
    makes: str = ""
    is_outside: bool = False

    @property
    def changes(self) -> bool:
        return self.method != "GET" and self.needs > ANYBODY_KNOWN

    def __str__(self) -> str:
        return f"{self.method} {self.target} {'' if self.body is None else json.dumps(self.body)}"


FLOW = "/api/flows/F"
SHOWN = {"nodes": [node("a", data={"prompt": "shown"}), *NODES[1:]], "edges": EDGES}
GRAPH: dict[str, Any] = {"nodes": [], "edges": []}

OF_A_FLOW = [
    Row("read", "GET", FLOW, Role.VIEWER),
    Row("read", "GET", f"{FLOW}?version=1", Role.VIEWER),
    Row("read", "HEAD", FLOW, Role.VIEWER),
    Row("entries", "GET", f"{FLOW}/entries", Role.VIEWER),
    Row("versions", "GET", f"{FLOW}/versions", Role.VIEWER),
    Row("export", "GET", f"{FLOW}/export", Role.VIEWER),
    Row("status", "GET", f"{FLOW}/status", Role.VIEWER),
    Row("duplicate", "POST", f"{FLOW}/duplicate", Role.VIEWER, 201, makes="*"),
    Row("patch", "PATCH", FLOW, Role.EDITOR, body=INSIDE),
    Row("patch", "PATCH", FLOW, Role.EDITOR, body=OUTSIDE, is_outside=True),
    Row("replace", "PUT", FLOW, Role.EDITOR, body=WHOLE),
    Row("replace", "PUT", FLOW, Role.EDITOR, body=WHOLE | OUTSIDE, is_outside=True),
    Row("restore", "POST", f"{FLOW}/restore", Role.EDITOR, body={"version": 1}),
    Row("restore", "POST", f"{FLOW}/restore", Role.EDITOR, body={"version": 0}, is_outside=True),
    Row("name_version", "PUT", f"{FLOW}/versions/0", Role.EDITOR, 201, {"name": "Start"}),
    Row("unname_version", "DELETE", f"{FLOW}/versions/1", Role.EDITOR, 204),
    Row("sync", "POST", f"{FLOW}/sync", Role.EDITOR, body={"changes": SHOWN}),
    Row("sync", "POST", f"{FLOW}/sync", Role.EDITOR, body={"changes": {"x": 1}}, is_outside=True),
    Row("delete", "DELETE", FLOW, Role.OWNER),
    Row("undelete", "POST", f"{FLOW}/undelete", Role.OWNER),
    Row("read_list", "GET", f"{FLOW}/access", Role.OWNER),
    Row("change_list", "PATCH", f"{FLOW}/access", Role.OWNER, body={"members": {"eve": "owner"}}),
    Row("list_links", "GET", f"{FLOW}/links", Role.OWNER),
    Row("create_link", "POST", f"{FLOW}/links", Role.OWNER, 201, {"role": "editor"}),
    Row("revoke_link", "DELETE", f"{FLOW}/links/link-0", Role.OWNER, 204),
]

FOR_ADMINISTRATORS = [
    Row("status_page", "GET", "/status", ADMINISTRATOR),
    Row("index", "GET", "/", ADMINISTRATOR),  # the status page, where there is no editor
    Row("server_status", "GET", "/api/status", ADMINISTRATOR),
    Row("metrics", "GET", "/metrics", ADMINISTRATOR),
    Row("list_sessions", "GET", "/api/sessions", ADMINISTRATOR),
    Row("close_session", "DELETE", "/api/sessions/F", ADMINISTRATOR, 404),
    Row("list_keys", "GET", "/api/keys", ADMINISTRATOR),
    Row("create_key", "POST", "/api/keys", ADMINISTRATOR, 201, {"name": "n", "admin": True}),
    Row("revoke_key", "DELETE", "/api/keys/none", ADMINISTRATOR, 404),
    Row("read_audit", "GET", "/api/audit", ADMINISTRATOR),
    Row("end_sessions", "DELETE", "/api/auth/sessions?principal=nobody", ADMINISTRATOR),
]

FOR_ALL_KNOWN = [
    Row("list_flows", "GET", "/api/flows?limit=1000", ANYBODY_KNOWN),
    Row("list_flows", "GET", "/api/flows?limit=1000&deleted=true", ANYBODY_KNOWN),
    Row("list_flows", "GET", f"/api/flows?limit=1000&q={TITLE}", ANYBODY_KNOWN),
    Row("me", "GET", "/api/me", ANYBODY_KNOWN),
    Row("list_templates", "GET", "/api/templates", ANYBODY_KNOWN),
    Row("template", "GET", "/api/templates/ticket-triage", ANYBODY_KNOWN),
    Row("create", "POST", "/api/flows", ANYBODY_KNOWN, 201, {}, makes="*"),
    Row("create", "POST", "/api/flows", ANYBODY_KNOWN, 201, {"id": "NEW"}, makes="new-"),
    Row("import_flow", "POST", "/api/flows/import", ANYBODY_KNOWN, 201, GRAPH, makes="*"),
    Row("import_flow", "POST", "/api/flows/import?id=NEW", ANYBODY_KNOWN, 201, GRAPH, "new-"),
]

FOR_EVERYBODY = [
    Row("status_script", "GET", "/status.js", PUBLIC),
    Row("flow_page", "GET", "/flow/F", PUBLIC, 404),
    Row("asset", "GET", "/assets/x.js", PUBLIC, 404),
    Row("healthz", "GET", "/healthz", PUBLIC),
    Row("readyz", "GET", "/readyz", PUBLIC),
    Row("openapi", "GET", "/api/openapi.json", PUBLIC),
    Row("docs", "GET", "/api/docs", PUBLIC),
    Row("auth_ways", "GET", "/api/auth", PUBLIC),
    Row("become_guest", "POST", "/api/guests", PUBLIC, 404, {"flow": "F"}),
    Row("sign_in", "GET", "/auth/sign-in", PUBLIC, 303),
    Row("sign_in_callback", "GET", "/auth/callback?state=x", PUBLIC, 400),
    Row("sign_out", "POST", "/auth/sign-out", PUBLIC, 403),
]

ROWS = [*OF_A_FLOW, *FOR_ADMINISTRATORS, *FOR_ALL_KNOWN, *FOR_EVERYBODY]

ASKING = [row for row in ROWS if row.needs != PUBLIC]

# pushes


@attrs.frozen
class Push:
    """
    A push, and what it needs.

    :ivar needs: the lowest role.
    :ivar takes: the response where it is allowed; ``None`` where there is no reply.
    :ivar place: what it changes of the document; empty for nothing, ``?`` for what isn't read.
    :ivar is_binary: whether the payload is data.
    """

    event: str
    payload: Any
    needs: Role
    takes: Any = None
    place: str = ""
    is_binary: bool = False


DONE = {"status": "broadcasted"}

DOCUMENT_PUSHES = [
    Push("patch", {"op_id": 1, "patch": INSIDE}, Role.EDITOR, {"version": 2}, "inside"),
    Push("patch", {"op_id": 2, "patch": OUTSIDE}, Role.EDITOR, {"version": 3}, "outside"),
    Push("cursor", {"x": 1, "y": 2}, Role.VIEWER),
    Push("presence", {"selection": ["a"]}, Role.VIEWER, {}),
    Push("ping", {}, Role.VIEWER, {"status": "pong"}),
]

RELAY_PUSHES = [
    Push("flow_change", {"changes": {"nodes": NODES, "edges": EDGES}}, Role.VIEWER, DONE),
    Push("flow_change", {"changes": SHOWN}, Role.EDITOR, DONE, "inside"),
    Push("flow_change", {"changes": {"dragged": "a"}}, Role.EDITOR, DONE, "?"),
    Push("flow_change", b"data", Role.EDITOR, DONE, "?", is_binary=True),
    Push("ping", {}, Role.VIEWER, {"status": "pong"}),
]


class Socket:
    """A WebSocket of a client, which speaks the second version of the protocol."""

    def __init__(self, server: Server, client: Client) -> None:
        self._socket = server.upgrade(client)
        self._clock = server.stack.clock
        self._refs = count(1)
        self.heard = ""
        head, _, _ = self._socket.take().partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101"), head

    def ask(self, topic: str, event: str, payload: Any = None, join_ref: str | None = None) -> Any:
        """Push; the payload of the reply, ``None`` without one."""
        ref = str(next(self._refs))
        if isinstance(payload, bytes):
            parts = [one.encode() for one in (join_ref or "", ref, topic, event)]
            frame = bytes([0, *map(len, parts)]) + b"".join(parts) + payload
            self._socket.send_frame(BINARY, frame)
        else:
            join_ref = ref if event == "phx_join" else join_ref
            frame = json.dumps([join_ref, ref, topic, event, payload or {}]).encode()
            self._socket.send_frame(TEXT, frame)
        found = None
        for message in self.messages():
            if message[1] == ref and message[3] == "phx_reply":
                found = message[4]
        return found

    def join(self, topic: str, params: Any = None) -> tuple[str, Any]:
        """Join; the ``join_ref``, and the payload of the reply."""
        answer = self.ask(topic, "phx_join", params)
        return str(next(self._refs) - 1), answer

    def close(self) -> None:
        """Go, without a word."""
        self._socket.lose()

    def messages(self) -> list[Any]:
        """What has come by now."""
        for _ in range(3):
            self._clock.advance(0.001)
        texts = [frame.payload for frame in self._socket.take_frames() if frame.opcode == TEXT]
        self.heard += b"".join(texts).decode()
        return [json.loads(text) for text in texts]


# who asks


@attrs.frozen
class Client:
    """
    Who asks: by a token, or by cookies.

    :ivar token: empty for none.
    """

    token: str = ""
    cookies: tuple[tuple[str, str], ...] = ()

    @property
    def headers(self) -> Sequence[tuple[str, str]]:
        return [bearer(self.token)] if self.token else self.cookies

    @property
    def query(self) -> str:
        """What a socket's address carries."""
        return urlencode({"vsn": "2.0.0", **({"token": self.token} if self.token else {})})


def token(key: int = 1, head: dict[str, Any] | None = None, **more: object) -> str:
    """A token of the application."""
    given = claims(**{"aud": AUDIENCE, "iss": APPLICATION, **more})
    return sign(given, rsa_key(key), "RS256", **({"kid": "app"} if head is None else head))


@attrs.frozen
class Way:
    """
    A way to a role, and what stands at its end.

    :ivar role: that it leads to in the flows of `access`; ``None`` for none.
    :ivar access: what these give.
    :ivar flows: how their ids begin.
    :ivar lists: whether they are listed to the client.
    :ivar creates: how the ids begin that the client may create; ``*`` for any, empty for none.
    """

    name: str
    client: Client
    role: Role | None
    access: FlowAccess
    flows: str
    is_narrowed: bool = False
    is_admin: bool = False
    lists: bool = True
    creates: str = ""

    def may_create(self, wanted: str) -> bool:
        """Whether a request may make a flow. (`Row.makes`)"""
        return self.is_admin or self.creates in ("*", wanted)


class Server(Signing):
    """A server that takes tokens, keys, guests and sessions, with flows for each way to a role."""

    def __init__(self, directory: Path) -> None:
        keys = directory / "keys"
        keys.write_bytes(jwks(jwk(rsa_key(1), "app")))
        super().__init__(
            auth=[f"oidc:{ISSUER}", f"jwt:jwks:{keys}"],
            jwt_audience=AUDIENCE,
            jwt_issuer=APPLICATION,
            admin="root",
        )
        self.root = Client(token(sub="root"))
        self._numbers = count()
        self._connection: MemoryConnection | None = None
        document = FlowDocument(empty_document())
        patch = diff(document.content, WHOLE)
        document.apply(patch)
        first = Entry(1, encode_document(patch), NOW)
        self._entries = chained(origin_of("e"), [first])
        self._summary = summary_of(document)

    @property
    def store(self) -> Any:
        return self.stack.store

    def make(self, way: Way | None = None) -> str:
        """Make a flow to which a way leads, or one that gives nothing to anybody who asks."""
        flow_id = f"{way.flows if way else 'other-'}{next(self._numbers)}"
        self.store.create(flow_id, "e", NOW, self._entries, self._summary)
        access = way.access if way else FlowAccess("nobody-here")
        access = attrs.evolve(access, links={**access.links, SPARE.id: SPARE})
        self.store.access.change(flow_id, lambda _: access, AuditEntry(0, NOW, "x", flow_id))
        self.store.name_version(flow_id, "e", NamedVersion(1, "First", "", NOW))
        return flow_id

    def state(self, flow_id: str) -> object:
        """All that is kept of a flow."""
        log = self.store._logs[flow_id]
        return log.head, dict(log.names), dict(self.store.access._rows[flow_id])

    def send(self, client: Client, row: Row, flow_id: str) -> Answer:
        """Make the request of a row."""
        new = f"new-{next(self._numbers)}"
        target = row.target.replace("NEW", new).replace("F", quote(flow_id, safe=""))
        headers = [*client.headers]
        body = None
        if row.body is not None:
            text = json.dumps(row.body).replace('"F"', json.dumps(flow_id))
            body = text.replace("NEW", new).encode()
            kind = MERGE_PATCH if row.method == "PATCH" else "application/json"
            headers.append(("Content-Type", kind))
        if client.cookies:
            headers += OWN_PAGE
        if self._connection is None or self._connection.gone:
            self._connection = self.stack.connect()
        connection = self._connection
        connection.request(row.method, target, headers, body)
        if not connection.answers:
            self.settle()
        answer = connection.answer
        connection.forget()
        return answer

    def upgrade(self, client: Client) -> MemoryWebSocket:
        """Ask for a WebSocket."""
        own = OWN_PAGE if client.cookies else ()
        return self.stack.upgrade(client.query, *own, *client.cookies)

    def poller(self, client: Client) -> Poller:
        """A client of long polling."""
        assert not client.cookies
        return self.stack.poller(client.query)

    # ways to a role

    def guest(self, **wanted: str) -> Client:
        """A guest by a link, or by the address of a flow."""
        answer = self.stack.post_json("/api/guests", wanted)
        assert answer.status == 201, answer
        return Client(answer.json["token"])

    def key(self, **wanted: object) -> Any:
        """A new API key."""
        answer = self.stack.post_json("/api/keys", {"name": "ci", **wanted}, *self.root.headers)
        assert answer.status == 201, answer
        return answer.json

    def signed_in(self) -> Browser:
        """The browser of ``u1``, who has signed in."""
        browser = self.browser()
        assert browser.sign_in().status == 303
        return browser

    def ways(self) -> Iterator[Way]:
        """All ways, to each role that they lead to."""
        none = FlowAccess("nobody-here")
        yield Way("admin", self.root, Role.OWNER, none, "admin-", is_admin=True)
        admin = Client(token(sub="app", admin=True))
        yield Way("admin by token", admin, Role.OWNER, none, "admin-", is_admin=True)
        admin = Client(self.key(admin=True)["key"])
        yield Way("admin by key", admin, Role.OWNER, none, "admin-", is_admin=True)
        yield Way("owner", Client(token(sub="ada")), Role.OWNER, FlowAccess("ada"), "owned-")
        yield from self._without_a_role()
        for role in Role:
            for is_narrowed in (False, True) if role >= Role.EDITOR else (False,):
                yield from self._named(role, is_narrowed)
            if role < Role.OWNER:
                yield from self._unnamed(role)

    def _named(self, role: Role, is_narrowed: bool) -> Iterator[Way]:
        grant = Grant(role, parse_paths(PATHS) if is_narrowed else None)
        told: Any = {"role": role.text, "paths": PATHS} if is_narrowed else role.text
        mark = f"{role.text}-{'narrow-' if is_narrowed else ''}"
        none = FlowAccess("nobody-here")

        def way(name: str, client: Client, access: FlowAccess = none) -> Way:
            return Way(name, client, role, access, f"{name}-{mark}", is_narrowed)

        yield way("token", Client(token(sub="t", flows={f"token-{mark}*": told})))
        yield way("key", Client(self.key(flows={f"key-{mark}*": told})["key"]))
        bob = Client(token(sub="bob"))
        yield way("member", bob, attrs.evolve(none, members={"bob": grant}))
        session = Client(cookies=(self.signed_in().cookie_header,))
        by_session = way("session", session, attrs.evolve(none, members={"u1": grant}))
        yield attrs.evolve(by_session, creates="*")
        made = self.key(flows={})
        members = {f"key:{made['id']}": grant}
        yield way("program", Client(made["key"]), attrs.evolve(none, members=members))
        staff = Client(token(sub="cy", groups=["staff", "other"]))
        yield way("group", staff, attrs.evolve(none, groups={"staff": grant}))

    def _unnamed(self, role: Role) -> Iterator[Way]:
        mark, none = f"{role.text}-", FlowAccess("nobody-here")
        general = attrs.evolve(none, general=GeneralAccess(Audience.SIGNED_IN, role))
        yield Way("anybody", Client(token(sub="dee")), role, general, f"anybody-{mark}")
        general = attrs.evolve(none, general=GeneralAccess(Audience.LINK, role))
        way = Way("address", Client(), role, general, f"address-{mark}", lists=False)
        yield attrs.evolve(way, client=self.guest(flow=self.make(way)))
        yield attrs.evolve(way, name="address, as a person", client=Client(token(sub="dee")))
        link = Link(f"link-{role.value}", role, digest_of(SECRET), NOW)
        linked = attrs.evolve(none, links={link.id: link})
        way = Way("link", Client(), role, linked, f"link-{mark}", lists=False)
        self.make(way)
        yield attrs.evolve(way, client=self.guest(link=f"{link.id}.{SECRET}"))

    def _without_a_role(self) -> Iterator[Way]:
        """Everybody who comes near, and is not meant."""
        grant = Grant(Role.OWNER)
        link = Link("link-x", Role.EDITOR, digest_of(SECRET), NOW)
        other = Way("", Client(), None, FlowAccess("ada", links={link.id: link}), "else-")
        self.make(other)
        guest = self.guest(link=f"{link.id}.{SECRET}")
        guest_id = self.stack.get("/api/me", *guest.headers).json["id"]
        named = FlowAccess(guest_id, {guest_id: grant}, {guest_id: grant})
        everything = FlowAccess(
            "eve",
            {"bob": grant, "u2": grant, "Dee": grant, "dee ": grant},
            {"staff": grant, "dee": grant},
        )
        signed_in = attrs.evolve(everything, general=GeneralAccess(Audience.SIGNED_IN, Role.EDITOR))

        def way(name: str, client: Client, access: FlowAccess = everything) -> Way:
            return Way(name, client, None, access, f"none-{len(name)}-")

        yield way("somebody", Client(token(sub="dee", groups=["staf", "Staff", "m:bob"])))
        yield way("token for others", Client(token(sub="dee", flows={"other": "owner"})))
        yield way("key for others", Client(self.key(flows={"x*": "owner"}, create=["x*"])["key"]))
        yield way("program isn't signed in", Client(self.key(flows={})["key"]), signed_in)
        yield way("guest of another flow", guest)
        yield way("guest isn't signed in", guest, signed_in)
        yield way("guest whom a list names", guest, named)
        yield way("guest of a revoked link", self._revoked_guest())
        session = Client(cookies=(self.signed_in().cookie_header,))
        yield attrs.evolve(way("session", session), creates="*")
        for creates in ("new-", "*"):
            pattern = creates if creates == "*" else f"{creates}*"
            by_token = Client(token(sub="maker", create=[pattern]))
            by_key = Client(self.key(create=[pattern])["key"])
            for name, client in (("maker", by_token), ("maker by key", by_key)):
                yield attrs.evolve(way(name, client), creates=creates)

    def _revoked_guest(self) -> Client:
        link = Link("link-gone", Role.EDITOR, digest_of(SECRET), NOW)
        flow_id = self.make(
            Way("", Client(), None, FlowAccess("ada", links={link.id: link}), "gone-")
        )
        guest = self.guest(link=f"{link.id}.{SECRET}")
        row = Row("revoke_link", "DELETE", f"/api/flows/F/links/{link.id}", Role.OWNER, 204)
        assert self.send(self.root, row, flow_id).status == 204
        return guest
