"""`FlowClient`: one flow, held in step with its server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from random import Random, SystemRandom
from typing import Any, Final

import msgspec
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IStreamClientEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from helix.client.backoff import Backoff
from helix.client.events import (
    DocumentReplaced,
    EntriesArrived,
    FlowEvent,
    Listener,
    PatchRefused,
    Status,
    StatusChanged,
)
from helix.client.keeping import FileKeeper, Keeper, MemoryKeeper
from helix.client.membership import Membership, Owner
from helix.client.outbox import SavedOperation, SavedOutbox
from helix.client.replica import FlowEntry, Gap, Operation, Replica
from helix.client.sending import Sending
from helix.client.socket import Address
from helix.document import DocumentLimits, JsonObject
from helix.errors import (
    ClientStopped,
    Disconnected,
    HelixError,
    OutboxUnusable,
    PatchTooLarge,
    Refused,
)
from helix.ids import new_id, parse_flow_id
from helix.protocol import encode_json

FRAME_ROOM = 2048
"""Bytes of a frame beside its payload, at most."""


class _Limits(msgspec.Struct):
    max_patch_bytes: int = DocumentLimits().max_patch_bytes
    max_document_bytes: int = DocumentLimits().max_document_bytes
    max_members: int = DocumentLimits().max_members
    max_frame_bytes: int = 1024 * 1024


class _Joined(msgspec.Struct):
    epoch: str
    version: int
    recovered: bool = False
    entries: list[FlowEntry] | None = None
    document: JsonObject | None = None
    limits: _Limits = msgspec.field(default_factory=_Limits)


class _Entries(msgspec.Struct):
    entries: list[FlowEntry]


class _Reset(msgspec.Struct):
    epoch: str
    version: int
    document: JsonObject


class _Accepted(msgspec.Struct):
    version: int


_decode_joined = msgspec.json.Decoder(_Joined).decode
_decode_entries = msgspec.json.Decoder(_Entries).decode
_decode_reset = msgspec.json.Decoder(_Reset).decode
_decode_accepted = msgspec.json.Decoder(_Accepted).decode


class FlowClient:
    """
    Joins a flow and stays in it, through lost connections and restarts of the server.

    :param reactor: Twisted's.
    :param url: the server's, ``http://127.0.0.1:4000`` for one; ``ws`` and ``wss`` too.
    :param user: ``name`` and ``color``, to show to others.
    :param client_id: this client's name in the log; with ``outbox`` the one that it keeps. No two
        clients may have the same at once.
    :param random: draws the id and the waits; a `Random`.
    :param outbox: a file that keeps what is not confirmed, for when the process ends. It is made
        when it isn't there, and belongs to one client at a time.
    :param endpoint: leads to the server, where it can't be found by ``url``.
    :raises ValueError: when ``url`` is no such URL.
    :raises InvalidFlowId: when there can't be such a flow.
    """

    _log: Final = Logger(namespace="helix.client")

    def __init__(
        self,
        reactor: Any,
        url: str,
        flow_id: str,
        *,
        user: Mapping[str, str] | None = None,
        client_id: str | None = None,
        random: Random | None = None,
        outbox: str | PathLike[str] | None = None,
        endpoint: IStreamClientEndpoint | None = None,
    ) -> None:
        random = SystemRandom() if random is None else random
        address = Address.of(url)
        self.flow_id = parse_flow_id(flow_id)
        self._reactor = reactor
        self._user = None if user is None else dict(user)
        self._given_client_id = client_id
        self._replica = Replica(client_id or new_id(random))
        self._sending = Sending()
        self._keeper: Keeper = MemoryKeeper()
        if outbox is not None:
            self._keeper = FileKeeper(reactor, outbox, self._snapshot)
        self._retries = Backoff(random)
        self._retry: IDelayedCall | None = None
        self._membership = Membership(
            reactor,
            address,
            endpoint or address.endpoint(reactor),
            f"flow:{self.flow_id}",
            Owner(self._parameters, self._joined, self._received, self._moved),
            random,
        )
        self._max_frame_bytes = _Limits().max_frame_bytes
        self._listeners: list[Listener] = []
        self._done: dict[int, Deferred[int]] = {}
        self._started: Deferred[FlowClient] | None = None
        self._is_open = False
        self._end: HelixError | None = None

    # what is known

    @property
    def document(self) -> JsonObject | None:
        """
        The document as it is to be shown: what is confirmed, with this client's patches on top.

        Plain data, not to be changed; it is changed in place when entries arrive. ``None`` before
        the first join.
        """
        return self._replica.document

    @property
    def version(self) -> int:
        """The version of what is confirmed."""
        return self._replica.version

    @property
    def epoch(self) -> str | None:
        """The identity of the log; ``None`` before the first join."""
        return self._replica.epoch

    @property
    def client_id(self) -> str:
        """This client's name in the log."""
        return self._replica.client_id

    @property
    def status(self) -> Status:
        return Status.CLOSED if self._end is not None else self._membership.status

    @property
    def pending(self) -> int:
        """How many patches are not known to be durable."""
        return len(self._replica.unconfirmed)

    # what can be done

    def start(self) -> Deferred[FlowClient]:
        """
        Open the outbox, connect and join.

        :return: a Deferred that fires with this client when it has joined for the first time. It
            fails with `OutboxUnusable`, with what the server refuses for good, or with
            `ClientStopped`; a server that can't be reached is tried for ever.
        """
        assert self._started is None, "a client is started once"
        self._started = Deferred()
        Deferred.fromCoroutine(self._open()).addErrback(self._fail_to_open)
        return self._started

    def patch(self, patch: JsonObject) -> Deferred[int]:
        """
        Change the document: at once in `document`, and in the log as soon as can be.

        Patches reach the log in the order of these calls. They wait for the server as long as it
        takes, and are sent again until it has answered; none is applied twice.

        :param patch: a JSON Merge Patch of the document. It is copied.
        :return: a Deferred that fires with the version at which the log holds the patch. It fails
            with `InvalidPatch`, `TooManyPending`, `OutboxUnusable`, or with `Refused`, and the
            patch is shown no more; or with `ClientStopped`.
        """
        if self._end is not None:
            return fail(self._end)
        if not self._is_open:
            return fail(Disconnected("The client is not started yet"))
        try:
            op = self._replica.submit(patch)
        except HelixError as error:
            return fail(error)
        done = self._done[op.op_id] = Deferred()
        self._keeper.save().addCallbacks(
            lambda _: self._send(op), lambda failure: self._refuse_now(op.op_id, failure.value)
        ).addErrback(self._fault)
        return done

    def listen(self, listener: Listener) -> Callable[[], None]:
        """
        Have ``listener`` called with every `FlowEvent`, once the client's state shows it.

        :return: ends that.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def stop(self) -> Deferred[None]:
        """
        Leave the flow.

        Patches that are not confirmed fail with `ClientStopped`; those in an outbox stay in it.

        :return: a Deferred that fires once nothing is left of the client.
        """
        return Deferred.fromCoroutine(self._stop())

    # the beginning and the end

    async def _open(self) -> None:
        saved = await self._keeper.open(self.flow_id)
        if self._end is not None:
            return
        if saved is not None:
            if self._given_client_id not in (None, saved.client_id):
                raise OutboxUnusable("The outbox belongs to another client_id")
            self._replica = Replica(saved.client_id)
            self._replica.newest_op = saved.newest_op
            for one in saved.operations:
                self._sending.add(self._replica.restore(one.op_id, bytes(one.patch)))
        self._is_open = True
        self._membership.start()

    def _fail_to_open(self, failure: Failure) -> None:
        error = failure.value
        if not isinstance(error, HelixError):
            self._log.failure("A client could not be opened", failure)
            error = OutboxUnusable()
        self._finish(error)

    async def _stop(self) -> None:
        is_news = self._end is None
        self._end = self._end or ClientStopped()
        await self._membership.stop()
        self._finish(self._end)
        await self._keeper.close()
        if is_news:
            self._tell(StatusChanged(Status.CLOSED))

    def _finish(self, error: HelixError) -> None:
        """Everything that still waits, waits in vain."""
        self._end = self._end or error
        self._stop_retry()
        waiting, self._done = self._done, {}
        for done in waiting.values():
            done.errback(error)
        if self._started is not None and not self._started.called:
            self._started.errback(error)

    def _snapshot(self) -> SavedOutbox:
        operations = [
            SavedOperation(op.op_id, msgspec.Raw(op.text)) for op in self._replica.unconfirmed
        ]
        return SavedOutbox(
            self.flow_id, self._replica.client_id, self._replica.newest_op, operations
        )

    # the membership's calls

    def _parameters(self) -> bytes:
        parameters: dict[str, object] = {
            "mode": "document",
            "client_id": self._replica.client_id,
        }
        if self._replica.epoch is not None:
            parameters |= {"epoch": self._replica.epoch, "version": self._replica.version}
        if self._user is not None:
            parameters["user"] = self._user
        return encode_json(parameters)

    def _joined(self, response: bytes) -> None:
        self._take(self._take_join, response)

    def _received(self, event: str, payload: bytes) -> None:
        if event == "entries":
            self._take(self._take_entries, payload)
        elif event == "reset":
            self._take(self._take_reset, payload)

    def _moved(self, status: Status, reason: HelixError | None) -> None:
        if status is Status.CLOSED:
            self._finish(reason or Disconnected())
        self._stop_retry()
        self._tell(StatusChanged(status, reason))
        if status is Status.JOINED:
            self._sending.restart()
            self._pump()
            if self._started is not None and not self._started.called:
                self._started.callback(self)

    def _take(self, take: Callable[[bytes], None], text: bytes) -> None:
        """Take what the server tells; where that can't be, the next join begins anew."""
        try:
            take(text)
        except Gap:
            raise Disconnected("entries are missing") from None
        except Exception:
            self._log.failure("What a server told of a flow can't be taken")
            self._replica.distrust()
            raise Disconnected("what the server told can't be taken") from None

    def _take_join(self, text: bytes) -> None:
        joined = _decode_joined(text)
        limits = joined.limits
        self._max_frame_bytes = limits.max_frame_bytes
        self._replica.limit(
            DocumentLimits(limits.max_patch_bytes, limits.max_document_bytes, limits.max_members)
        )
        if joined.document is not None:
            self._adopt(joined.epoch, joined.version, joined.document)
            return
        if joined.epoch != self._replica.epoch:
            raise ValueError("entries of another log")
        self._grow(joined.entries or [])
        if joined.version > self._replica.version:
            raise Gap

    def _take_entries(self, text: bytes) -> None:
        self._grow(_decode_entries(text).entries)

    def _take_reset(self, text: bytes) -> None:
        reset = _decode_reset(text)
        self._adopt(reset.epoch, reset.version, reset.document)

    def _grow(self, entries: Sequence[FlowEntry]) -> None:
        new, settled = self._replica.receive(entries)
        for op in settled:
            self._settle(op)
        if new:
            self._tell(EntriesArrived(tuple(new)))
        self._pump()

    def _adopt(self, epoch: str, version: int, document: JsonObject) -> None:
        self._replica.adopt(epoch, version, document)
        self._tell(DocumentReplaced(epoch, version))

    # what goes out

    def _send(self, op: Operation) -> None:
        if op.durable_at is None:
            self._sending.add(op)
            self._pump()

    def _pump(self) -> None:
        while self._membership.status is Status.JOINED and self._end is None:
            taken = self._sending.take()
            if taken is None:
                break
            op, attempt = taken
            payload = b'{"op_id":%d,"patch":%b}' % (op.op_id, op.text)
            if len(payload) + FRAME_ROOM > self._max_frame_bytes:
                # The server would close the connection, every time.
                self._refuse(op.op_id, PatchTooLarge())
                continue
            self._membership.push("patch", payload).addCallbacks(
                self._accepted, self._failed, (op.op_id,), {}, (op.op_id, attempt)
            ).addErrback(self._fault)

    def _accepted(self, response: bytes, op_id: int) -> None:
        op = self._replica.acknowledge(op_id, _decode_accepted(response).version)
        self._retries.reset()
        if op is not None:
            self._settle(op)
        self._pump()

    def _failed(self, failure: Failure, op_id: int, attempt: int) -> None:
        failure.trap(Refused, Disconnected)
        error = failure.value
        # What a lost channel did not answer is sent again by the next one.
        if not isinstance(error, Refused) or not self._sending.is_newest(op_id, attempt):
            return
        if error.retry:
            self._sending.hold(op_id)
            if self._retry is None:
                self._retry = self._reactor.callLater(self._retries.next(), self._resume)
        else:
            self._refuse(op_id, error)
            self._pump()

    def _resume(self) -> None:
        self._retry = None
        self._sending.resume()
        self._pump()

    def _stop_retry(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    def _settle(self, op: Operation) -> None:
        """An operation is durable."""
        self._sending.settle(op.op_id)
        self._keeper.save().addErrback(self._log_unkept)
        done = self._done.pop(op.op_id, None)
        if done is not None:
            assert op.durable_at is not None
            done.callback(op.durable_at)

    def _refuse(self, op_id: int, error: HelixError) -> None:
        """
        An operation will never be in the log.

        It is told of once the outbox has forgotten it: else it might be sent again all the same.
        """
        self._sending.settle(op_id)
        self._replica.refuse(op_id)
        self._keeper.save().addErrback(self._log_unkept).addCallback(
            lambda _: self._refuse_now(op_id, error)
        )

    def _refuse_now(self, op_id: int, error: HelixError) -> None:
        self._replica.refuse(op_id)
        self._tell(PatchRefused(op_id, error))
        done = self._done.pop(op_id, None)
        if done is not None:
            done.errback(error)

    # telling

    def _tell(self, event: FlowEvent) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(event)
            except Exception:
                self._log.failure("A listener of a flow failed")

    def _log_unkept(self, failure: Failure) -> None:
        self._log.warn("The outbox could not be saved: {why}", why=failure.getErrorMessage())

    def _fault(self, failure: Failure) -> None:
        self._log.failure("A client met a fault", failure)
        self._membership.rejoin("a fault in the client")
