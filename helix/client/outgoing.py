"""A client's own patches: kept, sent, and sent again until the server has answered."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from typing import Final

from twisted.internet.defer import Deferred, fail, gatherResults
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from helix.client.backoff import Backoff
from helix.client.events import Dropped, FlowEvent, PatchRefused
from helix.client.keeping import Keeper
from helix.client.outbox import SavedOutbox
from helix.client.replica import Operation, Replica
from helix.client.sending import Sending
from helix.client.splitting import split
from helix.client.wire import Limits, decode_accepted
from helix.delivery.protocol import encode_json
from helix.errors import Disconnected, HelixError, PatchTooLarge, Refused

FRAME_ROOM = 2048
"""Bytes of a frame beside its payload, at most."""

Push = Callable[[str, bytes], Deferred[bytes]]


class Outgoing:
    """
    Sends a client's patches to the server, in order, `helix.client.sending.WINDOW` at once.

    :param replica: shows them meanwhile.
    :param push: `helix.client.membership.Membership.push`.
    :param tell: called with what listeners are to be told.
    :param random: draws the waits after a refusal for now.

    :ivar keeper: keeps what is not confirmed.
    """

    _log: Final = Logger(namespace="helix.client")

    def __init__(
        self,
        clock: IReactorTime,
        replica: Replica,
        keeper: Keeper,
        push: Push,
        tell: Callable[[FlowEvent], None],
        random: Random,
    ) -> None:
        self._clock = clock
        self._replica = replica
        self._keeper = keeper
        self._push = push
        self._tell = tell
        self._sending = Sending()
        self._retries = Backoff(random)
        self._retry: IDelayedCall | None = None
        self._limits = Limits()
        self._may_send = False
        self._is_keeping_parts = False
        self._done: dict[int, Deferred[int]] = {}
        self._unkept: set[int] = set()

    def restore(self, saved: SavedOutbox) -> None:
        """Take over what was kept."""
        self._replica.newest_op = saved.newest_op
        for one in saved.operations:
            self._sending.add(
                self._replica.restore(one.op_id, bytes(one.patch), one.bases, one.tags)
            )

    def submit(self, patch: object, *, is_text: bool = False, tags: object = None) -> Deferred[int]:
        """Take a patch; as `helix.client.FlowClient.patch`."""
        try:
            op = self._replica.submit(patch, is_text=is_text, tags=tags)
        except HelixError as error:
            return fail(error)
        done = self._done[op.op_id] = Deferred()
        self._keeper.save().addCallbacks(
            lambda _: self._send(op), lambda failure: self._refuse_now(op.op_id, failure.value)
        )
        return done

    def count_on_from(self, last_op_id: int) -> None:
        """
        Give patches that were never sent numbers above ``last_op_id``, which the log holds; else
        they would count as resends. Each is sent once it is saved with its number.
        """
        renamed = self._replica.count_on_from(last_op_id)
        if not renamed:
            return
        waiting = [(op, self._done.pop(before, None)) for before, op in renamed]
        for before, _ in renamed:
            self._sending.settle(before)
        for op, done in waiting:
            self._unkept.add(op.op_id)
            if done is not None:
                self._done[op.op_id] = done
        operations = [op for op, _ in waiting]
        self._keeper.save().addCallbacks(
            lambda _: self._kept(operations),
            lambda failure: self._not_kept(operations, failure.value),
        )

    def resume(self, limits: Limits) -> None:
        """Send everything, from the first on: the server's channel is a new one."""
        self._limits = limits
        self._may_send = True
        self._sending.restart()
        self._pump()

    def pause(self) -> None:
        """Send nothing: there is no channel."""
        self._may_send = False
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    def settle(self, operations: Iterable[Operation]) -> None:
        """Finish operations that are durable."""
        for op in operations:
            self._sending.settle(op.op_id)
            self._keeper.save().addErrback(self._log_unkept)
            if op.dropped:
                self._tell(Dropped(op.op_id, op.patch, op.dropped))
            done = self._done.pop(op.op_id, None)
            if done is not None:
                done.callback(op.durable_at or 0)
        self._pump()

    def give_up(self, error: HelixError) -> None:
        """Fail pending operations; they stay in the outbox."""
        self.pause()
        waiting, self._done = self._done, {}
        for done in waiting.values():
            done.errback(error)

    def _send(self, op: Operation) -> None:
        if op.op_id not in self._unkept:  # which has another number meanwhile, to be kept first
            self._sending.add(op)
            self._pump()

    def _kept(self, operations: Iterable[Operation]) -> None:
        for op in operations:
            self._unkept.discard(op.op_id)
            self._send(op)

    def _pump(self) -> None:
        while self._may_send and not self._is_keeping_parts:
            taken = self._sending.take()
            if taken is None:
                return
            op, attempt = taken
            most = min(
                self._limits.max_patch_bytes,
                self._limits.max_frame_bytes - FRAME_ROOM - len(op.tags),
            )
            # What was sent may be in the log, as one.
            if len(op.text) > most and not op.was_sent and self._split(op, most):
                continue
            if len(op.text) + len(op.tags) + FRAME_ROOM > self._limits.max_frame_bytes:
                # The server would close the connection, every time.
                self._refuse(op.op_id, PatchTooLarge())
                continue
            op.was_sent = True
            payload = b'{"op_id":%d,"patch":%b}' % (op.op_id, op.text)
            if op.tags:
                payload = payload[:-1] + b',"tags":%b}' % op.tags
            if op.bases and op.size + FRAME_ROOM <= self._limits.max_frame_bytes:
                payload = payload[:-1] + b',"bases":%b}' % encode_json(op.bases)
            self._push("patch", payload).addCallbacks(
                self._accepted, self._failed, (op.op_id,), {}, (op.op_id, attempt)
            ).addErrback(self._fault, op.op_id)

    def _split(self, op: Operation, max_bytes: int) -> bool:
        """Send an operation in parts, if it has some. It is durable once all of them are."""
        patches = split(op.patch, max_bytes)
        if len(patches) < 2:
            return False
        parts = self._replica.split(op, patches)
        self._sending.replace(op.op_id, parts)
        whole = self._done.pop(op.op_id, None)
        if whole is not None:
            each: list[Deferred[int]] = [Deferred() for _ in parts]
            self._done.update((part.op_id, done) for part, done in zip(parts, each, strict=True))
            gatherResults(each, consumeErrors=True).addCallbacks(
                lambda versions: whole.callback(max(versions)),
                lambda failure: whole.errback(failure.value.subFailure),
            )
        self._is_keeping_parts = True
        self._keeper.save().addCallbacks(
            lambda _: self._parts_settled(),
            lambda failure: self._lose_parts(parts, failure.value),
        )
        return True

    def _lose_parts(self, parts: Iterable[Operation], error: HelixError) -> None:
        for part in parts:
            self._sending.settle(part.op_id)
            self._refuse_now(part.op_id, error)
        self._parts_settled()

    def _parts_settled(self) -> None:
        self._is_keeping_parts = False
        self._pump()

    def _not_kept(self, operations: Iterable[Operation], error: HelixError) -> None:
        for op in operations:
            self._unkept.discard(op.op_id)
            self._refuse_now(op.op_id, error)

    def _accepted(self, response: bytes, op_id: int) -> None:
        accepted = decode_accepted(response)
        op = self._replica.acknowledge(op_id, accepted.version, accepted.dropped)
        self._retries.reset()
        if op is not None:
            self.settle([op])
        else:
            self._sending.settle(op_id)
            self._pump()

    def _failed(self, failure: Failure, op_id: int, attempt: int) -> None:
        failure.trap(Refused, Disconnected)
        error = failure.value
        # What a lost channel did not answer is sent again by the next one.
        if not isinstance(error, Refused) or not self._sending.is_newest(op_id, attempt):
            return
        if error.retry:
            self._hold(op_id)
        else:
            self._refuse(op_id, error)
            self._pump()

    def _hold(self, op_id: int) -> None:
        """Wait a little, then send again from this operation on."""
        self._sending.hold(op_id)
        if self._retry is None and self._may_send:
            self._retry = self._clock.callLater(self._retries.next(), self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        self._sending.resume()
        self._pump()

    def _refuse(self, op_id: int, error: HelixError) -> None:
        """
        An operation will never be in the log.

        It is reported once the outbox has forgotten it; otherwise it might still be sent again.
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

    def _log_unkept(self, failure: Failure) -> None:
        self._log.warn("The outbox could not be saved: {why}", why=failure.getErrorMessage())

    def _fault(self, failure: Failure, op_id: int) -> None:
        self._log.failure("A patch met a fault in the client", failure)
        self._hold(op_id)
