"""RFC 7396 as an algebra: its own examples, and the laws of diff, inverse and growth."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import example, given

from helix.documents.merge_patch import (
    JsonObject,
    diff,
    growth,
    inverse,
    merge,
    merge_into,
    minimal,
    same,
    size_of,
)
from tests.support.flowdata import OBJECTS, PATCHES

# RFC 7396, appendix A.
RFC_7396 = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("target", "patch", "result"), RFC_7396)
def test_doc2_the_examples_of_rfc_7396(target: Any, patch: Any, result: Any) -> None:
    before = copy.deepcopy((target, patch))
    assert merge(target, patch) == result
    assert (target, patch) == before


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [case for case in RFC_7396 if type(case[0]) is type(case[1]) is dict],
)
def test_doc2_the_examples_of_rfc_7396_in_place(
    target: JsonObject, patch: JsonObject, result: JsonObject
) -> None:
    changed = copy.deepcopy(target)
    merge_into(changed, patch)
    assert changed == result
    assert merge(target, minimal(target, patch)) == result


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (1, 1.0, True),
        (0.0, -0.0, True),
        (1, True, False),
        (0, False, False),
        ([1, [0]], [1.0, [0]], True),
        ([1, [0]], [1, [False]], False),
        ([{"a": 1, "b": None}], [{"b": None, "a": 1}], True),
        ([{"a": 1}], [{"a": True}], False),
        ([None], [None], True),
        ([None], [False], False),
        ([1, 2], [2, 1], False),
        ("1", 1, False),
        (2**53, 2**53 + 1, False),
    ],
)
def test_doc5_what_is_the_same_json(a: Any, b: Any, expected: bool) -> None:
    assert same(a, b) is same(b, a) is expected
    assert bool(diff({"m": a}, {"m": b})) is bool(minimal({"m": a}, {"m": b})) is not expected


@given(OBJECTS, OBJECTS)
@example({"a": {"b": 1}}, {"a": {}})
@example({"a": 1}, {"a": {}})
@example({"a": 1, "b": [1]}, {"a": True, "b": [True]})
def test_doc9_a_difference_turns_one_document_into_the_other(a: JsonObject, b: JsonObject) -> None:
    before = copy.deepcopy((a, b))
    assert same(merge(a, diff(a, b)), b)
    assert (a, b) == before
    assert diff(a, a) == diff(b, copy.deepcopy(b)) == {}


@given(OBJECTS, PATCHES)
@example({"a": 1}, {"a": {"b": None}})
@example({}, {"a": {"b": None}})
@example({"a": {"b": 1}}, {"a": 5})
def test_doc9_an_inverse_undoes_its_patch(document: JsonObject, patch: JsonObject) -> None:
    before = copy.deepcopy((document, patch))
    undone = merge(merge(document, patch), inverse(document, patch))
    assert same(undone, document)
    assert (document, patch) == before


@given(OBJECTS, PATCHES)
def test_doc9_what_a_patch_replaces_undoes_it(document: JsonObject, patch: JsonObject) -> None:
    changed, undo = copy.deepcopy(document), {}
    merge_into(changed, patch, undo)
    assert undo == inverse(document, patch)
    merge_into(changed, undo)
    assert same(changed, document)
    merge_into(changed, patch)
    assert undo == inverse(document, patch)


@given(OBJECTS, PATCHES)
def test_doc8_a_document_grows_by_no_more_than_its_patch_holds(
    document: JsonObject, patch: JsonObject
) -> None:
    assert growth(document, patch) <= size_of(patch)


@given(OBJECTS, PATCHES)
def test_doc5_a_minimal_patch_changes_the_same_and_no_more(
    document: JsonObject, patch: JsonObject
) -> None:
    change = minimal(document, patch)
    changed = merge(document, patch)
    assert same(merge(document, change), changed)
    assert minimal(document, change) == change
    assert minimal(changed, change) == {}
    assert change == diff(document, changed)


@given(OBJECTS, PATCHES)
def test_doc8_growth_is_exact(document: JsonObject, patch: JsonObject) -> None:
    before = size_of(document)
    foretold = growth(document, patch)
    assert size_of(document) == before
    changed = copy.deepcopy(document)
    assert merge_into(changed, patch) == foretold
    assert changed == merge(document, patch)
    assert size_of(changed) == before + foretold


@given(OBJECTS, PATCHES, PATCHES)
def test_doc2_a_patch_is_not_changed_by_what_follows_it(
    document: JsonObject, first: JsonObject, second: JsonObject
) -> None:
    target = copy.deepcopy(document)
    undo = inverse(target, first)
    before = copy.deepcopy((first, undo))
    merge_into(target, first)
    merge_into(target, second)
    merge_into(target, undo)
    merge_into(target, second)
    assert (first, undo) == before
