"""`FlowClient`: one flow, kept in sync with its server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from random import Random, SystemRandom
from typing import Any, Final

import msgspec
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from helix.client.events import (
    DocumentReplaced,
    EntriesArrived,
    FlowEvent,
    Listener,
    Status,
    StatusChanged,
)
from helix.client.keeping import FileKeeper, Keeper, MemoryKeeper
from helix.client.membership import Membership, Owner
from helix.client.outbox import SavedOperation, SavedOutbox
from helix.client.outgoing import Outgoing
from helix.client.replica import FlowEntry, Gap, Replica
from helix.client.socket import Address
from helix.client.tokens import Token, bearer
from helix.client.wire import Limits, decode_entries, decode_joined, decode_reset
from helix.delivery.protocol import encode_json
from helix.documents.document import DocumentLimits, JsonObject
from helix.documents.ids import check_key, new_id, parse_new_flow_id, public_id
from helix.errors import (
    ClientStopped,
    Disconnected,
    HelixError,
    OutboxUnusable,
)


class FlowClient:
    """
    Joins a flow and stays in it, through lost connections and restarts of the server.

    :param reactor: Twisted's.
    :param url: the server's, ``http://127.0.0.1:4000`` for one; ``ws`` and ``wss`` too.
    :param user: ``name`` and ``color``, to show to others.
    :param client_id: this client's id for the server, 1 to 255 bytes; with ``outbox`` the saved
        one. It is a secret: whoever has it can edit in this client's name. Of two clients with the
        same id, the one that joins later replaces the other.
    :param random: draws the id and the waits; a `Random`.
    :param outbox: a file that keeps unconfirmed patches when the process ends. It is created if it
        is missing, and belongs to one client at a time.
    :param endpoint: leads to the server, if ``url`` doesn't.
    :param token: shows the server who this is. A function gives a new one, or a Deferred of one,
        for each connection and when the server says that the token expires.
    :raises ValueError: when ``url`` is no such URL, or ``token`` no token.
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
        token: Token | None = None,
    ) -> None:
        random = SystemRandom() if random is None else random
        address = Address.of(url)
        self.flow_id = parse_new_flow_id(flow_id)
        self._reactor = reactor
        self._user = None if user is None else dict(user)
        for name, key in (("client_id", client_id), ("user.id", (user or {}).get("id"))):
            if key is not None:
                check_key(name, key)
        if isinstance(token, str):
            bearer(token)
        self._given_client_id = client_id
        self._secret = client_id or new_id(random)
        self._replica = Replica(public_id(self._secret))
        self._keeper: Keeper = MemoryKeeper()
        if outbox is not None:
            self._keeper = FileKeeper(reactor, outbox, self._snapshot)
        self._membership = Membership(
            reactor,
            address,
            endpoint or address.endpoint(reactor),
            f"flow:{self.flow_id}",
            Owner(self._parameters, self._joined, self._received, self._moved),
            random,
            token,
        )
        self._outgoing = Outgoing(
            reactor, self._replica, self._keeper, self._membership.push, self._tell, random
        )
        self._limits = Limits()
        self._listeners: list[Listener] = []
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
        """This client's public id, as others see it, for example in the log's entries."""
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

    def patch(
        self,
        patch: JsonObject,
        *,
        is_text: bool = False,
        tags: Mapping[str, object] | None = None,
    ) -> Deferred[int]:
        """
        Change the document: at once in `document`, and in the log as soon as possible.

        Patches reach the log in the order of these calls. They wait for the server as long as
        necessary, and are sent again until it has answered; none is applied twice.

        :param patch: a JSON Merge Patch of the document. It is copied.
        :param is_text: whether its texts are edited versions of those in `document`: each is then
            merged with others' changes. Otherwise the last text wins.
        :param tags: what its entry is marked with, as `FlowEntry.tags`: at most 1,024 bytes of
            JSON. Tags of a grant are set on top.
        :return: a Deferred that fires with the version at which the log holds the patch. It fails
            with `InvalidPatch`, `InvalidParameters`, `TooManyPending`, `OutboxUnusable`, or with
            `Refused`, and the patch is shown no more; or with `ClientStopped`.
        """
        if self._end is not None:
            return fail(self._end)
        if not self._is_open:
            return fail(Disconnected("The client is not started yet"))
        return self._outgoing.submit(patch, is_text=is_text, tags=tags)

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
            self._secret = saved.client_id
            self._replica.client_id = public_id(saved.client_id)
            self._outgoing.restore(saved)
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
        """Fail everything that still waits."""
        self._end = self._end or error
        self._outgoing.give_up(self._end)
        if self._started is not None and not self._started.called:
            self._started.errback(self._end)

    def _snapshot(self) -> SavedOutbox:
        replica = self._replica
        operations = [
            SavedOperation(
                op.op_id,
                msgspec.Raw(op.text),
                dict(op.bases),
                msgspec.json.decode(op.tags) if op.tags else {},
            )
            for op in replica.unconfirmed
        ]
        return SavedOutbox(self.flow_id, self._secret, replica.newest_op, operations)

    # the membership's calls

    def _parameters(self) -> bytes:
        parameters: dict[str, object] = {
            "mode": "document",
            "client_id": self._secret,
        }
        if self._replica.epoch is not None:
            parameters |= {"epoch": self._replica.epoch, "version": self._replica.version}
            if self._replica.chain is not None:
                parameters["chain"] = self._replica.chain
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
        self._outgoing.pause()
        self._tell(StatusChanged(status, reason))
        if status is Status.JOINED:
            self._outgoing.resume(self._limits)
            if self._started is not None and not self._started.called:
                self._started.callback(self)

    def _take(self, take: Callable[[bytes], None], text: bytes) -> None:
        """Take what the server tells; where that can't be, the next join begins anew."""
        try:
            take(text)
        except Gap:
            raise Disconnected("entries are missing") from None
        except Exception:
            self._log.failure("A message of the server can't be applied")
            self._replica.distrust()
            raise Disconnected("a message of the server can't be applied") from None

    def _take_join(self, text: bytes) -> None:
        joined = decode_joined(text)
        self._replica.client_id = joined.client_id or self._replica.client_id
        self._limits = limits = joined.limits
        self._replica.limit(
            DocumentLimits(limits.max_patch_bytes, limits.max_document_bytes, limits.max_members)
        )
        if joined.document is not None:
            self._adopt(joined.epoch, joined.version, joined.chain, joined.document)
        elif joined.epoch != self._replica.epoch:
            raise ValueError("entries of another log")
        else:
            self._grow(joined.entries or [], joined.chain)
            if joined.version > self._replica.version:
                raise Gap
        if joined.last_op_id is not None:
            self._outgoing.count_on_from(joined.last_op_id)

    def _take_entries(self, text: bytes) -> None:
        told = decode_entries(text)
        self._grow(told.entries, told.chain)

    def _take_reset(self, text: bytes) -> None:
        reset = decode_reset(text)
        self._adopt(reset.epoch, reset.version, reset.chain, reset.document)

    def _grow(self, entries: Sequence[FlowEntry], chain: str | None) -> None:
        new, settled = self._replica.receive(entries)
        if new:
            self._replica.chain = chain
        self._outgoing.settle(settled)
        if new:
            self._tell(EntriesArrived(tuple(new)))

    def _adopt(self, epoch: str, version: int, chain: str | None, document: JsonObject) -> None:
        self._replica.adopt(epoch, version, document)
        self._replica.chain = chain
        self._tell(DocumentReplaced(epoch, version))

    def _tell(self, event: FlowEvent) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(event)
            except Exception:
                self._log.failure("A listener of a flow failed")
