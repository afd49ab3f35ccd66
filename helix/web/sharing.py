"""REST for access: what a flow gives to whom, its links, and the audit log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import quote

import msgspec
from twisted.web.http import NO_CONTENT
from twisted.web.iweb import IRequest

from helix.access.authorship import actor_of
from helix.access.principal import ANYBODY, Principal
from helix.access.roles import Right, Role
from helix.access.sharing import FlowAccess
from helix.delivery.protocol import encode_json
from helix.documents.ids import parse_flow_id
from helix.errors import FlowNotFound, Forbidden, InvalidParameters
from helix.identity.passwords import Passwords, check_password
from helix.interfaces import IAccessStore
from helix.limits.weight import BYTES_PER_UNIT
from helix.records import AuditEntry
from helix.sharing.changing import change_list, describe_list
from helix.sharing.links import describe_link, make_link, with_link, without_link
from helix.sharing.service import AccessService
from helix.web.access import RestAccess
from helix.web.admission import Visitors, principal_of
from helix.web.base_path import base_of
from helix.web.etags import Conditions, digest_tag
from helix.web.gate import check_admin
from helix.web.routes import (
    JSON,
    MERGE_PATCH,
    BodyAllowance,
    make_app,
    read_body,
    read_limit,
    read_number,
    to_the_end,
    write_json,
    write_known,
)

MAX_BODY_BYTES = 2 * 1024 * 1024
"""Bytes of a change of an access list, which may name all its members."""

MAX_LINK_BYTES = 16 * 1024

MAX_DETAILS_BYTES = 4096
"""Bytes of a change that the audit log keeps; of a larger one it keeps how many it names."""

MAX_LINK_SECONDS = 10 * 366 * 86_400
"""How long a link holds at most, unless it holds for ever."""

ENTRIES_ON_A_PAGE = 100


def is_about_access(path: Sequence[bytes]) -> bool:
    """
    Tell whether the address of a flow is one of those here.

    :param path: what follows ``/api/flows``. Its first segment is of an id, whatever that is.
    """
    behind = path[1:]
    return behind[-1:] in ([b"access"], [b"links"]) or behind[-2:-1] == [b"links"]


class _Link(msgspec.Struct, forbid_unknown_fields=True):
    role: str
    expires_in: float | None = None
    password: str | None = None


_LINK = msgspec.json.Decoder(_Link)
_PATCH: msgspec.json.Decoder[Any] = msgspec.json.Decoder()


def _tag_of(access: FlowAccess) -> str:
    return digest_tag(encode_json(describe_list(access)))


class SharingRoutes:
    """
    The routes of access: ``/api/flows/ID/access``, ``/api/flows/ID/links``, ``/api/audit``.

    :param rest: asks what the clients of requests may do.
    :param access: changes what flows give.
    :param store: has the audit log.
    :param passwords: hashes those of links.
    :param wall: tells the time, in Unix seconds.
    """

    app: Final = make_app()

    def __init__(
        self,
        rest: RestAccess,
        access: AccessService,
        store: IAccessStore,
        passwords: Passwords,
        visitors: Visitors,
        wall: Callable[[], float],
    ) -> None:
        self._rest = rest
        self._access = access
        self._store = store
        self._passwords = passwords
        self._visitors = visitors
        self._wall = wall
        self._list = BodyAllowance(MAX_BODY_BYTES, MAX_BODY_BYTES // BYTES_PER_UNIT)
        self._link = BodyAllowance(MAX_LINK_BYTES, MAX_LINK_BYTES // BYTES_PER_UNIT)

    @app.route("/api/flows/<flow:flow_id>/access", methods=["GET"])
    async def read_list(self, request: IRequest, flow_id: str) -> bytes:
        access = await self._read(request, flow_id)
        if write_known(request, _tag_of(access), Conditions.of(request)):
            return b""
        return write_json(request, describe_list(access), cache=b"no-cache")

    @app.route("/api/flows/<flow:flow_id>/access", methods=["PATCH"])
    async def change_list(self, request: IRequest, flow_id: str) -> bytes:
        flow_id = await self._check(request, flow_id)
        patch = read_body(request, _PATCH, self._list, (MERGE_PATCH, JSON))
        conditions, principal = Conditions.of(request), principal_of(request)
        may_disown = principal.is_admin

        def edit(access: FlowAccess) -> FlowAccess:
            if conditions.check is not None:  # a tag of a long list takes a while
                conditions.check_change(_tag_of(access))
            changed = change_list(access, patch, may_disown)
            _check_asked(principal)
            return changed

        audited = self._audited(request, "access.change", flow_id, _summary(patch))
        access = await to_the_end(self._access.change(flow_id, edit, audited))
        request.setHeader(b"etag", _tag_of(access).encode())
        return write_json(request, describe_list(access))

    @app.route("/api/flows/<flow:flow_id>/links", methods=["GET"])
    async def list_links(self, request: IRequest, flow_id: str) -> bytes:
        access = await self._read(request, flow_id)
        links = sorted(access.links.values(), key=lambda link: (link.created_at, link.id))
        return write_json(request, {"links": [describe_link(link) for link in links]})

    @app.route("/api/flows/<flow:flow_id>/links", methods=["POST"])
    async def create_link(self, request: IRequest, flow_id: str) -> bytes:
        flow_id = await self._check(request, flow_id)
        wanted = read_body(request, _LINK, self._link)
        role = _role_of(wanted.role)
        lasts = wanted.expires_in
        if lasts is not None and not 0 < lasts <= MAX_LINK_SECONDS:
            raise InvalidParameters(
                f"expires_in: a number of seconds is wanted, more than 0, to {MAX_LINK_SECONDS}"
            )
        if wanted.password is not None:
            check_password(wanted.password)
        _check_asked(principal_of(request))
        password = ""
        if wanted.password is not None:
            charge = self._visitors.charge_of(request)
            password = await self._passwords.hash(wanted.password, charge)
        by = principal_of(request).id
        link, secret = make_link(role, self._wall(), by, lasts, password)
        described = describe_link(link)
        audited = self._audited(request, "link.create", flow_id, described)
        changed = self._access.change(flow_id, lambda access: with_link(access, link), audited)
        await to_the_end(changed)
        address = f"{base_of(request).path}/flow/{quote(flow_id, safe='')}#link={secret}"
        return write_json(request, described | {"secret": secret, "path": address}, 201)

    @app.route("/api/flows/<flow:flow_id>/links/<link_id>", methods=["DELETE"])
    async def revoke_link(self, request: IRequest, flow_id: str, link_id: str) -> bytes:
        flow_id = await self._check(request, flow_id)
        _check_asked(principal_of(request))
        audited = self._audited(request, "link.revoke", flow_id, {"id": link_id[:64]})
        changed = self._access.change(
            flow_id, lambda access: without_link(access, link_id), audited
        )
        await to_the_end(changed)
        request.setResponseCode(NO_CONTENT)
        return b""

    @app.route("/api/audit", methods=["GET"])
    async def read_audit(self, request: IRequest) -> bytes:
        check_admin(request)
        limit = read_limit(request, ENTRIES_ON_A_PAGE)
        before = read_number(request, "before", None, 1)
        found = await self._store.audited(before, limit + 1)
        page = found[:limit]
        following = page[-1].number if len(found) > limit else None
        return write_json(request, {"entries": list(map(_described, page)), "next": following})

    # inside

    async def _check(self, request: IRequest, text: str) -> str:
        """
        Check that the client of a request owns a flow.

        :return: its id.
        """
        flow_id = parse_flow_id(text)
        await self._rest.check(request, flow_id, Right.MANAGE)
        return flow_id

    async def _read(self, request: IRequest, text: str) -> FlowAccess:
        access = await self._access.read(await self._check(request, text))
        if access is None:
            raise FlowNotFound()
        return access

    def _audited(self, request: IRequest, action: str, flow_id: str, details: object) -> AuditEntry:
        actor = actor_of(principal_of(request))
        return AuditEntry(0, self._wall(), action, flow_id, "", actor, encode_json(details))


def _check_asked(principal: Principal) -> None:
    """
    Refuse to change access where nobody is asked who they are: it would count once that has
    changed.
    """
    if principal is ANYBODY:
        raise Forbidden("Everybody may do everything here: see --auth")


def _role_of(name: str) -> Role:
    try:
        role = Role.parse(name)
    except ValueError as error:
        raise InvalidParameters(f"role: {error}") from None
    if role is Role.OWNER:
        raise InvalidParameters("role: a link gives viewer, commenter, proposer or editor")
    return role


def _summary(patch: dict[str, Any]) -> object:
    """Give what the audit log keeps of a change."""
    if len(encode_json(patch)) <= MAX_DETAILS_BYTES:
        return patch
    return {
        name: f"{len(part)} changes" if isinstance(part, dict) else part
        for name, part in patch.items()
    }


def _described(entry: AuditEntry) -> dict[str, object]:
    return {
        "number": entry.number,
        "at": entry.at,
        "action": entry.action,
        "flow_id": entry.flow_id or None,
        "credential": entry.credential or None,
        "actor": entry.actor,
        "details": msgspec.Raw(entry.details),
    }
