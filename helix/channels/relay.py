"""The channel ``flow:<flow_id>`` in relay mode, for the first generation of clients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar

import msgspec
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from helix.access.principal import ANYBODY
from helix.access.roles import Right
from helix.channels.access import Standing, described
from helix.channels.change_order import ChangeOrder
from helix.channels.channel import Port, plain_refusal
from helix.delivery.protocol import EMPTY, Data, encode_json
from helix.documents.merge_patch import JsonObject
from helix.errors import (
    ForbiddenPath,
    HelixError,
    MissingChanges,
    UnknownEvent,
)
from helix.flows.service import FlowSessionService
from helix.flows.session import FlowSession
from helix.interfaces import IMember
from helix.limits.apart import AT_ONCE_BYTES
from helix.members.relay.reading import may_be_edit, parse_changes
from helix.records import Author
from helix.sharing.service import AccessService

T = TypeVar("T")


class _FlowChange(msgspec.Struct, gc=False):
    changes: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_decode_change = msgspec.json.Decoder(_FlowChange).decode

_BROADCASTED = encode_json({"status": "broadcasted"})
_PONG = encode_json({"status": "pong"})


@implementer(IMember)
class RelayChannel:
    """
    A member in relay mode: changes are passed on as they are.

    Large edits are read in a thread. Whatever the member sends, it takes effect in that order.
    """

    user_name = ""

    __slots__ = (
        "_flow_id",
        "_order",
        "_port",
        "_service",
        "_session",
        "_standing",
        "outlet",
        "topic",
    )

    _log: Final = Logger(namespace="helix.channels")

    def __init__(
        self, service: FlowSessionService, flow_id: str, port: Port, access: AccessService
    ) -> None:
        self.topic = port.topic
        self.outlet = port.outlet
        self._service = service
        self._flow_id = flow_id
        self._port = port
        self._order = ChangeOrder()
        self._standing = Standing(port, flow_id, access)
        self._session: FlowSession | None = None

    async def join(self, params: bytes) -> Sequence[Data]:
        try:
            return await self._join()
        except BaseException:
            self.leave()
            raise

    async def _join(self) -> Sequence[Data]:
        with self._service.refusals_told(self._flow_id):
            await self._standing.begin(self.decide_again)
        self.outlet.check_room()
        may_create = self._standing.may_create
        self._session = await self._service.join(self._flow_id, self, may_create)
        self._standing.enter(self._session)
        permission = self._standing.permission
        if self._port.principal is ANYBODY or permission is None:
            return (EMPTY,)
        return (encode_json(described(permission)),)

    def joined(self) -> None:
        assert self._session is not None
        self._service.guard(self._session, self._session.greet, self)
        self._service.guard(self._session, self._session.announce)

    def handle(self, event: str, payload: bytes, binary: bool) -> bytes | Deferred[bytes]:
        assert self._session is not None
        if event == "flow_change":
            return self._change(self._session, payload, binary)
        if event == "ping":
            return _PONG
        if event == "access_token":
            return self._port.renew(payload)
        raise UnknownEvent()

    def decide_again(self) -> None:
        self._standing.decide_again()

    def _change(
        self, session: FlowSession, payload: bytes, binary: bool
    ) -> bytes | Deferred[bytes]:
        changes = payload if binary else _read_changes(payload)
        is_large = not binary and len(payload) > AT_ONCE_BYTES and may_be_edit(bytes(changes))
        if self._order.is_idle and not is_large:
            return self._take(session, changes, binary)
        self._order.check_room(len(payload))
        session.expect_change()
        answer: Deferred[bytes] = Deferred()
        if is_large:
            take = partial(self._read_and_take, session, bytes(changes), answer)
        else:
            take = partial(self._take_in_turn, session, bytes(changes), binary, answer)
        self._order.add(len(payload), take)
        return answer

    def _take(
        self, session: FlowSession, changes: bytes | msgspec.Raw, binary: bool
    ) -> bytes | Deferred[bytes]:
        if binary:
            return self._pass_on(session.change_binary, session, changes)
        if (arrays := parse_changes(changes)) is None:
            return self._pass_on(session.change, session, changes)
        edited = self._service.guard(session, session.edit, self, arrays, changes)
        return self._awaited(edited).addCallback(_broadcasted)

    def _awaited(self, edited: Deferred[list[str]]) -> Deferred[list[str]]:
        """Let an edit be judged by what the client may do when its turn comes."""
        self._standing.expect()

        def settle(result: T) -> T:
            self._standing.settle()
            return result

        return edited.addBoth(settle)

    def _pass_on(
        self, change: Callable[[bytes], Deferred[None]], session: FlowSession, changes: bytes
    ) -> bytes:
        """Pass on what is no edit: unread, so that it can't be seen to lie within some paths."""
        if not self.edits_all:
            self._standing.check(Right.EDIT)
            raise ForbiddenPath()
        sent = self._service.guard(session, change, changes)
        if not sent.called:
            sent.addErrback(lambda failure: self._log.failure("A broadcast failed", failure))
        return _BROADCASTED

    async def _take_in_turn(
        self, session: FlowSession, changes: bytes, binary: bool, answer: Deferred[bytes]
    ) -> None:
        try:
            taken = self._take(session, changes, binary)
        except Exception:
            answer.errback()
        else:
            if isinstance(taken, Deferred):
                taken.chainDeferred(answer)
            else:
                answer.callback(taken)
        session.change_came()

    async def _read_and_take(
        self, session: FlowSession, changes: bytes, answer: Deferred[bytes]
    ) -> None:
        try:
            edit = await session.read_apart(self, changes)
            if edit is None:
                answer.callback(self._pass_on(session.change, session, changes))
            else:
                taken = self._service.guard(session, session.take, self, edit, changes)
                self._awaited(taken).addCallback(_broadcasted).chainDeferred(answer)
        except Exception:
            answer.errback()
        session.change_came()

    def limited(self, event: str, payload: bytes) -> None:
        """Nothing depends on the order of what is refused."""

    def refusal(self, error: HelixError) -> bytes:
        return plain_refusal(error)

    def leave(self) -> None:
        self._standing.end()
        session, self._session = self._session, None
        if session is not None:
            self._service.guard(session, session.leave, self)

    # IMember

    @property
    def author(self) -> Author:
        return self._standing.author(self._port.principal.name)

    @property
    def owner(self) -> str:
        return self._standing.owner

    @property
    def edits_all(self) -> bool:
        return self._standing.edits_all

    def check_edit(self, effective: JsonObject, content: Mapping[str, Any]) -> None:
        if not self._standing.edits_all:
            self._standing.check_edit(effective, content)

    def push(self, event: str, payload: bytes) -> None:
        self._port.push(event, payload)

    def push_of(self, event: str, payload: Sequence[Data]) -> None:
        self._port.push_of(event, payload)

    def charge(self, seconds: float, size: int) -> None:
        self._port.charge(seconds, size)

    def end(self, event: str) -> None:
        if self._session is not None:
            self._session = None
            self._port.end(event)


def _broadcasted(left_out: list[str]) -> bytes:
    if not left_out:
        return _BROADCASTED
    return encode_json({"status": "broadcasted", "dropped": left_out})


def _read_changes(payload: bytes) -> msgspec.Raw:
    try:
        changes = _decode_change(payload).changes
    except msgspec.MsgspecError:
        raise MissingChanges() from None
    if changes is msgspec.UNSET:
        raise MissingChanges()
    return changes
