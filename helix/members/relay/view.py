"""
What a relay client shows, and therefore what it changed; with no I/O.

The client sends all nodes and edges with each change. The newest updates may not have reached it
yet. So its message itself tells which edits of others it includes (docs/adr/0009-relay-bridge.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import attrs

from helix.documents.merge_patch import JsonObject, diff
from helix.members.relay.bridge import NOTHING, RelayState, difference, sharing, with_parents
from helix.members.relay.past import RelayPast, news

MAX_UPDATES = 32
"""The newest updates that are remembered, because a client may not have seen them yet."""

SURELY_SEEN = 5.0
"""Seconds after which a client has what it was sent."""

SETTLED = 1.2
"""
Seconds after its join from which a client's messages show which updates it has applied. Before, the
first generation's page sends its own copy, and may still show its old state.
"""

_Change = tuple[bool, str, JsonObject | None, JsonObject | None]
"""Whether a member is a node, its id, and what it was and is."""


@attrs.define(eq=False)
class _Update:
    """
    An update that a client was sent and may have seen.

    :ivar shown: as it was sent: the state of a client that replaces its own by it.
    :ivar kept: the same with the client's edits that weren't in it.
    :ivar others: the states before and after others' changes since the previous update.
    :ivar at: when, seconds.
    """

    shown: RelayState
    kept: RelayState
    others: tuple[RelayState, RelayState]
    at: float
    _changed: list[_Change] | None = None

    @property
    def changed(self) -> list[_Change]:
        """What others changed since the previous update."""
        if self._changed is None:
            self._changed = [*_changes(*self.others)]
        return self._changed


class RelayView:
    """
    What one relay client may show.

    Calls come in the order in which the server receives frames from the client and sends it some.

    :param joined_at: when the client joined, seconds of any clock.
    :param is_back: whether it had just left: then it may show its old state, and not its copy.
    """

    __slots__ = (
        "_is_back",
        "_is_new",
        "_joined_at",
        "_known",
        "_last",
        "_last_at",
        "_pending",
        "_proven",
        "_updates",
    )

    def __init__(self, joined_at: float, is_back: bool = False) -> None:
        self._joined_at = joined_at
        self._is_back = is_back
        self._is_new = True
        self._last: RelayState | None = NOTHING
        self._last_at = float("-inf")
        self._known = NOTHING
        self._pending: list[JsonObject] = []
        self._updates: list[_Update] = []
        # Whether it has ever shown that it takes what it is sent.
        self._proven = False

    def is_unsettled(self, at: float) -> bool:
        """Tell whether nothing tells yet what the client has taken: `begins` is to be asked."""
        is_early = at - self._joined_at < SETTLED
        return self._is_new or (is_early and (self._is_back or bool(self._updates)))

    def was_sent(self, state: RelayState, at: float) -> None:
        """
        Note that the client was sent an update other than its own unchanged edit.

        :param state: the document's when it was sent.
        :param at: the time, seconds of any clock.
        """
        if self._known is NOTHING and not state.nodes:
            return
        if len(self._updates) > 1 and all(u.shown is state for u in self._updates[-2:]):
            self._updates[-1].at = at
            return
        kept = state
        for patch in self._pending:
            kept = kept.patched(patch)
        self._updates.append(_Update(state, kept, (self._known, kept), at))
        self._known = kept
        del self._updates[:-MAX_UPDATES]

    def had(self, key: str) -> JsonObject | None:
        """Give a node as the client last had it, if that is remembered."""
        states = [update.shown for update in reversed(self._updates)]
        for state in (*states, self._last or NOTHING):
            if (node := state.nodes.get(key)) is not None:
                return node
        return None

    def was_sent_again(self, state: RelayState, at: float) -> None:
        """Note that the client was sent the newest update once more: `was_sent` with the state."""
        if self._updates:
            self._updates[-1].at = at
        self.was_sent(state, at)

    def begins(
        self, sent: RelayState, at: float, document: RelayState, past: RelayPast
    ) -> tuple[RelayState, JsonObject]:
        """
        Find out what a client that `is_unsettled` changes.

        It may come with an old copy, which is judged by what was before
        (`helix.members.relay.past.news`), unless it shows that it has taken what it was sent.

        :param document: the document's state now.
        :param past: what was before.
        :return: as `sends`.
        """
        self._is_new = False
        if at - self._joined_at >= SETTLED and (base := self._taken(sent, at, past)) is not None:
            self._last = None
            self._proven = True
            del self._updates[: self._updates.index(base)]
            return self.sends(sent, at)
        sent = sharing(sent, document)
        patch = with_parents(news(sent, document, past)[0], sent)
        self._proven = not difference(document, sent)
        self._last, self._last_at = sent, at
        self._known = sent
        self._pending.append(patch)
        updates, self._updates = self._updates, []
        if updates:
            self.was_sent(updates[-1].shown, updates[-1].at)
        return sent, patch

    def sends(self, sent: RelayState, at: float) -> tuple[RelayState, JsonObject]:
        """
        Find out what the client changes.

        :param sent: what it sends.
        :param at: the time, seconds of the same clock.
        :return: ``sent``, sharing what it can with what is known; and the patch, ``{}`` where
            nothing changes. It is under way until `answered`.
        """
        sent = sharing(sent, self._known)
        insists = self._last is not None and not difference(self._last, sent)
        if self._proven or insists:
            self._forget(at)
        base, seen = self._base(sent)
        patch = with_parents(difference(base, sent), sent)
        if not insists:
            self._last_at = at
        self._last = sent
        self._known = self._known.patched(patch)
        del self._updates[:seen]
        for update in self._updates:
            update.kept = update.kept.patched(patch)
        self._pending.append(patch)
        return sent, patch

    def answered(self, unfit: Sequence[tuple[bool, str]] = ()) -> None:
        """
        Note that the oldest edit under way is in the document.

        :param unfit: the nodes (``True``) and edges that aren't: whether each is a node, its id.
        """
        del self._pending[0]
        if unfit:
            self._known = self._known.without(unfit)
            if self._last is not None:
                self._last = self._last.without(unfit)

    def _taken(self, sent: RelayState, at: float, past: RelayPast) -> _Update | None:
        """
        Find the first update of which a client that has sent nothing before may have gone on.

        It shows some of it and, until it has surely seen it, nothing that ever was otherwise.
        """
        for update in self._updates:
            if update.shown.nodes.keys().isdisjoint(sent.nodes):
                continue
            if at - update.at >= SURELY_SEEN or not news(sent, update.shown, past)[1]:
                return update
        return None

    def _forget(self, at: float) -> None:
        """Forget what the client no longer has, since it has surely seen something newer."""
        seen = [i for i, update in enumerate(self._updates) if at - update.at >= SURELY_SEEN]
        if seen:
            del self._updates[: seen[-1]]
            if at - self._last_at >= SURELY_SEEN:
                self._last = None

    def _base(self, sent: RelayState) -> tuple[RelayState, int]:
        """
        Find what the client had when it made its change.

        :return: that, and how many of the updates it has seen, at the least.
        """
        scores = [0, *_scores(self._updates, sent)]
        self._proven = self._proven or max(scores) > 0
        if self._last is None:
            scores[0] = -len(scores)
        likely = [seen for seen, score in enumerate(scores) if score == max(scores)]
        # Among these only the client's own edits differ: an update without the newest of them may
        # have replaced what it showed. Then it is from there that it touched the fewest members,
        # and the fewest fields of those.
        base, seen = self._kept(likely[0]), likely[0]
        if len(likely) == 1 and (not seen or self._updates[seen - 1].shown is base):
            return base, seen
        fewest = _touched(base, sent)
        if seen and (touched := _touched(self._kept(likely[-1]), sent)) <= fewest:
            base, fewest = self._kept(likely[-1]), touched
        for count in filter(None, reversed(likely)):
            shown = self._updates[count - 1].shown
            touched = _touched(shown, sent)
            if (0, 0) < touched < fewest:
                base, seen, fewest = shown, count, touched
            elif touched == fewest and base is not self._last:
                seen = min(seen, count)
        return base, seen

    def _kept(self, seen: int) -> RelayState:
        """Give what a client has that keeps its edits and has seen so many updates."""
        if seen:
            return self._updates[seen - 1].kept
        assert self._last is not None
        return self._last


def _scores(updates: Iterable[_Update], sent: RelayState) -> Iterator[int]:
    """
    Tell, after each update, how well ``sent`` goes with a client that has seen it.

    An update is worth 1 where something is as others made it and never was before, which the client
    can't know but from there; else -1 where something is as it was before the update, until a later
    one makes that so again.
    """
    nearest: dict[tuple[bool, str], int] = {}
    contradicting: dict[tuple[bool, str], int] = {}
    shown = 0
    for number, update in enumerate(updates):
        is_shown = False
        against = []
        for is_node, name, before, after in update.changed:
            key = (is_node, name)
            now = (sent.nodes if is_node else sent.edges).get(name)
            was, is_now = _distance(before, now), _distance(after, now)
            nearest_yet = min(was, nearest.get(key, was))
            is_shown = is_shown or is_now < nearest_yet
            nearest[key] = min(is_now, nearest_yet)
            if is_now < was:
                contradicting.pop(key, None)
            elif is_now > was:
                against.append(key)
        shown += is_shown
        if not is_shown:
            contradicting.update(dict.fromkeys(against, number))
        yield shown - len(set(contradicting.values()))


def _changes(a: RelayState, b: RelayState) -> Iterator[_Change]:
    """Find the nodes and edges that differ."""
    for is_node, before, after in ((True, a.nodes, b.nodes), (False, a.edges, b.edges)):
        if before is not after:
            for key, member in after.items():
                if (old := before.get(key)) is not member and old != member:
                    yield is_node, key, old, member
            for key in before.keys() - after.keys():
                yield is_node, key, before[key], None


def _touched(base: RelayState, sent: RelayState) -> tuple[int, int]:
    """Count the nodes and edges that differ, and the fields of those: a position is one."""
    members = fields = 0
    for _, _, before, now in _changes(base, sent):
        members += 1
        fields += _fields(before, now)
    return members, fields


def _fields(before: JsonObject | None, now: JsonObject | None) -> int:
    if before is None or now is None:
        return 1
    change = diff(before, now)
    return sum(1 if name == "position" else _leaves(value) for name, value in change.items())


def _distance(before: JsonObject | None, now: JsonObject | None) -> int:
    """Count the fields that differ; a member that only one of both has counts for one more."""
    if before is None or now is None:
        return 0 if before is now else 1 + _leaves(before or now)
    return _leaves(diff(before, now))


def _leaves(value: Any) -> int:
    return sum(map(_leaves, value.values())) if type(value) is dict else 1
