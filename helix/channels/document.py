"""The channel ``flow:<flow_id>`` in document mode: patches in, entries out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, cast

import attrs
import msgspec
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from helix.access.grants import parse_tags
from helix.access.principal import ANYBODY
from helix.access.roles import Right
from helix.at_hand import has_result
from helix.chain import chain_text, parse_chain
from helix.channels.access import (
    Standing,
    described,
    person_of,
    without_foreign_drags,
)
from helix.channels.channel import Port, full_refusal
from helix.channels.patch_order import PatchOrder
from helix.delivery.parts import WHOLE_BYTES, Parts
from helix.delivery.protocol import EMPTY, Data, encode_json
from helix.documents.document import FlowDocument, JsonObject, deleted_nodes
from helix.documents.ids import check_key, public_id
from helix.documents.text_merge import merge_patch
from helix.errors import (
    HelixError,
    InvalidParameters,
    PreconditionFailed,
    SessionEnded,
    TooManyPending,
    TooManyValues,
    UnknownEvent,
)
from helix.flows.joining import Joined, Past
from helix.flows.service import FlowSessionService
from helix.flows.session import FlowSession
from helix.interfaces import IMember
from helix.limits.weight import BYTES_PER_UNIT, is_too_heavy
from helix.log.edits import Accepted, Check, Submission
from helix.members.cursors import parse_cursor
from helix.members.presence import Person, check_user, parse_meta
from helix.records import Author
from helix.sharing.service import AccessService

MAX_UNANSWERED = 1000
"""Patches of one member that may wait for the store."""

MAX_OP_ID = 2**53
"""The largest integer that every client can count to."""


class _User(msgspec.Struct):
    id: str | None = None
    name: str = ""
    color: str = ""


class _Params(msgspec.Struct):
    client_id: str
    epoch: str | None = None
    version: int | None = None
    chain: str | None = None
    user: _User | None = None
    parts: bool = False


class _Patch(msgspec.Struct, gc=False):
    op_id: int
    patch: Any
    if_version: int | None = None
    bases: dict[str, str] = {}
    tags: dict[str, Any] | None = None


class _Op(msgspec.Struct, gc=False):
    op_id: int


@attrs.frozen
class PatchLimits:
    """What a client may send; the names are those of the join's reply."""

    max_patch_bytes: int
    max_document_bytes: int
    max_members: int
    max_frame_bytes: int


_decode_params = msgspec.json.Decoder(_Params).decode
_decode_patch = msgspec.json.Decoder(_Patch).decode
_decode_op = msgspec.json.Decoder(_Op).decode
_encode_patch = msgspec.json.Encoder().encode

_PONG = encode_json({"status": "pong"})


