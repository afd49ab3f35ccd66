"""
Three-way merge of texts: when several people edit a text at once, the result has what all wrote.

The rules are those of the client library (`frontend/client/src/model/texts.ts`; DOM4 in
docs/spec.md). So a writer already sees the result before the server answers.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from math import isqrt
from typing import Any

import attrs

from helix.documents.merge_patch import JsonObject

MAX_EFFORT = 100_000
"""Maximum steps to compare the texts of one patch: some 20 ms."""

MAX_TEXTS = 32
"""Maximum number of texts that are merged in one patch; further texts are taken unmerged."""

_PER_STEP = 64
"""Characters that are scanned in the time of one step ..."""

_PIECES_PER_STEP = 2
"""... and pieces that a text is taken apart into."""

_SPACE = " \t\r\n"

_GAP = re.compile("[ \t\r\n]")

_BESIDE_WORDS = re.compile("[ \t\r\n]?(?:[^ \t\r\n][ \t\r\n]?)+")
"""Words, by the first character of each piece, with one piece of white space on either side."""

_WORDS = re.compile(
    "[^ \t\r\n\u2e80-\U0010ffff]+|[ \t\r\n]+|[\u2e80-\U0010ffff]",
)
"""Words and what is between them; where words have nothing between, characters."""


@attrs.define
class Effort:
    """
    The remaining work to compare texts; beyond it, texts are compared as a whole.

    :ivar left: in steps.
    """

    left: int = MAX_EFFORT


@attrs.frozen
class Hunk:
    """A change of a text: what it has in place of ``base[start:end]``."""

    start: int
    end: int
    text: str

    @property
    def replaces(self) -> bool:
        """Whether it replaces text, and doesn't only insert or delete."""
        return self.start < self.end and bool(self.text)

    def is_before(self, other: Hunk) -> bool:
        """Tell the order: what puts in comes before what takes out at the same place."""
        if self.start != other.start:
            return self.start < other.start
        return self.end == self.start and other.end > other.start


def merge_patch(
    document: JsonObject, patch: Any, bases: Mapping[str, str], *, is_held: bool = False
) -> Any:
    """
    Merge a patch's texts with others' changes since then.

    :param document: the document that the patch is for.
    :param bases: the old version of each text that its writer changed, by JSON Pointer.
    :param is_held: whether the document may hold the patch already: texts that have changed
        meanwhile then stay as they are.
    :return: the patch; it shares with the one given, which stays as it is.
    """
    if not bases:
        return patch
    effort = Effort()
    merged_paths: set[tuple[str, ...]] = set()
    for pointer, base in islice(bases.items(), MAX_TEXTS):
        names = pointer.split("/")[1:]
        path = tuple(name.replace("~1", "/").replace("~0", "~") for name in names)
        if path in merged_paths:
            continue  # told in another way
        merged_paths.add(path)
        theirs, mine = _at(document, path), _at(patch, path)
        if type(theirs) is str and theirs != base and (mine is None or type(mine) is str):
            merged = theirs if is_held else merge_texts(base, theirs, mine or "", effort)
            patch = _with(patch, path, merged or (None if mine is None else ""))
    return patch


def bases_of(document: JsonObject, patch: JsonObject) -> dict[str, str]:
    """
    Say of what a patch's texts are made, for `merge_patch`: of those that ``document`` has, or of
    ``""`` where it has none. What it has in another form than a text is left out.

    :param patch: one that `helix.documents.validation.check_patch` lets pass: its depth is bounded.
    """
    bases: dict[str, str] = {}
    _note_bases(document, patch, "", bases)
    return bases


