"""What was done offline, by this page or one that is gone, is kept, or its end is told."""

from __future__ import annotations

import pytest

from tests.cases.network import Network
from tests.cases.pages import Pages
from tests.support.daemon import Daemon
from tests.support.flowdata import node
from tests.support.watched import rest

pytestmark = pytest.mark.case

EDITS = 600
"""About what five minutes of typing make."""

QUICK = 10.0
"""Seconds within which so many edits are sent, on a machine that does much else."""


def test_jsc3_what_a_page_that_is_gone_left_goes_before_what_was_done_since(
    daemon: Daemon, pages: Pages
) -> None:
    url = f"http://{daemon.address}"
    before = pages.open(url, "demo", keeper="browser")
    before.saved()
    before.patch({"title": "before"})
    before.saved()
    before.run("await sleep(2100)")  # the document is kept every other second
    before.stop()
    daemon.kill()
    first = pages.open(url, "demo", keeper="browser")
    first.until("page.state.document")
    first.patch({"title": "first draft"})
    first.patch({"nodes": {"n1": node("n1")}})
    first.stop()
    second = pages.open(url, "demo", keeper="browser")
    second.until("page.state.document?.nodes.n1")
    second.patch({"title": "final title"})
    second.patch({"nodes": {"n1": {"data": {"label": "a page of text"}}}})
    shown = second.document
    daemon.start()
    second.saved(60)
    document = rest(daemon, "GET", "/flows/demo")["document"]
    assert document["title"] == "final title"
    assert document["nodes"]["n1"]["data"] == {"label": "a page of text"}
    assert document == shown == second.document


def test_jsc15_edits_of_a_node_that_is_deleted_meanwhile_are_told_to_be_dropped(
    daemon: Daemon, pages: Pages, net: Network
) -> None:
    ben = pages.open(f"http://{daemon.address}", "demo")
    ben.saved()
    ben.patch({"nodes": {"n1": node("n1", data={"text": ""})}})
    ben.saved()
    far = net.link(daemon.port)
    ada = pages.open(far.url, "demo")
    ada.saved()
    far.down()
    ada.offline()
    for n in range(1, 21):
        ada.patch({"nodes": {"n1": {"data": {"text": "an hour of work " * n}}}})
    ben.patch({"nodes": {"n1": None}})
    ben.saved()
    far.up()
    ada.saved(60)
    dropped = ada.told("dropped")[-1]["dropped"]
    assert dropped["paths"] == ["/nodes/n1"]
    assert dropped["patch"]["nodes"]["n1"]["data"]["text"] == "an hour of work " * 20


def test_jsc16_initial_nodes_reset_nobodys_work(daemon: Daemon, pages: Pages, net: Network) -> None:
    """They were meant for the flow that was empty; by the next visit it isn't."""
    initial = {"nodes": {"n1": node("n1", data={"label": "Node 1"}), "n2": node("n2")}}
    slow = net.link(daemon.port, 0.2)
    first = pages.open(slow.url, "demo", keeper="browser", initial=initial)
    first.until("page.state.status.unsent === 1")
    slow.down()
    first.stop()
    ada = pages.open(f"http://{daemon.address}", "demo", initial=initial)
    ada.saved()
    moved = {"position": {"x": 400, "y": 300}, "data": {"label": "Ada's text"}}
    ada.patch({"nodes": {"n1": moved, "n2": None}})
    ada.saved()
    left = ada.document
    again = pages.open(f"http://{daemon.address}", "demo", keeper="browser", initial=initial)
    again.saved()
    again.patch({"data": {"seen": True}})
    again.saved()
    ada.until("page.state.document.data.seen")
    assert ada.document["nodes"] == left["nodes"] == again.document["nodes"]


def test_jsc9_many_edits_made_offline_are_sent_in_a_few_seconds(
    daemon: Daemon, pages: Pages
) -> None:
    page = pages.open(f"http://{daemon.address}", "demo")
    page.saved()
    for at in range(0, 500, 100):
        page.patch({"nodes": {f"n{n}": node(f"n{n}") for n in range(at, at + 100)}})
    page.saved()
    daemon.kill()
    page.offline()
    page.run(
        """for (let n = 0; n < given; n += 1) {
             page.patch({ nodes: { ["n" + (n % 500)]: { data: { label: "y" + n } } } });
           }""",
        EDITS,
    )
    daemon.start()
    page.saved(QUICK)
    nodes = rest(daemon, "GET", "/flows/demo")["document"]["nodes"]
    assert nodes["n99"]["data"] == {"label": f"y{EDITS - 1}"}
    assert page.refusals == []
