"""Two people on two nodes, while what is behind the nodes fails. (docs/spec.md, NOD151, NOD152)"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from itertools import groupby

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import MakeFlow, MakePerson, node
from tests.browser.person import NODES, Person
from tests.cases.network import Network, network
from tests.support.daemon import Daemon
from tests.support.nodes import wait_until_heard
from tests.support.postgres import Pair, pair, url
from tests.support.watched import faults_in

__all__ = ["pair", "url"]

StartDaemon = Callable[..., Daemon]

LABELS = ("left", "right")

WATCH = f"""() => {{
    window.seen = {{}};
    const note = (name, shown) => {{
        const text = JSON.stringify(shown);
        (seen[name] ??= []).at(-1) === text || seen[name].push(text);
    }};
    const look = () => {{
        const told = [...document.querySelectorAll('.refusal, .toasts')];
        note('told', told.map((one) => one.textContent).join());
        const nodes = ({NODES})();
        const ids = Object.keys(seen).filter((id) => id !== 'told');
        for (const id of [...ids, ...Object.keys(nodes)]) note(id, nodes[id] ?? null);
        requestAnimationFrame(look);
    }};
    look();
}}"""
"""Notes what the screen shows of each node, and what people are told, one thing after the other."""

LONG = 60_000
"""Milliseconds in which the nodes have a database again, and all is saved."""


def meet(people: list[Person], flow_id: str) -> None:
    """Have them open a flow, and note what each sees from then on."""
    for person in people:
        person.open(flow_id)
        person.page.evaluate(WATCH)


def work(people: list[Person], by: tuple[int, int]) -> None:
    """Have each move a node, rename it, and add one."""
    for person, label in zip(people, LABELS, strict=True):
        person.drag(label, by)
        person.node(label).click()
        field = person.page.get_by_label("Label", exact=True)
        field.fill(f"{label}, by {by[1]}")
        field.blur()
        person.press("Escape")
        person.button("Agent").click()


def see_all(people: list[Person], count: int) -> None:
    """
    Wait until all is saved, and everybody sees it. Nothing ever went back, and nobody was told of a
    refusal.

    :param count: of nodes.
    """
    for person in people:
        expect(person.status).to_have_text("Saved", timeout=LONG)
        expect(person.page.locator(".react-flow__node")).to_have_count(count)
    people[0].sees_same_as(people[1])
    for person, own in zip(people, LABELS, strict=True):
        seen: dict[str, list[str]] = person.page.evaluate("seen")
        assert seen.pop("told") == ['""']
        for name, shown in seen.items():
            assert "null" not in shown
            # Where somebody else drags is a preview (JSC12), which may end before the entry comes.
            views = shown if name == own else [json.loads(one)[1] for one in shown]
            kept = [one for one, _ in groupby(views)]
            assert len({*kept}) == len(kept), shown


@pytest.fixture
def net() -> Iterator[Network]:
    with network() as made:
        yield made


@pytest.mark.parametrize("how", ["killed", "frozen"])
def test_nod151_the_screen_never_goes_back_while_a_standby_takes_over(
    pair: Pair, start_daemon: StartDaemon, make_person: MakePerson, make_flow: MakeFlow, how: str
) -> None:
    pair.wait_for_commits()
    nodes = [start_daemon("--store", pair.url) for _ in LABELS]
    wait_until_heard(nodes)
    people = [make_person(one) for one in nodes]
    meet(people, make_flow(node("left", 0, 0), node("right", 480, 0), at=nodes[0]))
    with pair.without_primary(how):
        work(people, (60, 120))
        for person in people:
            expect(person.status).to_have_text("Saving, 3 unsent")
            expect(person.status).to_have_attribute("title", re.compile("store can't be reached"))
        pair.standby.promote()
        see_all(people, 4)
    for one in nodes:
        assert not faults_in(one.log)


def test_nod152_pages_of_a_killed_node_go_on_at_another_one(
    url: str,
    start_daemon: StartDaemon,
    make_person: MakePerson,
    make_flow: MakeFlow,
    net: Network,
) -> None:
    nodes = [start_daemon("--store", url) for _ in LABELS]
    wait_until_heard(nodes)
    first, second = (one.port for one in nodes)
    ways = [net.link(first, spare=second), net.link(second, spare=first)]
    people = [make_person(one, base_url=way.url) for one, way in zip(nodes, ways, strict=True)]
    meet(people, make_flow(node("left", 0, 0), node("right", 480, 0), at=nodes[0]))
    for turn, one in enumerate(nodes, 1):
        one.kill()
        work(people, (60, 60 + 30 * turn))
        see_all(people, 2 + 2 * turn)
        one.start()
        wait_until_heard(nodes)
    for one in nodes:
        assert not faults_in(one.log)
