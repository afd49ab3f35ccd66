"""REST for flows: reads, edits and creates them; and the REST twins of socket events."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Final
from urllib.parse import quote

import msgspec
from twisted.internet.defer import Deferred
from twisted.web.http import NO_CONTENT
from twisted.web.iweb import IRequest

from helix import __version__
from helix.access.decision import Permission
from helix.access.roles import Right
from helix.delivery.protocol import T, encode_json
from helix.documents.decoding import Decoder, PartsDecoder
from helix.documents.ids import parse_flow_id, parse_new_flow_id
from helix.errors import (
    DocumentTooLarge,
    InvalidFlowId,
    InvalidParameters,
    MissingChanges,
    PatchTooLarge,
)
from helix.flows.everywhere import Known, SessionsEverywhere
from helix.flows.library import FlowLibrary
from helix.flows.service import FlowSessionService
from helix.flows.version_names import VersionNames, parse_version_name
from helix.limits.apart import Apart, at_once
from helix.limits.weight import BYTES_PER_UNIT, DOCUMENT_BYTES_PER_UNIT
from helix.log.edits import Accepted, FlowState
from helix.web.access import RestAccess, describe_access, permit_of
from helix.web.admission import Visitors, body_bytes
from helix.web.authors import read_author, read_maker
from helix.web.base_path import base_of
from helix.web.etags import Conditions, digest_tag, tag_of
from helix.web.flow_list import page_of, read_query
from helix.web.representations import (
    describe_completeness,
    describe_entry,
    describe_flow,
    describe_named,
    describe_state,
)
from helix.web.routes import (
    JSON,
    MAX_NUMBER,
    MERGE_PATCH,
    BodyAllowance,
    make_app,
    parse_body,
    parse_number,
    read_body,
    read_limit,
    read_number,
    read_text,
    read_user_name,
    take_body,
    to_the_end,
    write_json,
    write_known,
    write_with,
)

ENTRIES_ON_A_PAGE = 100

WHITE_SPACE = 2
"""
How many times larger than a document or a patch the body with it may be: their limits count no
white space.
"""


class _Sync(msgspec.Struct):
    changes: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Creation(msgspec.Struct, forbid_unknown_fields=True):
    id: str | msgspec.UnsetType = msgspec.UNSET
    title: str | msgspec.UnsetType = msgspec.UNSET
    description: str | msgspec.UnsetType = msgspec.UNSET
    document: Any = msgspec.UNSET
    template: str | msgspec.UnsetType = msgspec.UNSET


class _Naming(msgspec.Struct, forbid_unknown_fields=True):
    name: str


class _Restoration(msgspec.Struct, forbid_unknown_fields=True):
    # In JSON, 1.0 is a whole number as 1 is.
    version: Annotated[float, msgspec.Meta(ge=0, le=MAX_NUMBER, multiple_of=1)]


_SYNC = msgspec.json.Decoder(_Sync)
_CREATION: PartsDecoder[_Creation] = PartsDecoder(_Creation)
_NAMING = msgspec.json.Decoder(_Naming)
_RESTORATION = msgspec.json.Decoder(_Restoration)
_ANYTHING: PartsDecoder[Any] = PartsDecoder(Any)


def file_name(title: str) -> bytes:
    """
    Make the Content-Disposition of a flow that is kept as a file (RFC 6266).

    :return: it, with a name of plain characters, and one of all that a file's name may hold.
    """
    shown = "".join(c if c.isprintable() and c not in '\\/:*?"<>|' else " " for c in title)
    name = " ".join(shown.split())[:80].strip(" .") or "flow"
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_. ") else "-" for c in name)
    disposition = f"attachment; filename=\"{plain}.json\"; filename*=UTF-8''{quote(name)}.json"
    return disposition.encode("ascii")


def _tag_of(state: FlowState, role: str = "") -> str:
    return tag_of(state.head.epoch, state.version, state.head.chain, role)


class FlowRoutes:
    """
    The routes under ``/api/flows``.

    :param access: asks what clients may do.
    :param max_change_bytes: the largest body with changes that are only broadcast.
    :param apart: does what takes long.
    """

    app: Final = make_app()

    def __init__(
        self,
        library: FlowLibrary,
        names: VersionNames,
        sessions: FlowSessionService,
        visitors: Visitors,
        access: RestAccess,
        max_change_bytes: int,
        apart: Apart = at_once,
    ) -> None:
        self._apart = apart
        self._library = library
        self._names = names
        self._visitors = visitors
        self._access = access
        self._sessions = SessionsEverywhere(sessions)
        limits = library.limits
        largest = WHITE_SPACE * limits.max_document_bytes
        heaviest = limits.max_document_bytes // DOCUMENT_BYTES_PER_UNIT
        self._change = BodyAllowance(max_change_bytes, max_change_bytes // BYTES_PER_UNIT)
        self._patch = BodyAllowance(
            WHITE_SPACE * limits.max_patch_bytes,
            limits.max_patch_bytes // BYTES_PER_UNIT,
            (limits.max_patch_bytes, PatchTooLarge),
        )
        self._document = BodyAllowance(
            largest, heaviest, (limits.max_document_bytes, DocumentTooLarge)
        )
        # Other programs' files may hold what isn't kept.
        self._file = BodyAllowance(largest, WHITE_SPACE * heaviest)

    # all flows

    @app.route("/api/flows", methods=["GET"])
    async def list_flows(self, request: IRequest) -> bytes:
        query = read_query(request, self._library.ago)
        heads = await self._library.list(query)
        # What the page says comes of these alone, so it needn't be made to be known.
        access = await self._access.describe(request, [head.flow_id for head in heads])
        tag = digest_tag(encode_json([__version__, query.limit - 1, heads, access]))
        if write_known(request, tag, Conditions.of(request)):
            return b""
        return write_json(request, page_of(heads, access, query), cache=b"no-cache")

    @app.route("/api/flows", methods=["POST"])
    async def create(self, request: IRequest) -> bytes:
        self._visitors.check_creation(request)
        wanted = await self._read_large(request, _CREATION, self._document)
        flow_id = None if wanted.id is msgspec.UNSET else parse_new_flow_id(wanted.id)
        replaces = await self._access.check_creation(request, flow_id)
        document = self._document_of(wanted)
        author, charge = read_maker(request, flow_id), self._visitors.charge_of(request)
        size = body_bytes(request)
        state = await to_the_end(
            self._library.create(document, flow_id, author, size, charge, replaces)
        )
        return await self._created(request, state)

    @app.route("/api/flows/import", methods=["POST"])
    async def import_flow(self, request: IRequest) -> bytes:
        self._visitors.check_creation(request)
        given = await self._read_large(request, _ANYTHING, self._file)
        wanted = read_text(request, "id")
        flow_id = None if wanted is None else parse_new_flow_id(wanted)
        replaces = await self._access.check_creation(request, flow_id)
        author, charge = read_maker(request, flow_id), self._visitors.charge_of(request)
        size = body_bytes(request)
        imported = await to_the_end(
            self._library.import_(given, flow_id, author, size, charge, replaces)
        )
        dropped = {
            "nodes": imported.dropped_nodes,
            "edges": imported.dropped_edges,
            "parents": imported.dropped_parents,
        }
        return await self._created(request, imported.state, dropped=dropped)

    # one flow

    @app.route("/api/flows/<flow_alone:flow_id>", methods=["GET"])
    async def read(self, request: IRequest, flow_id: str) -> bytes:
        flow_id, permission = await self._check(request, flow_id, Right.READ)
        version, conditions = read_number(request, "version", None, 0), Conditions.of(request)
        access = describe_access(request, permission)
        role = str(access.get("role", ""))
        if version is None and conditions.none_match is not None:
            head = await self._library.head(flow_id)
            tag = tag_of(head.epoch, head.version, head.chain, role)
            if conditions.is_known(tag) and write_known(request, tag, conditions):
                return b""
        state = await self._library.read(flow_id, version, self._visitors.customer(request))
        if write_known(request, _tag_of(state, role), conditions):
            return b""
        described = describe_state(state) | access
        return write_with(request, described, "document", state.document, cache=b"no-cache")

    @app.route("/api/flows/<flow_alone:flow_id>", methods=["PATCH"])
    async def patch(self, request: IRequest, flow_id: str) -> bytes:
        flow_id, permission = await self._check(request, flow_id, Right.EDIT)
        permit = permit_of(permission)
        patch = read_body(request, _ANYTHING, self._patch, (MERGE_PATCH, JSON))
        check = Conditions.of(request).check
        author = read_author(request, permission)
        charge = self._visitors.charge_of(request)
        patched = self._library.patch(flow_id, patch, check, author, charge, permit)
        accepted = await to_the_end(patched)
        return self._accepted(request, flow_id, accepted)

    @app.route("/api/flows/<flow_alone:flow_id>", methods=["PUT"])
    async def replace(self, request: IRequest, flow_id: str) -> bytes:
        flow_id, permission = await self._check(request, flow_id, Right.EDIT)
        permit = permit_of(permission)
        document = await self._read_large(request, _ANYTHING, self._document)
        check = Conditions.of(request).check
        author = read_author(request, permission)
        charge, size = self._visitors.charge_of(request), body_bytes(request)
        replaced = self._library.replace(flow_id, document, check, author, charge, size, permit)
        accepted = await to_the_end(replaced)
        return self._accepted(request, flow_id, accepted)

    @app.route("/api/flows/<flow_alone:flow_id>", methods=["DELETE"])
    async def delete(self, request: IRequest, flow_id: str) -> bytes:
        flow_id, permission = await self._check(request, flow_id, Right.MANAGE)
        check, by = Conditions.of(request).check, read_user_name(request)
        if check is not None:
            head = await self._library.head(flow_id)
            check(head.epoch, head.version, head.chain)
        head = await to_the_end(self._library.delete(flow_id, by))
        return write_json(request, describe_flow(head) | describe_access(request, permission))

    @app.route("/api/flows/<flow:flow_id>/undelete", methods=["POST"])
    async def undelete(self, request: IRequest, flow_id: str) -> bytes:
        flow_id, permission = await self._check(request, flow_id, Right.MANAGE)
        head = await to_the_end(self._library.undelete(flow_id))
        request.setHeader(b"etag", tag_of(head.epoch, head.version, head.chain).encode())
        return write_json(request, describe_flow(head) | describe_access(request, permission))

    @app.route("/api/flows/<flow:flow_id>/duplicate", methods=["POST"])
    async def duplicate(self, request: IRequest, flow_id: str) -> bytes:
        self._visitors.check_creation(request)
        flow_id, _ = await self._check(request, flow_id, Right.READ)
        await self._access.check_creation(request, None)
        author = read_maker(request, None)
        who, charge = self._visitors.customer(request), self._visitors.charge_of(request)
        state = await to_the_end(self._library.duplicate(flow_id, author, who, charge))
        if charge is not None:
            charge(0.0, len(state.document))
        return await self._created(request, state)

    @app.route("/api/flows/<flow:flow_id>/restore", methods=["POST"])
    async def restore(self, request: IRequest, flow_id: str) -> bytes:
        flow_id, permission = await self._check(request, flow_id, Right.EDIT)
        permit = permit_of(permission)
        version = int(read_body(request, _RESTORATION, self._change).version)
        check = Conditions.of(request).check
        author = read_author(request, permission)
        who, charge = self._visitors.customer(request), self._visitors.charge_of(request)
        restored = self._library.restore(flow_id, version, check, author, who, charge, permit)
        accepted = await to_the_end(restored)
        return self._accepted(request, flow_id, accepted)

    @app.route("/api/flows/<flow:flow_id>/entries", methods=["GET"])
    async def entries(self, request: IRequest, flow_id: str) -> bytes:
        flow_id, _ = await self._check(request, flow_id, Right.READ)
        after = read_number(request, "after", 0, 0) or 0
        limit = read_limit(request, ENTRIES_ON_A_PAGE)
        who = self._visitors.customer(request)
        page = await self._library.entries(flow_id, after, limit, who)
        entries = [describe_entry(entry) for entry in page.entries]
        return write_json(request, {"epoch": page.epoch, "entries": entries, "next": page.next})

    @app.route("/api/flows/<flow:flow_id>/versions", methods=["GET"])
    async def versions(self, request: IRequest, flow_id: str) -> bytes:
        flow_id, _ = await self._check(request, flow_id, Right.READ)
        listed = await self._names.list(flow_id)
        versions = [describe_named(named) for named in listed.versions]
        return write_json(request, {"epoch": listed.epoch, "versions": versions})

    @app.route("/api/flows/<flow:flow_id>/versions/<version>", methods=["PUT"])
    async def name_version(self, request: IRequest, flow_id: str, version: str) -> bytes:
        flow_id, permission = await self._check(request, flow_id, Right.EDIT)
        name = parse_version_name(read_body(request, _NAMING, self._change).name)
        place = (flow_id, parse_number("version", version, 0))
        check = Conditions.of(request).check
        author = read_author(request, permission)
        naming = await to_the_end(self._names.give(*place, name, author, check))
        described = {"id": place[0], "epoch": naming.epoch, **describe_named(naming.named)}
        return write_json(request, described, 201 if naming.is_new else 200)

    @app.route("/api/flows/<flow:flow_id>/versions/<version>", methods=["DELETE"])
    async def unname_version(self, request: IRequest, flow_id: str, version: str) -> bytes:
        flow_id, permission = await self._check(request, flow_id, Right.EDIT)
        place = (flow_id, parse_number("version", version, 0))
        check = Conditions.of(request).check
        author = read_author(request, permission)
        await to_the_end(self._names.take(*place, author, check))
        request.setResponseCode(NO_CONTENT)
        return b""

    @app.route("/api/flows/<flow:flow_id>/export", methods=["GET"])
    async def export(self, request: IRequest, flow_id: str) -> bytes:
        flow_id, _ = await self._check(request, flow_id, Right.READ)
        who = self._visitors.customer(request)
        exported, document = await self._library.export(flow_id, who)
        request.setHeader(b"content-disposition", file_name(exported["title"] or exported["id"]))
        return write_with(request, exported, "document", document)

    # what sockets can do

    @app.route("/api/flows/<flow:flow_id>/status", methods=["GET"])
    async def status(self, request: IRequest, flow_id: str) -> bytes:
        try:
            flow_id, _ = await self._check(request, flow_id, Right.READ)
            found = await self._sessions.open_flow(flow_id)
        except InvalidFlowId:
            found = Known(None, True)
        flow = found.value
        described = {
            "active": flow is not None,
            "client_count": flow.client_count if flow else 0,
            "last_activity": int(flow.last_activity) if flow else None,
        }
        return write_json(request, described | describe_completeness(found))

    @app.route("/api/flows/<flow:flow_id>/sync", methods=["POST"])
    async def sync(self, request: IRequest, flow_id: str) -> bytes:
        flow_id, permission = await self._check(request, flow_id, Right.EDIT)
        permit = permit_of(permission)
        changes = read_body(request, _SYNC, self._change).changes
        if changes is msgspec.UNSET:
            raise MissingChanges()
        sending = self._sessions.broadcast(flow_id, bytes(changes), permit)
        sent = await to_the_end(Deferred.fromCoroutine(sending))
        message = f"Changes sent to {sent.value} client{'' if sent.value == 1 else 's'}"
        return write_json(
            request, {"success": True, "message": message} | describe_completeness(sent)
        )

    # inside

    async def _check(self, request: IRequest, text: str, right: Right) -> tuple[str, Permission]:
        """
        Check what a request wants of a flow, before anything else.

        :param text: the flow's id, as the address has it.
        :return: the id, and what the client may do with the flow.
        :raises InvalidFlowId: when it is none.
        :raises FlowNotFound, Forbidden: as `helix.web.access.RestAccess.check`.
        """
        flow_id = parse_flow_id(text)
        return flow_id, await self._access.check(request, flow_id, right)

    def _document_of(self, wanted: _Creation) -> Any:
        """
        Give the document that a flow is to be made of, of whichever kind it was given.

        :raises InvalidParameters: when it was given in two ways, which may contradict each other.
        """
        named = {"title": wanted.title, "description": wanted.description}
        texts = {name: text for name, text in named.items() if text is not msgspec.UNSET}
        ways = (
            bool(texts),
            *(way is not msgspec.UNSET for way in (wanted.document, wanted.template)),
        )
        if sum(ways) > 1:
            raise InvalidParameters(
                "Give a document, or a template, or a title and a description; not several of them"
            )
        if wanted.template is not msgspec.UNSET:
            return self._library.template(wanted.template).document
        return texts if wanted.document is msgspec.UNSET else wanted.document

    async def _read_large(self, request: IRequest, decode: Decoder[T], room: BodyAllowance) -> T:
        """As `helix.web.routes.read_body`, for what may take long."""
        text = take_body(request)
        charge = self._visitors.charge_of(request)
        return await self._apart(len(text), partial(parse_body, text, decode, room), charge)

    async def _created(self, request: IRequest, state: FlowState, **more: object) -> bytes:
        address = f"{base_of(request).path}/api/flows/{quote(state.head.flow_id, safe='')}"
        request.setHeader(b"location", address.encode())
        request.setHeader(b"etag", _tag_of(state).encode())
        (access,) = await self._access.describe(request, [state.head.flow_id])
        described = describe_state(state) | access | more
        return write_with(request, described, "document", state.document, 201)

    def _accepted(self, request: IRequest, flow_id: str, accepted: Accepted) -> bytes:
        tag = tag_of(accepted.epoch, accepted.version, accepted.chain)
        request.setHeader(b"etag", tag.encode())
        answer: dict[str, object] = {
            "id": flow_id,
            "epoch": accepted.epoch,
            "version": accepted.version,
        }
        if accepted.dropped:
            answer["dropped"] = accepted.dropped
        return write_with(request, answer, "patch", accepted.patch)
