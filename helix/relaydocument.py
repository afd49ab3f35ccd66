"""The nodes and edges of a flow's document as they are durable; with no I/O."""

from __future__ import annotations

import msgspec

from helix.commits import CommitLoop
from helix.relay import RelayState, state_of

_decode = msgspec.json.Decoder(dict).decode


class DurableState:
    """
    Follows a document by its entries: it is copied once.

    :param commits: of the flow.
    """

    __slots__ = ("_at", "_commits", "_state")

    def __init__(self, commits: CommitLoop) -> None:
        self._commits = commits
        self._state: RelayState | None = None
        self._at = ("", 0)

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
