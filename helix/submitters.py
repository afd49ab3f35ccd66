"""Who submits to a flow, and how far each has come: by that a resend is known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import attrs

from helix.edits import Submission
from helix.interfaces import IFlowStore
from helix.livelog import LiveLog
from helix.records import Entry


@attrs.define(eq=False)
class _Client:
    """
    What is known of a client's submissions.

    :ivar members: how many of the session's members are this client.
    :ivar newest: the largest ``op_id`` that the log holds, that is on its way into it, or that
        was found to change nothing.
    """

    members: int
    newest: int


class Submitters:
    """
    The clients that submit to a flow.

    :param log: the flow's.
    :param store: is asked how far those have come who are new here.
    """

    __slots__ = ("_clients", "_doubted", "_has_orphans", "_log", "_store")

    def __init__(self, log: LiveLog, store: IFlowStore) -> None:
        self._log = log
        self._store = store
        self._clients: dict[str, _Client] = {}
        self._doubted: frozenset[str] = frozenset()
        self._has_orphans = False

    async def introduce(self, client_id: str) -> None:
        """
        Get to know a client before it submits anything; `dismiss` is owed for it.

        :raises StoreError: when the store can't tell what it submitted before.
        """
        log = self._log
        while client_id not in self._clients:
            epoch, version = log.epoch, log.version
            newest = await self._newest_op(client_id)
            # Another node may still have taken in what the client sent there.
            since = log.recent(version) if log.epoch == epoch else None
            if since is not None:
                newest = max([newest, *_op_ids(since, client_id)])
                self._clients.setdefault(client_id, _Client(0, newest))
        self._clients[client_id].members += 1

    def dismiss(self, client_id: str) -> None:
        """One member less is that client; `forget_orphans` follows when nothing is under way."""
        client = self._clients[client_id]
        client.members -= 1
        if not client.members:
            self._has_orphans = True

    def forget_orphans(self) -> None:
        """Forget the clients that nobody is any more. None of theirs may be under way."""
        if self._has_orphans:
            self._has_orphans = False
            for client_id in [one for one, client in self._clients.items() if not client.members]:
                del self._clients[client_id]

    # the submissions

    def know(self, submission: Submission) -> bool:
        """Whether it is a resend: the log holds it, or is to, or it was found to change nothing."""
        if submission.client_id is None or submission.op_id is None:
            return False
        client = self._clients.get(submission.client_id)
        return client is not None and submission.op_id <= client.newest

    def count(self, submission: Submission, before: dict[str, int]) -> None:
        """
        Know the submission again when it is resent, also if it changes nothing.

        :param before: is given how far the client was, for `put_back`, unless it has that already.
        """
        client_id, op_id = submission.client_id, submission.op_id
        client = None if client_id is None else self._clients.get(client_id)
        if client_id is not None and op_id is not None and client is not None:
            before.setdefault(client_id, client.newest)
            client.newest = op_id

    def put_back(self, before: Mapping[str, int]) -> None:
        """Forget again what was counted."""
        for client_id, newest in before.items():
            if client_id in self._clients:
                self._clients[client_id].newest = newest

    # what came another way

    def count_in(self, entries: Iterable[Entry]) -> None:
        """Know what came into the log by other writers, should it be sent here too."""
        for entry in entries:
            if entry.client_id in self._clients and entry.op_id is not None:
                client = self._clients[entry.client_id]
                client.newest = max(client.newest, entry.op_id)

    def doubt(self, client_ids: Iterable[str]) -> None:
        """These may have come farther than is known: `ask_again` finds out."""
        self._doubted = frozenset(client_ids)

    def begin_anew(self) -> None:
        """The log is another: nobody is known to have submitted anything to it."""
        self.doubt(self._clients)
        for client in self._clients.values():
            client.newest = -1

    async def ask_again(self) -> None:
        """
        Ask the store how far those have come of whom there is doubt.

        :raises StoreError: when it can't tell; the doubt is kept.
        """
        for client_id in sorted(self._doubted):
            newest = await self._newest_op(client_id)
            client = self._clients.setdefault(client_id, _Client(0, -1))
            client.newest = max(client.newest, newest)
        self._has_orphans = self._has_orphans or bool(self._doubted)
        self._doubted = frozenset()

    async def _newest_op(self, client_id: str) -> int:
        """The largest ``op_id`` of a client in the log; -1 when there is none."""
        log = self._log
        if not log.is_stored:
            return -1
        newest = await self._store.newest_op(log.flow_id, log.epoch, client_id)
        return -1 if newest is None else newest


def _op_ids(entries: Iterable[Entry], client_id: str) -> Iterator[int]:
    for entry in entries:
        if entry.client_id == client_id and entry.op_id is not None:
            yield entry.op_id
