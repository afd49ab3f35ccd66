"""The PostgreSQL store of flows. (docs/adr/0008-postgresql.md)"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from typing import Any, Final, TypeVar

from twisted.internet import defer
from twisted.internet.defer import Deferred, DeferredSemaphore, fail
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from helix.chain import origin_of
from helix.errors import (
    DuplicateOperation,
    FlowExists,
    FlowNotFound,
    StoreError,
    StoreFull,
    StoreUnavailable,
)
from helix.interfaces import IFlowStore
from helix.records import (
    Entry,
    FlowHead,
    HeadQuery,
    LogEnd,
    NamedVersion,
    StoredFlow,
    StoreUsage,
    Summary,
)
from helix.store.access_rows import owner_row
from helix.store.postgresql import adding, flows, queries
from helix.store.postgresql.access import PostgresAccess
from helix.store.postgresql.address import Address
from helix.store.postgresql.appends import Append, Appends, Teller
from helix.store.postgresql.credentials import PostgresCredentials
from helix.store.postgresql.failures import Clash, Unfit
from helix.store.postgresql.loading import load_flow
from helix.store.postgresql.names import drop_name, keep_name, list_names
from helix.store.postgresql.pool import Pool, Work
from helix.store.postgresql.queries import pack, read_entry, read_head, unpack
from helix.store.postgresql.quota import LOOK_SECONDS, look
from helix.store.postgresql.schema import bring_up_to_date, check
from helix.store.postgresql.snapshots import keep_snapshot
from helix.store.postgresql.wire import Bounds, Connection
from helix.store.rules import PAGE_BYTES

T = TypeVar("T")

CONNECTIONS = 6
"""Appends take two of them at most, and what takes long as many."""

PAST_AT_ONCE = 2
"""What may take long, so that nothing else waits behind it: reads of the past, and searches."""

ONE_MOMENT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

FLOWS_AT_ONCE = 20
"""Flows that one transaction of a purge removes."""


@implementer(IFlowStore)
class PostgresStore:
    """
    Keeps flows in a PostgreSQL database. (`helix.interfaces.IFlowStore`)

    The server may go away and come back: requests wait meanwhile, and fail with `StoreUnavailable`
    after too long. Several stores may share a database.

    Only what `helix.store.postgresql.address.Address.resolve` names can block the reactor.

    :param url: ``postgresql://user:password@host:port/database``, with libpq's parameters.
    :param read_only: whether to leave the database as it is.
    :param max_bytes: that its tables may take; 0 for as many as there is room for.
    :raises StoreError: when the URL can't be read.
    """

    _log: Final = Logger(namespace="helix.store.postgres")

    is_sole_writer = False

    def __init__(
        self,
        url: str,
        reactor: object,
        bounds: Bounds = Bounds(),  # noqa: B008  # immutable
        read_only: bool = False,
        max_bytes: int = 0,
    ) -> None:
        self.usage = StoreUsage(max_bytes=max_bytes)
        self._read_only = read_only
        self._clock = IReactorTime(reactor)
        self._bounds = bounds
        self._address = Address.parse(url, read_only)
        self._pool = Pool(self._address, reactor, bounds, CONNECTIONS, read_only)
        self._appends = Appends(self._pool, self._clock)
        self._past = DeferredSemaphore(PAST_AT_ONCE)
        self._looking: IDelayedCall | None = None
        self._numbers = count()
        self.is_open = False
        self._is_taking = False  # from the start on; what comes before the opening waits for it
        self._under_way = 0
        self._idle: Deferred[None] | None = None
        self.access = PostgresAccess(self._do, lambda work: self._do(work, self._past), self.usage)
        self.credentials = PostgresCredentials(self._do)

    def is_at(self, url: str) -> bool:
        """
        Whether a URL leads here, in the same way.

        :raises StoreError: when it can't be read.
        """
        return Address.parse(url, self._read_only) == self._address

    def tell_by(self, teller: Teller) -> None:
        """Tell, with each append from now on, what a teller says."""
        self._appends.teller = teller

    def start(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._start())

    async def _start(self) -> None:
        self._is_taking = True
        try:
            await self._pool.first(self._prepare)
        except StoreError:
            await self._stop()
            raise
        self._pool.start()
        self.is_open = True
        if not self._read_only:
            self._look_later()

    async def _prepare(self, connection: Connection) -> None:
        if self._read_only:
            await check(connection)
        else:
            await bring_up_to_date(connection)
            await look(connection, self.usage)

    def _look_later(self) -> None:
        if self.is_open:
            self._looking = self._clock.callLater(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        self._looking = None
        # While it can't be seen, what was seen last holds.
        looking = self._do(lambda connection: look(connection, self.usage), self._past)
        looking.addErrback(lambda failure: failure.trap(StoreError))
        looking.addErrback(
            lambda failure: self._log.failure("Measuring the tables failed", failure)
        )
        looking.addBoth(lambda _: self._look_later())

    def stop(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        was_open, self.is_open = self.is_open, False
        self._is_taking = False
        looking, self._looking = self._looking, None
        if looking is not None:
            looking.cancel()
        if self._under_way and was_open:
            self._idle = Deferred()
            self._idle.addTimeout(self._bounds.wait + self._bounds.answer, self._clock)
            with suppress(defer.TimeoutError):  # what isn't finished by then fails below
                await self._idle
        await self._pool.stop()
        self._appends.close()

    def create(
        self,
        flow_id: str,
        epoch: str,
        at: float,
        entries: Sequence[Entry] = (),
        summary: Summary = Summary(),  # noqa: B008  # immutable
        replace_deleted: bool = False,
        owner: str = "",
    ) -> Deferred[FlowHead]:
        try:
            owned = owner_row(owner)
        except StoreError as error:
            return fail(error)
        updated_at = entries[-1].at if entries else at
        origin = origin_of(epoch)
        chain = entries[-1].chain if entries else origin
        head = FlowHead(flow_id, epoch, len(entries), summary, at, updated_at, origin, chain)

        attempts = count()

        async def create(connection: Connection) -> FlowHead:
            again = next(attempts) > 0
            try:
                await connection.transaction(
                    lambda: flows.create(
                        connection,
                        head,
                        entries,
                        replace_deleted,
                        owned,
                        self._bounds.long_answer,
                    )
                )
            except Clash:
                raise DuplicateOperation() from None
            except FlowExists:
                # The epoch is this log's alone: it was made before the connection was lost.
                if again and (found := await flows.head_of(connection, flow_id)).epoch == epoch:
                    return found
                raise
            return head

        return self._keep(create)

    def append(
        self,
        flow_id: str,
        epoch: str,
        base_version: int,
        base_chain: bytes,
        entries: Sequence[Entry],
        summary: Summary,
    ) -> Deferred[None]:
        if not self._is_taking:
            return fail(_closed())
        if self.usage.is_full:
            return self._refuse()
        if not entries:
            base = (epoch, base_version, base_chain)
            return self._do(lambda connection: flows.check_base(connection, flow_id, base))
        number = next(self._numbers)
        try:
            asked = adding.encode_append(
                number, flow_id, epoch, base_version, base_chain, entries, summary
            )
        except Unfit as error:
            return fail(error)
        deadline = self._clock.seconds() + self._bounds.wait
        self._under_way += 1
        return self._appends.submit(
            Append(number, flow_id, epoch, base_version, entries, asked, deadline)
        ).addBoth(self._finished)

    def head(self, flow_id: str) -> Deferred[FlowHead]:
        return self._do(lambda connection: flows.head_of(connection, flow_id))

    def ends(self, flow_ids: Sequence[str]) -> Deferred[dict[str, LogEnd]]:
        async def ends(connection: Connection) -> dict[str, LogEnd]:
            asked = {"flow_ids": [pack(one) for one in flow_ids]}
            rows = await connection.ask(queries.ENDS, asked)
            return {
                unpack(flow_id): LogEnd(unpack(epoch), version, bytes(chain), is_deleted)
                for flow_id, epoch, version, chain, is_deleted in rows
            }

        return self._do(ends)

    def load(self, flow_id: str, version: int | None = None) -> Deferred[StoredFlow]:
        async def load(connection: Connection) -> StoredFlow:
            return await connection.transaction(
                lambda: load_flow(connection, flow_id, version), ONE_MOMENT
            )

        return self._do(load, None if version is None else self._past)

    def entries(self, flow_id: str, epoch: str, after: int, limit: int) -> Deferred[list[Entry]]:
        async def entries(connection: Connection) -> list[Entry]:
            bounds = {"after": after, "limit": limit, "bytes": PAGE_BYTES}
            asked = {**_log_of(flow_id, epoch), **bounds}
            rows = await connection.ask(queries.ENTRIES, asked)
            if not rows:
                raise FlowNotFound()
            return [read_entry(row) for row in rows if row[0] is not None]

        return self._do(entries)

    def find(
        self, flow_id: str, epoch: str, client_id: str, op_ids: Sequence[int]
    ) -> Deferred[list[Entry]]:
        async def find(connection: Connection) -> list[Entry]:
            named = {**_log_of(flow_id, epoch), "client_id": pack(client_id)}
            rows = await connection.ask(queries.FIND, {**named, "op_ids": list(op_ids)})
            return [read_entry(row) for row in rows]

        return self._do(find)

    def newest_op(self, flow_id: str, epoch: str, client_id: str) -> Deferred[int | None]:
        async def newest_op(connection: Connection) -> int | None:
            named = {**_log_of(flow_id, epoch), "client_id": pack(client_id)}
            newest: int | None = (await connection.ask(queries.NEWEST_OP, named))[0][0]
            return newest

        return self._do(newest_op)

    def snapshot(
        self, flow_id: str, epoch: str, version: int, chain: bytes, document: bytes
    ) -> Deferred[None]:
        at = {**_log_of(flow_id, epoch), "version": version, "chain": chain}

        async def snapshot(connection: Connection) -> None:
            await connection.transaction(lambda: keep_snapshot(connection, at, document))

        return self._keep(snapshot)

    def snapshot_versions(self, flow_id: str, epoch: str) -> Deferred[list[int]]:
        async def snapshot_versions(connection: Connection) -> list[int]:
            rows = await connection.ask(queries.SNAPSHOT_VERSIONS, _log_of(flow_id, epoch))
            if not rows:
                raise FlowNotFound()
            return [version for (version,) in rows if version is not None]

        return self._do(snapshot_versions)

    def name_version(
        self, flow_id: str, epoch: str, named: NamedVersion
    ) -> Deferred[NamedVersion | None]:
        return self._keep(keep_name(_log_of(flow_id, epoch), named))

    def unname_version(self, flow_id: str, epoch: str, version: int) -> Deferred[None]:
        return self._do(drop_name(_log_of(flow_id, epoch), version))

    def named_versions(self, flow_id: str, epoch: str) -> Deferred[list[NamedVersion]]:
        return self._do(lambda connection: list_names(connection, _log_of(flow_id, epoch)))

    def heads(self, query: HeadQuery) -> Deferred[list[FlowHead]]:
        async def heads(connection: Connection) -> list[FlowHead]:
            return [read_head(row) for row in await connection.ask(*queries.list_heads(query))]

        return self._do(heads, self._past if query.text else None)

    def delete(self, flow_id: str, at: float) -> Deferred[FlowHead]:
        named = {"flow_id": pack(flow_id), "at": at}
        return self._do(lambda connection: flows.change(connection, queries.DELETE, named))

    def undelete(self, flow_id: str) -> Deferred[FlowHead]:
        named = {"flow_id": pack(flow_id)}
        return self._do(lambda connection: flows.change(connection, queries.UNDELETE, named))

    def purge(self, deleted_before: float) -> Deferred[int]:
        async def some(connection: Connection) -> int:
            asked = {"before": deleted_before, "limit": FLOWS_AT_ONCE}
            rows = await connection.ask(queries.REMOVE_OLD, asked)
            await flows.remove_logs(connection, rows, self._bounds.long_answer)
            return len(rows)

        async def purge(connection: Connection) -> int:
            total = 0
            while removed := await connection.transaction(lambda: some(connection)):
                total += removed
            return total

        return self._do(purge)

    def renew_epoch(
        self, flow_id: str, epoch: str, version: int, chain: bytes, new_epoch: str
    ) -> Deferred[None]:
        base = (epoch, version, chain)

        async def renew(connection: Connection) -> None:
            await connection.transaction(
                lambda: flows.renew_epoch(connection, flow_id, base, new_epoch)
            )

        return self._do(renew)

    def renew_epochs(self, epoch: str) -> Deferred[int]:
        async def renew(connection: Connection) -> int:
            return await connection.transaction(
                lambda: flows.renew_epochs(connection, epoch, self._bounds.long_answer)
            )

        return self._do(renew)

    def _keep(self, work: Work[T]) -> Deferred[T]:
        """As `_do`, for what keeps something new, where there is room."""
        return self._refuse() if self.is_open and self.usage.is_full else self._do(work)

    def _do(self, work: Work[T], turns: DeferredSemaphore | None = None) -> Deferred[T]:
        """
        Have something done on a connection. To cancel the Deferred doesn't cancel the work.

        :param turns: whose turn it waits for first.
        """
        if not self._is_taking:
            return fail(_closed())
        self._under_way += 1
        result: Deferred[T] = Deferred()
        running = self._pool.run(work) if turns is None else self._run_in_turn(work, turns)
        Deferred.fromCoroutine(running).addBoth(self._finished).chainDeferred(result)
        return result

    async def _run_in_turn(self, work: Work[T], turns: DeferredSemaphore) -> T:
        try:
            await turns.acquire().addTimeout(self._bounds.wait, self._clock)
        except defer.TimeoutError:
            raise StoreUnavailable() from None
        try:
            return await self._pool.run(work)
        finally:
            # In the next turn: the next one begins in this call, and may end in it.
            self._clock.callLater(0, turns.release)

    def _refuse(self) -> Deferred[Any]:
        self.usage.refused += 1
        return fail(StoreFull())

    def _finished(self, result: Any) -> Any:
        if isinstance(result, Failure) and result.check(StoreFull):
            self.usage.refused += 1
        self._under_way -= 1
        if self._idle is not None and not self._under_way and not self._idle.called:
            self._idle.callback(None)
        return result


def _closed() -> StoreUnavailable:
    return StoreUnavailable("The store is closed")


def _log_of(flow_id: str, epoch: str) -> dict[str, object]:
    return {"flow_id": pack(flow_id), "epoch": pack(epoch)}
