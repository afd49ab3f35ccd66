"""What a principal may do with a flow, from all that gives a role."""

from __future__ import annotations

import itertools

import pytest

from helix.access.decision import FULL, Permission, decide, joined
from helix.access.paths import parse_paths
from helix.access.principal import ANYBODY, FlowPattern, Grant, Principal
from helix.access.roles import Right, Role
from helix.errors import Forbidden, ForbiddenPath


def principal(**grants: Grant) -> Principal:
    return Principal(
        "ada", grants=tuple((FlowPattern.parse(name), grant) for name, grant in grants.items())
    )


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("right", Right)
def test_acc80_role_has_the_rights_of_all_below(role: Role, right: Right) -> None:
    permission = Permission(role)
    assert permission.allows(right) is (role >= right.value)
    assert (right.text in permission.rights) is permission.allows(right)
    if not permission.allows(right):
        with pytest.raises(Forbidden, match=f"{right.value.text}.*{role.text}"):
            permission.check(right)


def test_acc80_rights_of_each_role() -> None:
    """As the design's table has them."""
    assert Permission(Role.VIEWER).rights == ["read"]
    assert Permission(Role.COMMENTER).rights == ["read", "comment"]
    assert Permission(Role.PROPOSER).rights == ["read", "comment", "propose"]
    assert Permission(Role.EDITOR).rights == ["read", "comment", "propose", "edit"]
    assert Permission(Role.OWNER).rights == ["read", "comment", "propose", "edit", "manage"]


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("one", ["one"], ["One", "one/two", "on", ""]),
        ("team-a/*", ["team-a/x", "team-a/", "team-a/b/c"], ["team-a", "team-b/x"]),
        ("*", ["", "anything"], []),
    ],
)
def test_acc81_pattern_is_an_id_or_how_it_begins(
    pattern: str, matching: list[str], others: list[str]
) -> None:
    parsed = FlowPattern.parse(pattern)
    assert parsed.text == pattern
    assert all(map(parsed.matches, matching))
    assert not any(map(parsed.matches, others))


@pytest.mark.parametrize("pattern", ["", "a*b", "**", "*a", 5, None])
def test_acc81_what_is_no_pattern_is_refused(pattern: object) -> None:
    with pytest.raises(ValueError, match="flow id"):
        FlowPattern.parse(pattern)


def test_acc80_nothing_gives_nothing() -> None:
    assert decide(principal(), "f") is None
    assert decide(principal(other=Grant(Role.OWNER)), "f") is None


def test_acc80_administrator_owns_all() -> None:
    assert decide(Principal("root", is_admin=True), "f") == FULL
    assert decide(ANYBODY, "f") == FULL


@pytest.mark.parametrize("roles", list(itertools.permutations(Role, 2)))
def test_acc80_highest_role_counts(roles: tuple[Role, Role]) -> None:
    grants = dict(zip(("f", "*"), map(Grant, roles), strict=True))
    found = decide(principal(**grants), "f")
    assert found is not None
    assert found.role is max(roles)


PROMPTS = parse_paths(["/nodes/*/data/prompt"])
TITLES = parse_paths(["/title"])


def test_acc82_grants_that_let_edit_add_their_paths() -> None:
    both = joined([Grant(Role.EDITOR, PROMPTS), Grant(Role.EDITOR, TITLES)])
    assert both is not None
    both.check_patch({"title": "new"}, {})
    with pytest.raises(ForbiddenPath, match="/data/x"):
        both.check_patch({"data": {"x": 1}}, {})


def test_acc82_grant_without_paths_is_for_all() -> None:
    for grants in itertools.permutations([Grant(Role.EDITOR), Grant(Role.EDITOR, PROMPTS)]):
        found = joined(grants)
        assert found is not None
        assert found.paths is None


def test_acc82_paths_of_who_may_not_edit_open_nothing() -> None:
    found = joined([Grant(Role.VIEWER), Grant(Role.EDITOR, PROMPTS)])
    assert found is not None
    with pytest.raises(ForbiddenPath):
        found.check_patch({"title": "new"}, {})
    viewer = joined([Grant(Role.VIEWER, TITLES)])
    assert viewer is not None
    with pytest.raises(Forbidden):
        viewer.check_patch({"title": "new"}, {})


def test_acc80_tags_of_all_grants_are_joined() -> None:
    found = joined([Grant(Role.VIEWER, tags={"a": 1}), Grant(Role.EDITOR, tags={"b": 2})])
    assert found is not None
    assert found.tags == {"a": 1, "b": 2}


@pytest.mark.parametrize("name", ["", "Editor", "EDITOR", "admin", "editor ", 4, None, True])
def test_acc80_what_is_no_role_is_refused(name: object) -> None:
    with pytest.raises(ValueError, match="viewer, commenter, proposer, editor, owner"):
        Role.parse(name)


@pytest.mark.parametrize("role", Role)
def test_acc80_role_is_read_by_its_name(role: Role) -> None:
    assert Role.parse(role.text) is role
