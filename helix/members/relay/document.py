"""The durable nodes and edges of a flow's document."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, TypeVar

import msgspec
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from helix.documents.decoding import decode_in_parts
from helix.errors import HelixError
from helix.limits.apart import Apart
from helix.log.commit_loop import CommitLoop
from helix.log.replaying import HERE_BYTES
from helix.members.relay.bridge import RelayState, changes_of, state_of
from helix.records import Entry

T = TypeVar("T")

_decode = msgspec.json.Decoder(dict).decode


class DurableState:
    """
    Follows a document by its entries: it is copied once.

    :param commits: of the flow.
    :param apart: does what takes long.
    """

    __slots__ = ("_apart", "_at", "_commits", "_state", "_waiting", "_written")

    def __init__(self, commits: CommitLoop, apart: Apart) -> None:
        self._commits = commits
        self._apart = apart
        self._state: RelayState | None = None
        self._at = ("", 0)
        self._written: tuple[RelayState, bytes] | None = None
        # None while nothing is made.
        self._waiting: list[Deferred[None]] | None = None

    def begin(self) -> None:
        """
        Have it copied and written apart where that takes long, so that `now` and `written` don't
        when they are asked for; where it can't be, they do.
        """
        log = self._commits.log
        is_small = log.document.size_bytes <= HERE_BYTES
        if is_small or self._state is not None or self._waiting is not None:
            return
        text = self._commits.confirmed(log.encoded)
        self._waiting = []
        made = self._apart(len(text), partial(_made_of, text))
        at = (log.epoch, log.version)
        made.addCallbacks(self._keep, _trap_refusal, (at,)).addBoth(self._made)

    def committed(self, entries: Sequence[Entry]) -> None:
        """The log has grown: by so much that it is made anew as `begin` does, or is followed."""
        if self._state is None:
            return
        if sum(len(entry.patch) for entry in entries) > HERE_BYTES:
            self._state = self._written = None
            self.begin()

    @property
    def is_being_made(self) -> bool:
        """Whether what `begin` began isn't done."""
        return self._waiting is not None

    def made(self) -> Deferred[None]:
        """Wait for that."""
        waiter: Deferred[None] = Deferred()
        if self._waiting is None:
            waiter.callback(None)
        else:
            self._waiting.append(waiter)
        return waiter

    def now(self) -> RelayState:
        """Give what is durable: the same object as long as that is the same."""
        log = self._commits.log
        at = (log.epoch, log.version)
        if self._state is not None and self._at == at:
            return self._state
        state = None
        if self._state is not None and self._at[0] == log.epoch:
            missed = log.recent(self._at[1])
            if missed is not None:
                state = self._state
                for entry in missed:
                    state = state.patched(_decode(entry.patch))
        if state is None:
            state = self._commits.confirmed(lambda: state_of(log.document.content))
        self._state, self._at = state, at
        return state

    def written(self) -> bytes:
        """Write `now` as `helix.members.relay.bridge.changes_of`, once for all who are sent it."""
        state = self.now()
        if self._written is None or self._written[0] is not state:
            self._written = state, changes_of(state)
        return self._written[1]

    def _keep(self, made: tuple[RelayState, bytes], at: tuple[str, int]) -> None:
        if self._state is None:
            self._written, self._state, self._at = made, made[0], at

    def _made(self, result: T) -> T:
        waiting, self._waiting = self._waiting or [], None
        for waiter in waiting:
            waiter.callback(None)
        return result


def _trap_refusal(failure: Failure) -> None:
    failure.trap(HelixError)


def _made_of(text: bytes) -> tuple[RelayState, bytes]:
    content: dict[str, Any] = decode_in_parts(text)
    state = state_of(content)
    return state, changes_of(state)
