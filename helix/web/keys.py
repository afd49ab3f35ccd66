"""REST for API keys: administrators list, make and revoke them."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random
from typing import Any, Final

import msgspec
from twisted.web.http import NO_CONTENT
from twisted.web.iweb import IRequest

from helix.access.authorship import actor_of
from helix.errors import Forbidden, KeyNotFound
from helix.identity.api_keys import (
    KeyBook,
    audit_creation,
    audit_revocation,
    describe_key,
    make_key,
)
from helix.interfaces import IFlowStore
from helix.limits.weight import BYTES_PER_UNIT
from helix.web.admission import principal_of
from helix.web.gate import check_admin
from helix.web.routes import BodyAllowance, make_app, read_body, to_the_end, write_json

MAX_BODY_BYTES = 32 * 1024

_KEY_ID = re.compile("[0-9A-Za-z_-]{1,64}")
"""The id of a key, and perhaps more."""


class _Creation(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    flows: dict[str, Any] = {}
    create: list[Any] = []
    admin: bool = False
    expires_in: float | None = None


_CREATION = msgspec.json.Decoder(_Creation)


class KeyRoutes:
    """
    The routes under ``/api/keys``.

    :param store: keeps the keys.
    :param book: of the same keys.
    :param wall: tells the time, in Unix seconds.
    :param random: makes keys; it can't be predicted.
    :param is_open: whether everybody may do everything here. Then nobody makes keys by REST: they
        would still count when that has changed.
    :param announce: called when something was done to keys, and is stored.
    """

    app: Final = make_app()

    def __init__(
        self,
        store: IFlowStore,
        book: KeyBook,
        wall: Callable[[], float],
        random: Random,
        is_open: bool,
        announce: Callable[[], object],
    ) -> None:
        self._store = store
        self._book = book
        self._wall = wall
        self._random = random
        self._is_open = is_open
        self._announce = announce
        self._room = BodyAllowance(MAX_BODY_BYTES, MAX_BODY_BYTES // BYTES_PER_UNIT)

    @app.route("/api/keys", methods=["GET"])
    async def list_keys(self, request: IRequest) -> bytes:
        check_admin(request)
        keys = await self._store.credentials.keys()
        described = [describe_key(key) | {"used_at": self._book.used_at(key)} for key in keys]
        return write_json(request, {"keys": described})

    @app.route("/api/keys", methods=["POST"])
    async def create_key(self, request: IRequest) -> bytes:
        check_admin(request)
        wanted = read_body(request, _CREATION, self._room)
        key, text = make_key(
            self._random,
            self._wall(),
            wanted.name,
            wanted.flows,
            wanted.create,
            is_admin=wanted.admin,
            expires_in=wanted.expires_in,
            created_by=principal_of(request).id,
        )
        if self._is_open:
            raise Forbidden("Where everybody may do everything, helix keys create makes keys")
        audited = audit_creation(key, actor_of(principal_of(request)))
        added = self._store.credentials.add_key(key, audited)
        await to_the_end(added.addCallback(lambda _: self._announce()))
        await self._book.refresh()
        return write_json(request, describe_key(key) | {"key": text}, 201)

    @app.route("/api/keys/<key_id>", methods=["DELETE"])
    async def revoke_key(self, request: IRequest, key_id: str) -> bytes:
        check_admin(request)
        if _KEY_ID.fullmatch(key_id) is None:
            raise KeyNotFound()
        audited = audit_revocation(
            key_id, self._wall(), self._book.name_of(key_id), actor_of(principal_of(request))
        )

        def removed(_: None) -> None:
            self._book.revoke(key_id)
            self._announce()

        removing = self._store.credentials.remove_key(key_id, audited)
        await to_the_end(removing.addCallback(removed))
        request.setResponseCode(NO_CONTENT)
        return b""
