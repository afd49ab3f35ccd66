"""
Texts that several people write in at once: three versions of one become a fourth that has what all
wrote.

Its rules are those of the client library (`frontend/client/src/texts.ts`; DOM4 in docs/spec.md), so
that what is shown to a writer before the answer is what it will be.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from helix.mergepatch import JsonObject

MAX_EFFORT = 100_000
"""Words that the texts of one patch are compared with, at most: some 50 ms."""

_SPACE = " \t\r\n"

_WORDS = re.compile(
    "[^ \t\r\n\u2e80-\U0010ffff]+|[ \t\r\n]+|[\u2e80-\U0010ffff]",
)
"""Words and what is between them; where words have nothing between, characters."""


@attrs.define
class Effort:
    """
    How much work texts may still be compared with; what goes beyond is compared as a whole.

    :ivar left: in words.
    """

    left: int = MAX_EFFORT


@attrs.frozen
class Hunk:
    """What a text has in place of ``base[start:end]``."""

    start: int
    end: int
    text: str

    @property
    def replaces(self) -> bool:
        """Whether it puts something in the place of something else."""
        return self.start < self.end and bool(self.text)

    def is_before(self, other: Hunk) -> bool:
        """Tell the order: what puts in comes before what takes out at the same place."""
        if self.start != other.start:
            return self.start < other.start
        return self.end == self.start and other.end > other.start


def merge_patch(document: JsonObject, patch: Any, bases: Mapping[str, str]) -> Any:
    """
    Let a patch's texts be what its writer and the others wrote, where others did meanwhile.

    :param document: what the patch is for.
    :param bases: by the JSON Pointer of each text: of what its writer has made it.
    :return: the patch; it shares with the one given, which stays as it is.
    """
    effort = Effort()
    for pointer, base in bases.items():
        path = [key.replace("~1", "/").replace("~0", "~") for key in pointer.split("/")[1:]]
        theirs, mine = _at(document, path), _at(patch, path)
        if type(theirs) is str and theirs != base and (mine is None or type(mine) is str):
            merged = merge_texts(base, theirs, mine or "", effort)
            patch = _with(patch, path, merged or (None if mine is None else ""))
    return patch


_ABSENT = object()


def _at(value: Any, path: Sequence[str]) -> Any:
    for key in path:
        value = value.get(key, _ABSENT) if type(value) is dict else _ABSENT
    return value


def _with(value: JsonObject, path: Sequence[str], text: str | None) -> JsonObject:
    key, *rest = path
    return {**value, key: _with(value[key], rest, text) if rest else text}


def merge_texts(base: str, theirs: str, mine: str, effort: Effort | None = None) -> str:
    """
    Make one text of two that were made of ``base``.

    It has what both have put in, and not what either has taken out. Where both have changed the
    same words both versions stand there.

    :param theirs: what came first; where both have put something in at one place, it is behind.
    """
    if theirs == base:
        return mine
    if mine == base:
        return theirs
    effort = effort or Effort()
    return _Merge(base, _hunks(base, theirs, effort), _hunks(base, mine, effort)).run()


class _Merge:
    """
    Merges the changes of two, which are in the order of their places.

    :ivar _at: up to where of the base the text is made.
    """

    def __init__(self, base: str, theirs: Sequence[Hunk], mine: Sequence[Hunk]) -> None:
        self._base = base
        self._theirs = deque(theirs)
        self._mine = deque(mine)
        self._text: list[str] = []
        self._at = 0

    def run(self) -> str:
        while self._theirs or self._mine:
            self._take()
        return "".join(self._text) + self._base[self._at :]

    def _take(self) -> None:
        """Take the next change, with all that overlap it."""
        sides = (self._mine, self._theirs)
        is_mine = not self._theirs or (
            bool(self._mine) and not self._theirs[0].is_before(self._mine[0])
        )
        first = (self._mine if is_mine else self._theirs).popleft()
        taken: tuple[list[Hunk], list[Hunk]] = ([first], []) if is_mine else ([], [first])
        end = first.end
        while True:
            for side, of_side in zip(sides, taken, strict=True):
                if side and side[0].start < end and side[0].end > first.start:
                    of_side.append(side.popleft())
                    end = max(end, of_side[-1].end)
                    break
            else:
                break
        mine, theirs = taken
        if not mine or not theirs:
            self._put(first.start, end, self._applied(first.start, end, mine or theirs))
        elif any(hunk.text for hunk in (*mine, *theirs)):
            self._keep_both(first.start, end, mine, theirs)
        else:
            self._put(first.start, end, "")

    def _keep_both(
        self, start: int, end: int, mine: Sequence[Hunk], theirs: Sequence[Hunk]
    ) -> None:
        """Let both versions of words stand there, mine first."""
        base = self._base
        limit = min([len(base), *(side[0].start for side in (self._mine, self._theirs) if side)])
        while start > self._at and base[start - 1] not in _SPACE:
            start -= 1
        while end < limit and base[end] not in _SPACE:
            end += 1
        my, their = self._applied(start, end, mine), self._applied(start, end, theirs)
        between = ""
        if my and their and my[-1] not in _SPACE and their[0] not in _SPACE:
            between = "\n" if "\n" in my + their else " "
        self._put(start, end, my + between + their)

    def _applied(self, start: int, end: int, hunks: Sequence[Hunk]) -> str:
        """Give what of the base becomes by changes in it."""
        parts = []
        for hunk in hunks:
            parts += [self._base[start : hunk.start], hunk.text]
            start = hunk.end
        return "".join((*parts, self._base[start:end]))

    def _put(self, start: int, end: int, text: str) -> None:
        self._text += [self._base[self._at : start], text]
        self._at = end


def _hunks(base: str, text: str, effort: Effort) -> list[Hunk]:
    """Tell what has to be changed in ``base`` to have ``text``."""
    whole = _trimmed(base, text, 0)
    rough = _parted(base, whole, _WORDS.findall, effort) if whole.replaces else [whole]
    hunks: list[Hunk] = []
    for hunk in rough:
        hunks += _finer(base, hunk, effort) if hunk.replaces else [hunk]
    hunks = [hunk for hunk in hunks if hunk.start < hunk.end or hunk.text]
    ends = [0, *(hunk.end for hunk in hunks)]
    starts = [*(hunk.start for hunk in hunks[1:]), len(base)]
    return [_at_word(base, *one) for one in zip(hunks, ends, starts, strict=False)]


def _parted(
    base: str, whole: Hunk, pieces_of: Callable[[str], list[str]], effort: Effort
) -> list[Hunk]:
    """Make smaller changes of one: of the pieces that aren't the same."""
    a, b = pieces_of(base[whole.start : whole.end]), pieces_of(whole.text)
    common = _common_pieces(a, b, effort)
    if common is None:
        return [whole]
    hunks = []
    start = whole.start
    i = j = 0
    for x, y in (*_telling(common, a), (len(a), len(b))):
        old, now = "".join(a[i:x]), "".join(b[j:y])
        if old != now:
            hunks.append(_trimmed(old, now, start))
        start += len(old) + (len(a[x]) if x < len(a) else 0)
        i, j = x + 1, y + 1
    return hunks


