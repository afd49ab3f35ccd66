"""What members in relay mode on other nodes are sent, and what they were sent there."""

from __future__ import annotations

from helix.interfaces import IOtherNodes, Relayed, Way
from helix.log.commit_loop import CommitLoop

MAX_EDIT_BYTES = 64 * 1024
"""Bytes of the largest edit that crosses as it came. Of others, members see the document."""

MAX_COMING = 8
"""What other nodes were shown of versions that haven't come that may wait for them."""


class RelaysElsewhere:
    """
    The members in relay mode on other nodes.

    Of an edit, those of all nodes are sent the same bytes, if the document is then just what they
    show. It may be so only when the log has come as far.

    :param commits: of the flow.
    :param nodes: the other nodes.
    """

    __slots__ = ("_coming", "_commits", "_nodes")

    def __init__(self, commits: CommitLoop, nodes: IOtherNodes) -> None:
        self._commits = commits
        self._nodes = nodes
        self._coming: list[Relayed] = []  # a deque takes 600 bytes when it is empty

    def send(self, way: Way, changes: bytes) -> None:
        """Tell them what members here are sent that is no edit."""
        self._nodes.relayed(self._commits.log.flow_id, Relayed(way, changes))

    def send_edit(self, changes: bytes) -> None:
        """Tell them what members here are sent of the document as it is now."""
        log = self._commits.log
        if len(changes) <= MAX_EDIT_BYTES:
            relayed = Relayed(Way.EDITED, changes, log.epoch, log.version, log.chain)
            self._nodes.relayed(log.flow_id, relayed)

    def hear_edit(self, relayed: Relayed) -> None:
        """Keep what members there were sent of the document, until `take`."""
        self._coming = [*self._coming, relayed][-MAX_COMING:]

    @property
    def is_due(self) -> bool:
        """Whether any of that shows the document as it is now."""
        return bool(self._coming) and any(self._shows_now(relayed) for relayed in self._coming)

    def take(self) -> list[bytes]:
        """Give what shows the document as it is now, in order, and forget what is older."""
        log = self._commits.log
        coming = self._coming
        self._coming = [
            relayed
            for relayed in coming
            if relayed.epoch == log.epoch and relayed.version > log.version
        ]
        return [relayed.changes for relayed in coming if self._shows_now(relayed)]

    def _shows_now(self, relayed: Relayed) -> bool:
        log = self._commits.log
        if not log.is_stored:  # on other nodes it has another epoch, or is stored by now
            return not relayed.version
        place = (relayed.epoch, relayed.version, relayed.chain)
        return place == (log.epoch, log.version, log.chain)
