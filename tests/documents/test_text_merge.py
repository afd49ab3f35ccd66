"""Texts that several people write in at once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helix.documents.text_merge import MAX_EFFORT, MAX_TEXTS, Effort, merge_patch, merge_texts
from tests.support.editors import FLOW, Editor, adding
from tests.support.textcases import FILE, cases
from tests.support.world import World

TEXTS = st.lists(st.sampled_from(["ab", "c", "日", "😀", "😁", " ", "\n"]), max_size=12).map(
    "".join
)


def test_dom4_texts_are_merged_as_the_client_library_is_told() -> None:
    assert json.loads(FILE.read_text()) == cases()


@given(TEXTS, TEXTS)
def test_dom4_text_that_one_has_changed_is_that_ones_version(base: str, changed: str) -> None:
    assert merge_texts(base, changed, base) == merge_texts(base, base, changed) == changed


@given(TEXTS, TEXTS, TEXTS)
def test_dom4_nothing_that_was_put_in_is_lost(base: str, theirs: str, mine: str) -> None:
    added = (Counter(theirs) - Counter(base)) + (Counter(mine) - Counter(base))
    for space in " \n":
        del added[space]
    assert not added - Counter(merge_texts(base, theirs, mine))


def test_dom4_texts_that_are_too_much_to_compare_are_compared_as_a_whole() -> None:
    many = [" ".join(f"{word}{n % 7}" for n in range(20_000)) for word in "ab"]
    effort = Effort()
    merged = merge_texts(many[0], f"{many[1]} b", f"c {many[0]} c", effort)
    assert merged.startswith("c ")
    assert merged.endswith("b")
    assert effort.left > -20_000


def test_dom4_texts_for_which_no_effort_is_left_both_stand() -> None:
    effort = Effort(-1)
    assert merge_texts("a b c", "a x c", "y b c", effort) == "y b c a x c"
    assert merge_texts("a", "", "b", effort) == "b"
    assert merge_texts("", "a", "b", effort) == "ba"
    assert effort.left == -1


def test_dom4_of_one_patch_so_many_texts_are_merged() -> None:
    names = [f"t{n}" for n in range(MAX_TEXTS + 2)]
    document = {"data": dict.fromkeys(names, "base theirs")}
    patch = {"data": dict.fromkeys(names, "mine base")}
    merged = merge_patch(document, patch, {f"/data/{name}": "base" for name in names})
    kinds = ["mine base theirs"] * MAX_TEXTS + ["mine base"] * 2
    assert list(merged["data"].values()) == kinds
    # One place that is told in many ways is one of each, too.
    bases = {f"{n}/data/t0": "base" for n in range(1000)}
    assert merge_patch(document, patch, bases)["data"]["t0"] == "mine base theirs"


@pytest.mark.parametrize("unit", ["a", "a ", "日", "a b c "])
def test_dom4_what_is_only_looked_through_counts_as_effort(unit: str) -> None:
    long = unit * 100_000
    effort = Effort()
    for n in range(40):
        merge_texts(long + str(n), "x" + long + "y", "z" + long, effort)
    assert -MAX_EFFORT < effort.left < 0


def test_dom4_patch_is_merged_where_it_says_of_what_it_was_made() -> None:
    document = {"title": "T T", "nodes": {"a/b": {"data": {"label": "L more", "n": 1}}}}
    patch = {"title": "X", "nodes": {"a/b": {"data": {"label": None, "n": "1"}}}}
    bases = {"/title": "T", "/nodes/a~1b/data/label": "L", "/nodes/a~1b/data/n": "", "/x/y": "z"}
    bases |= {"": ""}
    assert merge_patch(document, patch, bases) == {
        "title": "X T",
        "nodes": {"a/b": {"data": {"label": " more", "n": "1"}}},
    }
    assert patch["title"] == "X"
    assert merge_patch({"title": "T"}, patch, bases) is patch
    assert merge_patch(document, None, bases) is None
    assert merge_patch(document, {"title": ["X"]}, bases) == {"title": ["X"]}


def typed(editor: Editor, op_id: int, base: str, text: str) -> None:
    """Say what a text is to be, and of what it was made."""
    patch = {"nodes": {"n": {"data": {"prompt": text}}}}
    bases = {"/nodes/n/data/prompt": base}
    editor.client.push(FLOW, "patch", {"op_id": op_id, "patch": patch, "bases": bases})


def prompt(editor: Editor) -> object:
    assert editor.document is not None
    return editor.document["nodes"]["n"]["data"].get("prompt")


def test_dom4_what_two_people_write_in_one_text_at_once_stays(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    ada, bob = (Editor(world, name) for name in ("ada", "bob"))
    ada.patch(1, adding("n"))
    typed(ada, 2, "", "hello")
    typed(bob, 1, "", "world")
    # What was made of it while it was on its way.
    typed(ada, 3, "hello", "hello, ")
    for one in (ada, bob):
        one.look()
    assert prompt(ada) == prompt(bob) == "worldhello, "