def _finer(base: str, hunk: Hunk, effort: Effort) -> list[Hunk]:
    """Make a change one of characters, where they were only put in, or only taken out."""
    hunks = _parted(base, hunk, list, effort)
    if all(not one.text for one in hunks) or all(one.start == one.end for one in hunks):
        return hunks
    return [hunk]


def _trimmed(old: str, now: str, offset: int) -> Hunk:
    """Make one change of two texts: without what they begin and end with alike."""
    start = _alike(old, now)
    tail = _alike(old[start:][::-1], now[start:][::-1])
    return Hunk(offset + start, offset + len(old) - tail, now[start : len(now) - tail])


def _at_word(base: str, hunk: Hunk, first: int, last: int) -> Hunk:
    """
    Let what was put in, or taken out, be said of the last place where it makes the same, or of one
    before where a word begins.
    """
    if hunk.replaces:
        return hunk
    start, end = hunk.start, hunk.end
    words = hunk.text or base[start:end]
    after = words + base[end:last]
    by = 0
    while end + by < last and base[end + by] == after[by]:
        by += 1
    by -= _to_word(base[first : start + by], after[by : by + len(words)])
    text = base[start + by : start] + words if by < 0 else after[by:]
    return Hunk(start + by, end + by, hunk.text and text[: len(words)])


def _to_word(before: str, words: str) -> int:
    """
    Tell by how much words could be earlier, behind what is before them, so that a word begins
    there.
    """
    back = 0
    while back < len(before) and before[-1 - back] not in _SPACE:
        if words[0] in _SPACE or back == len(words) or before[-1 - back] != words[-1 - back]:
            return 0
        back += 1
    return back


def _alike(a: str, b: str) -> int:
    """Count the characters that two texts begin with alike."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _common_pieces(
    a: Sequence[str], b: Sequence[str], effort: Effort
) -> list[tuple[int, int]] | None:
    """
    List where two sequences have the same pieces, as many as can be.

    Myers, "An O(ND) Difference Algorithm and Its Variations", 1986.

    :return: pairs of places; ``None`` where that takes too much effort.
    """
    # By the number of differences so far: how far one gets on each diagonal.
    trace: list[dict[int, int]] = []
    reach = {1: 0}
    differences = 0
    while True:
        trace.append(reach)
        reach = dict(reach)
        for k in range(-differences, differences + 1, 2):
            before = _diagonal_before(reach, k, differences)
            x = reach[before] + (before < k)
            effort.left -= 1
            while x < len(a) and x - k < len(b) and a[x] == b[x - k]:
                x += 1
                effort.left -= 1
            if effort.left < 0:
                return None
            reach[k] = x
            if x >= len(a) and x - k >= len(b):
                return _path_to(trace, len(a), len(b))
        differences += 1


def _telling(common: Sequence[tuple[int, int]], words: Sequence[str]) -> list[tuple[int, int]]:
    """Leave out white space that is the same beside no word that is: it says nothing."""
    of_words = {(x, y) for x, y in common if words[x][0] not in _SPACE}
    return [
        (x, y)
        for x, y in common
        if not of_words.isdisjoint(((x, y), (x - 1, y - 1), (x + 1, y + 1)))
    ]


def _diagonal_before(reach: Mapping[int, int], k: int, differences: int) -> int:
    """Tell from which diagonal one comes to diagonal ``k`` by one more difference."""
    if k == -differences or (k != differences and reach[k - 1] < reach[k + 1]):
        return k + 1
    return k - 1


def _path_to(trace: Sequence[Mapping[int, int]], x: int, y: int) -> list[tuple[int, int]]:
    common = []
    for differences in range(len(trace) - 1, -1, -1):
        reach = trace[differences]
        before = _diagonal_before(reach, x - y, differences)
        from_x = reach[before]
        while x > from_x and y > from_x - before:
            x -= 1
            y -= 1
            common.append((x, y))
        x, y = from_x, from_x - before
    return common[::-1]
