"""Access lists as REST has them. (docs/spec.md, ACC122-124)"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helix.access.paths import parse_paths
from helix.access.principal import Grant
from helix.access.roles import Role
from helix.access.sharing import (
    MAX_GROUPS,
    MAX_LINKS,
    MAX_MEMBERS,
    Audience,
    FlowAccess,
    GeneralAccess,
)
from helix.documents.merge_patch import merge
from helix.errors import InvalidParameters, LinkNotFound, TooManyGrants
from helix.sharing.changing import change_list, describe_list
from helix.sharing.links import make_link, with_link, without_link

PROMPTS = Grant(Role.EDITOR, parse_paths(["/nodes/*/data/prompt"]), {"source": "ai"})

ALL = FlowAccess(
    "ada",
    {"bob": Grant(Role.VIEWER), "bot": PROMPTS},
    {"staff": Grant(Role.COMMENTER)},
    GeneralAccess(Audience.SIGNED_IN, Role.PROPOSER),
)

DESCRIBED: dict[str, Any] = {
    "owner": "ada",
    "members": {
        "bob": "viewer",
        "bot": {"role": "editor", "paths": ["/nodes/*/data/prompt"], "tags": {"source": "ai"}},
    },
    "groups": {"staff": "commenter"},
    "general": {"who": "signed-in", "role": "proposer"},
}


def test_acc122_what_a_flow_gives_is_described() -> None:
    assert describe_list(ALL) == DESCRIBED
    assert describe_list(FlowAccess()) == {
        "owner": None,
        "members": {},
        "groups": {},
        "general": {"who": "restricted", "role": None},
    }


ROLES = st.sampled_from([role.text for role in Role])
GRANTS = ROLES | st.fixed_dictionaries(
    {"role": ROLES},
    optional={"paths": st.just(["/title"]), "tags": st.just({"source": "ai"})},
)
NAMES = st.sampled_from(["ada", "bob", "bot", "eve", "staff"])
GENERAL = st.sampled_from(
    [
        {"who": "restricted", "role": None},
        {"who": "restricted"},
        {"who": "link", "role": "viewer"},
        {"who": "signed-in"},
        {"role": "editor"},
    ]
)
PATCHES = st.fixed_dictionaries(
    {},
    optional={
        "owner": NAMES,
        "members": st.dictionaries(NAMES, GRANTS | st.none()),
        "groups": st.dictionaries(NAMES, GRANTS | st.none()),
        "general": GENERAL,
    },
)


@given(PATCHES)
def test_acc123_a_change_is_a_merge_patch(patch: dict[str, Any]) -> None:
    changed = change_list(ALL, patch, may_disown=False)
    merged = merge(DESCRIBED, patch)
    if merged["general"]["who"] == "restricted":
        merged["general"] = {"who": "restricted", "role": None}
    for part in ("members", "groups"):  # what is narrowed by nothing is written as a role alone
        merged[part] = {
            name: one["role"] if isinstance(one, dict) and one.keys() == {"role"} else one
            for name, one in merged[part].items()
        }
    assert describe_list(changed) == merged
    assert changed.links == ALL.links


def test_acc123_a_grant_is_narrowed_by_what_is_named_alone() -> None:
    changed = change_list(ALL, {"members": {"bob": {"paths": ["/title"]}}}, may_disown=False)
    assert describe_list(changed)["members"]["bob"] == {"role": "viewer", "paths": ["/title"]}
    changed = change_list(changed, {"members": {"bob": {"paths": None}}}, may_disown=False)
    assert describe_list(changed)["members"]["bob"] == "viewer"


@pytest.mark.parametrize(
    ("patch", "place"),
    [
        (None, "An object is wanted"),
        ([], "An object is wanted"),
        ({"links": {}}, "links: not one of"),
        ({"owner": 5}, "owner: "),
        ({"owner": " "}, "owner: "),
        ({"owner": None}, "owner: "),
        ({"members": None}, "members: "),
        ({"members": ["bob"]}, "members: "),
        ({"members": {"": "viewer"}}, "members: : "),
        ({"members": {"a\nb": "viewer"}}, "members: a\nb: "),
        ({"members": {"x" * 256: "viewer"}}, "members: x"),
        ({"members": {"bob": "reader"}}, "members: bob: a role is one of"),
        ({"members": {"bob": {"roles": 1}}}, "members: bob: a grant has role, paths and tags"),
        ({"members": {"bob": {"paths": ["title"]}}}, "members: bob: 'title' is no path"),
        ({"members": {"bob": {"tags": 5}}}, "members: bob: tags are an object"),
        ({"groups": {"staff": 4}}, "groups: staff: "),
        ({"general": None}, "general: "),
        ({"general": "link"}, "general: "),
        ({"general": {"who": "all", "role": "viewer"}}, "general: "),
        ({"general": {"who": "link", "role": "owner"}}, "general: "),
        ({"general": {"who": "link", "role": None}}, "general: "),
        ({"general": {"who": "link", "role": "viewer", "x": 1}}, "general: "),
    ],
)
def test_acc123_what_is_no_list_is_refused_and_the_place_is_told(patch: object, place: str) -> None:
    with pytest.raises(InvalidParameters) as refused:
        change_list(ALL, patch, may_disown=False)
    assert refused.value.message.startswith(place)


def test_acc123_an_administrator_alone_leaves_a_flow_without_an_owner() -> None:
    assert change_list(ALL, {"owner": None}, may_disown=True).owner == ""


@pytest.mark.parametrize(("part", "most"), [("members", MAX_MEMBERS), ("groups", MAX_GROUPS)])
def test_acc123_lists_are_bounded(part: str, most: int) -> None:
    full = change_list(
        FlowAccess(), {part: {f"p{n}": "viewer" for n in range(most)}}, may_disown=False
    )
    with pytest.raises(TooManyGrants):
        change_list(full, {part: {"one-more": "viewer"}}, may_disown=False)
    assert change_list(full, {part: {"p0": "editor", "p1": None}}, may_disown=False) != full
    assert change_list(full, {part: {"p0": None, "other": "editor"}}, may_disown=False) != full


def test_acc232_all_grants_together_are_bounded() -> None:
    wide = {"role": "editor", "paths": [f"/nodes/*/data/{n}{'x' * 490}" for n in range(64)]}
    many = {"members": {f"p{n}": wide for n in range(120)}}
    access = change_list(FlowAccess(), many, may_disown=False)
    with pytest.raises(TooManyGrants):
        change_list(access, {"members": {f"q{n}": wide for n in range(20)}}, may_disown=False)
    assert len(change_list(access, {"members": {"p0": None}}, may_disown=False).members) == 119


def test_acc232_a_list_that_is_too_large_may_become_smaller() -> None:
    grant = Grant(Role.EDITOR, parse_paths([f"/{n}{'x' * 500}" for n in range(64)]))
    large = FlowAccess(members={f"p{n}": grant for n in range(200)})
    smaller = change_list(large, {"members": {"p0": None}}, may_disown=False)
    assert len(smaller.members) == 199
    with pytest.raises(TooManyGrants):
        change_list(large, {"members": {"one": "viewer"}}, may_disown=False)


def test_acc124_links_are_bounded_and_those_that_are_over_give_way() -> None:
    access = ALL
    for _ in range(MAX_LINKS):
        access = with_link(access, make_link(Role.VIEWER, 1000.0, "ada", 60.0, "")[0])
    with pytest.raises(TooManyGrants):
        with_link(access, make_link(Role.VIEWER, 1059.0, "ada", None, "")[0])
    later, _ = make_link(Role.VIEWER, 1060.0, "ada", None, "")
    assert with_link(access, later).links == {later.id: later}
    assert without_link(with_link(ALL, later), later.id) == ALL
    with pytest.raises(LinkNotFound):
        without_link(access, "other")


def test_acc124_no_two_links_have_the_same_secret() -> None:
    made = [make_link(Role.VIEWER, 0.0, "", None, "") for _ in range(100)]
    assert len({secret for _, secret in made}) == len({link.digest for link, _ in made}) == 100
    for link, secret in made:
        link_id, _, rest = secret.partition(".")
        assert (link.id, len(link_id), len(rest)) == (link_id, 22, 43)
        assert rest not in repr(link)