def _note_bases(document: Any, patch: JsonObject, within: str, bases: dict[str, str]) -> None:
    for name, value in patch.items():
        pointer = f"{within}/{name.replace('~', '~0').replace('/', '~1')}"
        was = document.get(name) if type(document) is dict else None
        if type(value) is dict:
            _note_bases(was, value, pointer, bases)
        elif (value is None or type(value) is str) and (was is None or type(was) is str):
            bases[pointer] = was or ""


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
    Merge two texts that were made from ``base``.

    The result has what both inserted, and not what either deleted. If both changed the same words,
    both versions stay.

    :param theirs: the earlier change; if both inserted at one place, its insertion comes second.
    """
    if theirs == base:
        return mine
    if mine == base:
        return theirs
    effort = effort or Effort()
    if effort.left < 0:
        whole = [[Hunk(0, len(base), text)] for text in (theirs, mine)]
        return _Merge(base, *whole).run()
    effort.left -= (len(base) + len(theirs) + len(mine)) // _PER_STEP
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
        """Keep both versions of the words, mine first."""
        base = self._base
        limit = min([len(base), *(side[0].start for side in (self._mine, self._theirs) if side)])
        start = self._at + _word_at_end(base[self._at : start])
        gap = _GAP.search(base, end, limit)
        end = limit if gap is None else gap.start()
        my, their = self._applied(start, end, mine), self._applied(start, end, theirs)
        between = ""
        if my and their and my[-1] not in _SPACE and their[0] not in _SPACE:
            between = "\n" if "\n" in my or "\n" in their else " "
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
    """Give the changes that turn ``base`` into ``text``."""
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
    old, now = base[whole.start : whole.end], whole.text
    if len(old) + len(now) > _PIECES_PER_STEP * effort.left:
        return [whole]
    a, b = pieces_of(old), pieces_of(now)
    effort.left -= (len(a) + len(b)) // _PIECES_PER_STEP
    common = _common_pieces(a, b, effort)
    if common is None:
        return [whole]
    hunks = []
    start = whole.start
    i = j = 0
    for x, y, length in (*_telling(common, a), (len(a), len(b), 0)):
        old, now = "".join(a[i:x]), "".join(b[j:y])
        if old != now:
            hunks.append(_trimmed(old, now, start))
        start += len(old) + sum(map(len, a[x : x + length]))
        i, j = x + length, y + length
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
    rest = min(len(old), len(now)) - start
    tail = _most(rest, lambda size: old[len(old) - size :] == now[len(now) - size :])
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
    by = _alike(base[end:last], after)
    by -= _to_word(base[first : start + by], after[by : by + len(words)])
    text = base[start + by : start] + words if by < 0 else after[by:]
    return Hunk(start + by, end + by, hunk.text and text[: len(words)])


def _to_word(before: str, words: str) -> int:
    """
    Tell by how much words could be earlier, behind what is before them, so that a word begins
    there.
    """
    word = before[_word_at_end(before) :]
    return len(word) if words[0] not in _SPACE and words.endswith(word) else 0


def _word_at_end(text: str) -> int:
    """Tell where the word begins by which a text ends; after white space, that is its end."""
    return max(map(text.rfind, _SPACE)) + 1


def _alike(a: str, b: str) -> int:
    """Count the characters that two texts begin with alike."""
    return _most(min(len(a), len(b)), lambda size: a[:size] == b[:size])


def _most(most: int, is_true: Callable[[int], bool]) -> int:
    """Find the largest number up to ``most`` of which something is true, as of all below."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if is_true(middle):
            low = middle
        else:
            high = middle - 1
    return low


_Run = tuple[int, int, int]
"""Where two sequences have the same pieces: the place in each, and how many."""


def _common_pieces(a: Sequence[str], b: Sequence[str], effort: Effort) -> list[_Run] | None:
    """
    List where two sequences have the same pieces, as many as can be.

    Myers, "An O(ND) Difference Algorithm and Its Variations", 1986.

    :return: ``None`` where that takes too much effort.
    """
    left, n, m = effort.left, len(a), len(b)
    most = min(n + m, isqrt(2 * left)) + 1
    # How far one gets on each diagonal (those below zero from the end), by how many differences.
    reach = [0] * (2 * most + 3)
    trace: list[list[int]] = []
    for differences in range(most + 1):
        trace.append(reach.copy())
        for k in range(-differences, differences + 1, 2):
            # As `_diagonal_before` has it; a call would take most of the time.
            if k == -differences or (k != differences and reach[k - 1] < reach[k + 1]):
                start = x = reach[k + 1]
            else:
                start = x = reach[k - 1] + 1
            while x < n and x - k < m and a[x] == b[x - k]:
                x += 1
            left -= 1 + x - start
            if left < 0:
                break
            reach[k] = x
            if x >= n and x - k >= m:
                effort.left = left
                return _path_to(trace, n, m)
        if left < 0:
            break
    effort.left = left
    return None


def _telling(common: Sequence[_Run], words: Sequence[str]) -> Iterator[_Run]:
    """Leave out white space that is the same beside no word that is: it says nothing."""
    for x, y, length in common:
        firsts = "".join([word[0] for word in words[x : x + length]])
        for found in _BESIDE_WORDS.finditer(firsts):
            yield x + found.start(), y + found.start(), found.end() - found.start()


def _diagonal_before(reach: Sequence[int], k: int, differences: int) -> int:
    """Tell from which diagonal one comes to diagonal ``k`` by one more difference."""
    if k == -differences or (k != differences and reach[k - 1] < reach[k + 1]):
        return k + 1
    return k - 1


def _path_to(trace: Sequence[Sequence[int]], x: int, y: int) -> list[_Run]:
    common = []
    for differences in range(len(trace) - 1, -1, -1):
        reach = trace[differences]
        before = _diagonal_before(reach, x - y, differences)
        from_x = reach[before]
        from_y = from_x - before
        length = min(x - from_x, y - from_y)
        if length > 0:
            common.append((x - length, y - length, length))
        x, y = from_x, from_y
    return common[::-1]
