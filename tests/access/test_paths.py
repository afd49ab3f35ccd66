"""Paths of grants: what a patch may change, and what it may not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helix.access.paths import MAX_PATHS, DocumentPath, first_outside, parse_paths
from helix.documents.merge_patch import diff, merge

CONTENT: dict[str, Any] = {
    "title": "T",
    "data": {"owner": "ada"},
    "nodes": {
        "p": {"id": "p", "type": "prompt", "position": {"x": 0, "y": 0}, "data": {"prompt": "hi"}},
        "q": {"id": "q", "position": {"x": 0, "y": 0}, "data": {"a/b": 1, "m~n": 2}},
    },
    "edges": {"e": {"id": "e", "type": "step", "source": "p", "target": "q"}},
}


def outside(paths: list[str], patch: dict[str, Any]) -> str | None:
    return first_outside(parse_paths(paths), patch, CONTENT)


@pytest.mark.parametrize(
    ("path", "patch"),
    [
        ("/title", {"title": "new"}),
        ("/title", {"title": None}),
        ("/data/**", {"data": {"owner": None}}),
        ("/nodes/*/data/prompt", {"nodes": {"p": {"data": {"prompt": "new"}}}}),
        ("/nodes/p/data", {"nodes": {"p": {"data": {"more": {"deep": 1}}}}}),
        ("/nodes/*[type=prompt]/data/**", {"nodes": {"p": {"data": {"prompt": None}}}}),
        ("/nodes/*", {"nodes": {"new": {"id": "new", "position": {"x": 0, "y": 0}}}}),
        ("/nodes/*", {"nodes": {"p": None}}),
        ("/nodes/**", {"nodes": {"p": None}}),
        ("/nodes/*[type=prompt]", {"nodes": {"p": None}}),
        ("/nodes/*[type=prompt]", {"nodes": {"new": {"id": "new", "type": "prompt"}}}),
        ("/edges/e[type=step]/label", {"edges": {"e": {"label": "yes"}}}),
        ("/nodes/q/data/a~1b", {"nodes": {"q": {"data": {"a/b": 2}}}}),
        ("/nodes/q/data/m~0n", {"nodes": {"q": {"data": {"m~n": 2}}}}),
        ("/nodes/p", {}),
    ],
)
def test_acc82_patch_within_a_path_is_let_through(path: str, patch: dict[str, Any]) -> None:
    assert outside([path], patch) is None


@pytest.mark.parametrize(
    ("path", "patch", "place"),
    [
        ("/title", {"title": "new", "description": "d"}, "/description"),
        ("/data/**", {"data": 5}, "/data"),
        ("/data/**", {"data": None}, "/data"),
        ("/nodes/*/data/prompt", {"nodes": {"p": {"data": {"x": 1}}}}, "/nodes/p/data/x"),
        ("/nodes/*/data/prompt", {"nodes": {"p": {"data": None}}}, "/nodes/p/data"),
        # An object takes the place of what is none.
        (
            "/nodes/*/data/prompt/x",
            {"nodes": {"p": {"data": {"prompt": {"x": 1}}}}},
            "/nodes/p/data/prompt",
        ),
        ("/title/x", {"title": {"x": None}}, "/title"),
        ("/nodes/*/data/**", {"nodes": {"p": None}}, "/nodes/p"),
        ("/nodes/*/data/**", {"nodes": {"new": {"data": {"x": 1}}}}, "/nodes/new"),
        ("/nodes/*", {"nodes": None}, "/nodes"),
        ("/nodes/*", {"edges": {"e": None}}, "/edges/e"),
        ("/nodes/*[type=prompt]/data/**", {"nodes": {"q": {"data": {"x": 1}}}}, "/nodes/q/data/x"),
        ("/nodes/*[type=prompt]", {"nodes": {"q": None}}, "/nodes/q"),
        # A node can neither be made of another type, nor come to be one or have been one.
        ("/nodes/*[type=prompt]", {"nodes": {"new": {"id": "new", "type": "api"}}}, "/nodes/new"),
        ("/nodes/*[type=prompt]", {"nodes": {"p": {"type": "api"}}}, "/nodes/p/type"),
        ("/nodes/*[type=prompt]", {"nodes": {"q": {"type": "prompt"}}}, "/nodes/q/type"),
        ("/nodes/q/data/a/b", {"nodes": {"q": {"data": {"a/b": 2}}}}, "/nodes/q/data/a~1b"),
        ("/nodes/q/data/m~0n", {"nodes": {"q": {"data": {"a/b": 2}}}}, "/nodes/q/data/a~1b"),
    ],
)
def test_acc82_first_place_outside_is_named(path: str, patch: dict[str, Any], place: str) -> None:
    assert outside([path], patch) == place


def test_acc82_several_paths_cover_together() -> None:
    patch = {"title": "new", "nodes": {"p": {"data": {"prompt": "new"}}}}
    assert outside(["/nodes/*/data"], patch) == "/title"
    assert outside(["/nodes/*/data", "/title"], patch) is None


@pytest.mark.parametrize(
    "path",
    [
        *("", "title", "/a/**/b", "/data/*[type=x]", "/nodes/a/b[type=x]", "/a~2", "/a~", 5, None),
        "/" + "x" * 512,
    ],
)
def test_acc82_what_is_no_path_is_refused(path: object) -> None:
    with pytest.raises(ValueError, match=r'path|type|"~"'):
        DocumentPath.parse(path)


@pytest.mark.parametrize("given_paths", [[], "x", None, ["/a"] * (MAX_PATHS + 1), ["/a", 5]])
def test_acc82_what_are_no_paths_is_refused(given_paths: object) -> None:
    with pytest.raises(ValueError, match="path"):
        parse_paths(given_paths)


names = st.sampled_from(["nodes", "edges", "data", "title", "a", "b", "p", "q"])
values = st.recursive(
    st.none() | st.integers(0, 2) | st.text("xy", max_size=1),
    lambda inner: st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
steps = st.lists(names | st.just("*"), min_size=1, max_size=4)


def changed(before: Any, after: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The places where two documents differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        found = []
        for name in before.keys() | after.keys():
            inner = before.get(name), after.get(name)
            found += changed(*inner, (*path, name))
        return found
    return [] if before == after else [path]


@given(st.dictionaries(names, values, max_size=4), st.lists(steps, min_size=1, max_size=3))
def test_acc82_what_is_let_through_changes_nothing_else(
    patch: dict[str, Any], written: list[list[str]]
) -> None:
    paths = parse_paths(["/" + "/".join(one) for one in written])
    if first_outside(paths, patch, CONTENT) is None:
        after = merge(CONTENT, patch)
        for place in changed(CONTENT, after):
            assert any(
                len(place) >= len(one)
                and all(step in ("*", name) for step, name in zip(one, place, strict=False))
                for one in written
            ), (place, diff(CONTENT, after))


@given(values)
def test_acc82_everything_is_let_through_by_all_paths(value: Any) -> None:
    patch = {"data": value, "nodes": {"p": value}}
    assert first_outside(parse_paths(["/data", "/nodes/*"]), patch, CONTENT) is None


def test_acc82_depth_is_no_matter() -> None:
    deep: Any = 1
    for _ in range(10_000):
        deep = {"a": deep}
    assert outside(["/data"], {"data": deep}) is None
    place = outside(["/title"], {"data": deep})
    assert place is not None
    assert len(place) == len("/data") + 10_000 * len("/a")
