"""Servers that restart while people work: nothing that anybody did is lost."""

from __future__ import annotations

import os
from random import Random

import pytest

from tests.cases.network import Network
from tests.cases.pages import Pages
from tests.daemon.test_daemon import signal_daemon
from tests.support.daemon import Daemon
from tests.support.flowdata import node
from tests.support.watched import eventually, rest

pytestmark = pytest.mark.case

RESTARTS = int(os.environ.get("HELIX_CASES_RESTARTS", "3"))
"""How often the daemon restarts under three people who type; in ``tox -e cases`` more often."""

PACES = (10, 50, 90)
"""Milliseconds from one edit of a person to the next, and that their line takes."""

LONG = 1800
"""Seconds that so many restarts may take."""


def test_jsc3_edit_made_while_the_connection_closes_overtakes_none(
    daemon: Daemon, pages: Pages, net: Network
) -> None:
    """phoenix.js sends what it buffered meanwhile before what was on its way is sent again."""
    far = net.link(daemon.port, 0.1)
    page = pages.open(far.url, "demo")
    page.saved()
    page.patch({"nodes": {"n1": node("n1")}})
    page.saved()
    signal_daemon(daemon)
    # The server has sent its close frame by now, and the page doesn't know yet.
    page.run("await sleep(60)")
    page.patch({"nodes": {"n1": {"data": {"label": "in flight"}}}})
    eventually(lambda: pages.is_closing(far.port), "the close frame")
    page.patch({"title": "made while closing"})
    daemon.stop()
    daemon.start()
    page.saved(60)
    document = rest(daemon, "GET", "/flows/demo")["document"]
    assert document["nodes"]["n1"]["data"] == {"label": "in flight"}
    assert document["title"] == "made while closing"
    assert page.document == document


@pytest.mark.timeout(LONG)
@pytest.mark.parametrize("how", ["drained", "killed", "cut"])
def test_jsc3_no_edit_is_lost_however_often_the_daemon_restarts(
    daemon: Daemon, pages: Pages, net: Network, how: str
) -> None:
    random = Random(1)
    links = [net.link(daemon.port, ms / 1000) for ms in PACES]
    people = [pages.open(link.url, "demo") for link in links]
    for person in people:
        person.saved(30)
    pages.type(dict(zip(people, PACES, strict=True)))
    for _ in range(RESTARTS):
        people[0].run("await sleep(given)", random.uniform(50, 500))
        if how == "cut":
            random.choice(links).cut()
            continue
        daemon.stop() if how == "drained" else daemon.kill()
        daemon.start()
        for person in people:
            person.run("page.retryNow()")
    made = pages.rest()
    for person in people:
        person.saved(120)
    flow = rest(daemon, "GET", "/flows/demo")
    for person in people:
        person.until(f"page.state.version === {flow['version']}")
        assert person.document == flow["document"]
        assert person.refusals == []
    assert typed(daemon) == sorted(made)


def typed(daemon: Daemon) -> list[list[int]]:
    """Read what each client typed from the log, in the log's order; sorted by the first of each."""
    values: dict[str, list[int]] = {}
    after: int | None = 0
    while after is not None:
        page = rest(daemon, "GET", f"/flows/demo/entries?after={after}&limit=1000")
        for entry in page["entries"]:
            values.setdefault(entry["client_id"], []).extend(entry["patch"]["data"].values())
        after = page["next"]
    return sorted(values.values())