@implementer(IMember)
class DocumentChannel:
    """
    A member in document mode.

    The client's own id is a secret between it and the server. All others, and the log, have only
    its public id (`helix.documents.ids.public_id`).

    Patches are accepted in the order in which they arrive. Once one has failed for now, later ones
    are refused until they are sent again, too; otherwise they would overtake it.

    :param limits: the limits, as the client is told.
    :param access: knows what flows give.
    """

    __slots__ = (
        "_flow_id",
        "_limits",
        "_missed",
        "_order",
        "_person",
        "_port",
        "_service",
        "_session",
        "_standing",
        "_unanswered",
        "outlet",
        "topic",
    )

    _log: Final = Logger(namespace="helix.channels")

    def __init__(
        self,
        service: FlowSessionService,
        flow_id: str,
        port: Port,
        limits: PatchLimits,
        access: AccessService,
    ) -> None:
        self.topic = port.topic
        self.outlet = port.outlet
        self._service = service
        self._flow_id = flow_id
        self._port = port
        self._limits = limits
        self._session: FlowSession | None = None
        self._standing = Standing(port, flow_id, access)
        self._person = Person("", "")
        self._order = PatchOrder()
        self._unanswered = 0
        self._missed: bytes | None = None

    @property
    def user_name(self) -> str:
        return self._person.name

    async def join(self, params: bytes) -> Sequence[Data]:
        try:
            return await self._join(params)
        except BaseException:
            self.leave()
            raise

    async def _join(self, params: bytes) -> Sequence[Data]:
        with self._service.refusals_told(self._flow_id):
            await self._standing.begin(self.decide_again)
        self.outlet.check_room()
        given = _read_params(params)
        self._person = person_of(self._port.principal, _person_of(given))
        self._session, joined = await self._service.join_document(
            self._flow_id,
            self,
            self._person,
            _past_of(given),
            self._standing.may_create,
        )
        self._standing.enter(self._session)
        began = self._port.work()
        self._missed = joined.missed
        response = self._response(joined)
        if given.parts:
            response = self._told_in_parts(response)
        self.charge(self._port.work() - began, 0)
        return response

    def joined(self) -> None:
        session = self._alive()
        missed, self._missed = self._missed, None
        if missed is not None:
            self.push("entries", missed)
        self._service.guard(session, session.announce)
        self._service.guard(session, session.introduce, self, self._person)

    def handle(self, event: str, payload: bytes, binary: bool) -> bytes | Deferred[bytes] | None:
        if event == "ping":
            return _PONG
        if not binary:
            if event == "cursor":
                self._point(payload)
                return None
            if event == "patch":
                return self._patch(payload)
            if event == "presence":
                return self._show(payload)
            if event == "access_token":
                return self._port.renew(payload)
        raise UnknownEvent()

    def decide_again(self) -> None:
        self._standing.decide_again()
        if self._session is not None and not self.edits_all:
            self._service.guard(self._session, self._session.awareness.drop, self)

    def limited(self, event: str, payload: bytes) -> None:
        """A refused patch must be sent again before later ones."""
        if event == "patch":
            with suppress(msgspec.MsgspecError):
                op_id = _decode_op(payload).op_id
                if 0 <= op_id <= MAX_OP_ID:
                    self._order.refuse(op_id)

    def refusal(self, error: HelixError) -> bytes:
        return full_refusal(error)

    def leave(self) -> None:
        self._standing.end()
        session, self._session = self._session, None
        if session is not None:
            self._service.guard(session, session.leave, self, self._person.client_id)

    # IMember

    @property
    def author(self) -> Author:
        return self._standing.author(self._person.name)

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

    # inside

    def _response(self, joined: Joined) -> Sequence[Data]:
        response: dict[str, object] = {
            "client_id": self._person.client_id,
            "epoch": joined.epoch,
            "version": joined.version,
            "chain": chain_text(joined.chain),
            "last_op_id": joined.last_op_id,
            "role": "editor",
            **self._described(),
            "recovered": joined.entries is not None,
            "limits": self._limits,
        }
        head = encode_json(response).removesuffix(b"}")
        if joined.entries is not None:
            return head + b',"entries":', joined.entries, b"}"
        if joined.document is not None:
            return head + b',"document":', joined.document, b"}"
        return head, b"}"

    def _described(self) -> dict[str, object]:
        """What the client may do, where that isn't the same for everybody."""
        permission = self._standing.permission
        if self._port.principal is ANYBODY or permission is None:
            return {}
        return described(permission)

    def _told_in_parts(self, response: Sequence[Data]) -> Sequence[Data]:
        """Send a large answer in parts, and give the reply: the number of parts."""
        if sum(map(len, response)) <= WHOLE_BYTES:
            return response
        parts = Parts.of(response)
        self._port.push_each("part", parts)
        return (encode_json({"parts": len(parts)}),)

    def _alive(self) -> FlowSession:
        if self._session is None:
            raise SessionEnded()
        return self._session

    def _point(self, payload: bytes) -> None:
        session, cursor = self._alive(), parse_cursor(payload)
        permission = self._standing.permission
        if cursor is not None and permission is not None and not permission.edits_all:
            content = session.log.document.content
            cursor = without_foreign_drags(permission, cursor, content)
        self._service.guard(session, session.awareness.point, self, cursor)

    def _show(self, payload: bytes) -> bytes:
        session = self._alive()
        self._service.guard(session, session.awareness.show, self, parse_meta(payload))
        return EMPTY

    def _patch(self, payload: bytes) -> bytes | Deferred[bytes]:
        session, standing = self._alive(), self._standing
        text = bytes(payload)
        if is_too_heavy(text, self._limits.max_patch_bytes // BYTES_PER_UNIT):
            raise TooManyValues()
        try:
            given = _decode_patch(text)
        except msgspec.MsgspecError as error:
            members = "{op_id, patch, bases, if_version, tags}"
            raise InvalidParameters(f"A patch must be {members}: {error}") from None
        if not 0 <= given.op_id <= MAX_OP_ID:
            raise InvalidParameters(f"op_id must be an integer from 0 to {MAX_OP_ID}")
        author = self._tagged(given.tags) if given.tags else standing.author(self._person.name)
        self._order.take_turn(given.op_id)
        if self._unanswered >= MAX_UNANSWERED:
            self._order.fail(given.op_id)
            raise TooManyPending()
        self._unanswered += 1
        self._standing.expect()
        patch, bases = given.patch, given.bases

        def stage(document: FlowDocument, dropped: list[str]) -> JsonObject:
            content = document.content
            if standing.edits_all:
                return document.stage(merge_patch(content, patch, bases), dropped=dropped)
            standing.check(Right.EDIT)
            effective = document.stage(merge_patch(content, patch, bases), dropped=dropped)
            standing.check_edit(effective, content)
            return effective

        submission = Submission(
            stage,
            author,
            self._person.client_id,
            given.op_id,
            self.owner,
            check=_check_of(given.if_version),
            outlet=self.outlet,
            size=len(text),
            charge=self.charge,
            deletes=deleted_nodes(patch),
        )
        submitted = self._service.guard(session, session.submit, submission)
        if has_result(submitted):
            return self._accepted(cast(Accepted, submitted.result), given.op_id, patch)
        return submitted.addCallbacks(
            self._accepted, self._refused, (given.op_id, patch), {}, (given.op_id,)
        )

    def _tagged(self, tags: dict[str, Any]) -> Author:
        """
        Tell who an edit is by that the client marks with tags of its own.

        :raises InvalidParameters: when they are too many.
        """
        try:
            return self._standing.author(self._person.name, parse_tags(tags))
        except ValueError as error:
            raise InvalidParameters(str(error).capitalize()) from None

    def _accepted(self, accepted: Accepted, op_id: int, patch: object) -> bytes:
        self._unanswered -= 1
        self._standing.settle()
        self._order.end(op_id)
        answer = b'{"version":%d' % accepted.version
        if accepted.patch != _encode_patch(patch):
            answer += b',"patch":%b' % accepted.patch
        if accepted.dropped:
            answer += b',"dropped":%b' % encode_json(accepted.dropped)
        if accepted.duplicate:
            answer += b',"duplicate":true'
        return answer + b"}"

    def _refused(self, failure: Failure, op_id: int) -> Failure:
        self._unanswered -= 1
        self._standing.settle()
        error = failure.value
        if isinstance(error, HelixError) and error.retry:
            self._order.fail(op_id)
        else:
            self._order.end(op_id)
        return failure


def _read_params(params: bytes) -> _Params:
    try:
        given = _decode_params(params)
    except msgspec.MsgspecError as error:
        raise InvalidParameters(f"The parameters of the join: {error}") from None
    if given.version is not None and given.version < 0:
        raise InvalidParameters("version must be an integer, 0 or more")
    return given


def _past_of(given: _Params) -> Past | None:
    """
    What the client resumes from, if it does.

    :raises InvalidParameters: when it can't be a past.
    """
    if given.epoch is None or given.version is None:
        return None
    try:
        chain = None if given.chain is None else parse_chain(given.chain)
    except ValueError:
        raise InvalidParameters("chain must be a value that the server sent") from None
    return Past(given.epoch, given.version, chain)


def _check_of(if_version: int | None) -> Check:
    """The check that refuses a patch unless the flow is at ``if_version``, where that is given."""
    if if_version is None:
        return None

    def check(_epoch: str, version: int, _chain: bytes) -> None:
        if version != if_version:
            raise PreconditionFailed(f"The flow is at version {version}, not {if_version}")

    return check


def _person_of(given: _Params) -> Person:
    """
    Give the person who joins. Without a user id, each tab is a person of its own.

    :raises InvalidParameters: when the name or the colour can't be shown.
    """
    user = given.user or _User()
    client_id = public_id(check_key("client_id", given.client_id))
    key = client_id if user.id is None else check_key("user.id", user.id)
    check_user(user.name, user.color)
    return Person(key, client_id, user.name, user.color)
