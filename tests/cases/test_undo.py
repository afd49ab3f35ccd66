"""Undo that undoes one's own work, and nothing else."""

from __future__ import annotations

import pytest

from tests.cases.network import Network
from tests.cases.pages import Pages
from tests.support.daemon import Daemon
from tests.support.flowdata import node

pytestmark = pytest.mark.case

MANY = 1500
"""Nodes that together are more than one patch may hold."""


def test_jsc10_undo_of_what_was_never_sent_changes_nothing(
    daemon: Daemon, pages: Pages, net: Network
) -> None:
    """Else the values from before would be written over what others did meanwhile."""
    far = net.link(daemon.port)
    ben = pages.open(f"http://{daemon.address}", "demo")
    ben.saved()
    ben.patch({"title": "old", "nodes": {"n1": node("n1", data={"label": "old"})}})
    ben.saved()
    ada = pages.open(far.url, "demo")
    ada.saved()
    far.down()
    ada.offline()
    ada.patch({"title": "tried"})
    assert ada.undo()
    ada.patch({"nodes": {"n1": None}})
    assert ada.undo()
    ben.patch({"title": "Ben's title"})
    ben.patch({"nodes": {"n1": {"data": {"label": "an hour of work"}}}})
    ben.saved()
    far.up()
    ada.saved(60)
    ben.until(f"page.state.version === {ada.version}")
    assert ben.document == ada.document
    assert ben.document["title"] == "Ben's title"
    assert ben.document["nodes"]["n1"]["data"] == {"label": "an hour of work"}


def test_jsc4_undo_of_a_deletion_may_be_larger_than_a_patch(daemon: Daemon, pages: Pages) -> None:
    """Select all, Delete, Ctrl+Z."""
    page = pages.open(f"http://{daemon.address}", "demo")
    page.saved()
    about = "about a hundred characters of what this node does, as people write them into a field"
    names = [f"node{n}" for n in range(MANY)]
    made = {one: node(one, data={"label": one, "description": about}) for one in names}
    for at in range(0, MANY, 300):
        page.patch({"nodes": {one: made[one] for one in names[at : at + 300]}})
    page.saved()
    page.patch({"nodes": dict.fromkeys(names)})
    page.saved()
    assert page.document["nodes"] == {}
    assert page.undo()
    page.saved()
    assert page.document["nodes"] == made
    assert page.refusals == []
    late = pages.open(f"http://{daemon.address}", "demo")
    late.saved()
    assert late.document["nodes"] == made


def test_jsc10_step_whose_answer_was_lost_is_undone_all_the_same(
    daemon: Daemon, pages: Pages, net: Network
) -> None:
    """The next join brings the document whole, and so no entry to know the step by."""
    far = net.link(daemon.port, 0.1)
    ada, ben = pages.open(far.url, "demo"), pages.open(f"http://{daemon.address}", "demo")
    ada.saved()
    ben.saved()
    ada.patch({"title": "first step"})
    ada.saved()
    ada.patch({"description": "last step"})
    ben.until("page.state.document.description === 'last step'")
    far.cut()
    for n in range(5):  # more entries than the document is long
        ben.patch({"data": {f"ben{n}": n}})
    ben.saved()
    ada.until("page.state.document.data.ben4 === 4", 60)
    ada.saved(60)
    assert ada.undo()
    ada.saved()
    assert (ada.document["title"], ada.document["description"]) == ("first step", "")
