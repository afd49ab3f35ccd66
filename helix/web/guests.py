"""REST for guests: a link, or the address of a flow, is exchanged for a token."""

from __future__ import annotations

from typing import Final

import msgspec
from twisted.web.iweb import IRequest

from helix.access.grants import text_parser
from helix.documents.ids import parse_flow_id
from helix.errors import InvalidParameters
from helix.identity.claims import MAX_NAME_CHARACTERS
from helix.identity.guests import Doorkeeper, GuestTokens
from helix.limits.weight import BYTES_PER_UNIT
from helix.web.admission import Visitors, header
from helix.web.credentials import bearer_from
from helix.web.routes import BodyAllowance, make_app, read_body, write_json

MAX_BODY_BYTES = 16 * 1024

_parse_name = text_parser(MAX_NAME_CHARACTERS)


class _Redemption(msgspec.Struct, forbid_unknown_fields=True):
    link: str | msgspec.UnsetType = msgspec.UNSET
    flow: str | msgspec.UnsetType = msgspec.UNSET
    password: str | msgspec.UnsetType = msgspec.UNSET
    name: str = ""


_REDEMPTION = msgspec.json.Decoder(_Redemption)


class GuestRoutes:
    """The route ``/api/guests``, which is for everybody."""

    app: Final = make_app()

    def __init__(self, door: Doorkeeper, tokens: GuestTokens, visitors: Visitors) -> None:
        self._door = door
        self._tokens = tokens
        self._visitors = visitors
        self._room = BodyAllowance(MAX_BODY_BYTES, MAX_BODY_BYTES // BYTES_PER_UNIT)

    @app.route("/api/guests", methods=["POST"])
    async def become_guest(self, request: IRequest) -> bytes:
        wanted = read_body(request, _REDEMPTION, self._room)
        try:
            name = _parse_name(wanted.name).strip()
        except ValueError as error:
            raise InvalidParameters(f"name: {error}") from None
        before = bearer_from(header(request, b"authorization"))
        if wanted.link is not msgspec.UNSET and wanted.flow is msgspec.UNSET:
            password = None if wanted.password is msgspec.UNSET else wanted.password
            customer = self._visitors.customer(request)
            charge = self._visitors.charge_of(request)
            invitation = await self._door.by_link(wanted.link, password, customer, charge)
        elif wanted.flow is not msgspec.UNSET and wanted.link is wanted.password is msgspec.UNSET:
            invitation = await self._door.by_address(parse_flow_id(wanted.flow))
        else:
            raise InvalidParameters("Give a link, with its password if it has one; or a flow")
        known = await self._tokens.recognise(before)
        token, guest = await self._tokens.issue(invitation, name, known)
        return write_json(
            request,
            {
                "token": token,
                "expires_at": guest.expires_at,
                "flow_id": invitation.flow_id,
                "role": invitation.role.text,
                "principal_id": guest.id,
            },
            201,
        )
