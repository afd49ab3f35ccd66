"""Pages on two nodes, while what is behind these fails: nobody sees an edit of theirs undone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import pytest

from tests.cases.network import Network
from tests.cases.pages import Page, Pages
from tests.support.daemon import Daemon
from tests.support.nodes import wait_until_heard
from tests.support.postgres import Pair, PostgresServer, mortal_server, pair, url
from tests.support.watched import eventually, faults_in, rest

__all__ = ["mortal_server", "pair", "url"]

pytestmark = pytest.mark.case

StartDaemon = Callable[..., Daemon]

PACES = (23, 41)
"""Milliseconds from one edit of a page to its next."""

WAITING = """const { document, status } = page.state;
return document.data[given] - status.unsent + 1"""
"""Tells the first of its edits that isn't acknowledged."""

PATIENCE = 60.0
"""Seconds in which everything is on the server, whatever was done to that."""


def two_nodes(start_daemon: StartDaemon, *urls: str) -> tuple[Daemon, ...]:
    """
    Nodes that hear each other.

    :param urls: of the store, for each.
    """
    nodes = tuple(start_daemon("--store", url) for url in urls)
    wait_until_heard(nodes)
    return nodes


def open_pages(pages: Pages, ports: Sequence[int]) -> list[Page]:
    """Open the flow by each of the ports."""
    people = [pages.open(f"http://127.0.0.1:{port}", "f") for port in ports]
    for person in people:
        person.saved(PATIENCE)
    return people


def wait_until_unsent(people: Sequence[Page], count: int) -> None:
    """Wait until so many edits of each wait for the server, and each says so."""
    for person in people:
        person.until(f"page.state.status.unsent >= {count}", PATIENCE)
        assert person.status in ("saving", "offline")
        assert person.refusals == []


def wait_until_caught_up(people: Sequence[Page]) -> None:
    """Wait until next to nothing waits, and more has come since."""
    for person in people:
        person.until("page.state.status.unsent < 20", PATIENCE)
        version = person.version
        person.until(f"page.state.version > {version + 60}", PATIENCE)


def settle(pages: Pages, people: Sequence[Page], nodes: Sequence[Daemon]) -> dict[str, int]:
    """
    Have everybody rest, and see to it that all come to the same.

    :return: how many edits each page made, by its name.
    """
    made = pages.pause()
    for person in people:
        person.saved(PATIENCE)
    version = max(person.version for person in people)
    flows = []
    for node in nodes:
        eventually(partial(_has, node, version), "the nodes have all")
        flows.append(rest(node, "GET", "/flows/f"))
        assert not faults_in(node.log)
    for person in people:
        person.until(f"page.state.version === {version}", PATIENCE)
        flows.append({**flows[0], "document": person.document})
        assert person.refusals == []
    assert flows == [flows[0]] * len(flows)
    return made


def _has(node: Daemon, version: int) -> bool:
    return bool(rest(node, "GET", "/flows/f")["version"] >= version)


def check(pages: Pages, people: Sequence[Page], nodes: Sequence[Daemon]) -> None:
    """The same, and nobody took anything back: each edit is in the log, once, in order."""
    made = settle(pages, people, nodes)
    assert pages.lost == []
    for person in people:
        assert person.told("refused") == person.told("dropped") == []
    assert written(nodes[0]) == {name: list(range(1, count + 1)) for name, count in made.items()}


def written(node: Daemon) -> dict[str, list[int]]:
    """Read the numbers of each page's edits from the log, in its order."""
    numbers: dict[str, list[int]] = {}
    after: int | None = 0
    while after is not None:
        page = rest(node, "GET", f"/flows/f/entries?after={after}&limit=1000")
        for entry in page["entries"]:
            for name, number in entry["patch"].get("data", {}).items():
                numbers.setdefault(name, []).append(number)
        after = page["next"]
    return numbers


@pytest.mark.parametrize("how", ["killed", "frozen"])
def test_nod150_no_page_takes_an_edit_back_while_a_standby_takes_over(
    pair: Pair, start_daemon: StartDaemon, pages: Pages, how: str
) -> None:
    pair.wait_for_commits()
    nodes = two_nodes(start_daemon, pair.url, pair.url)
    people = open_pages(pages, [node.port for node in nodes])
    pages.write(dict(zip(people, PACES, strict=True)))
    for person in people:
        person.until("page.state.version > 60", PATIENCE)
    with pair.without_primary(how):
        wait_until_unsent(people, 40)
        pair.standby.promote()
        wait_until_caught_up(people)
        check(pages, people, nodes)


def test_nod108_pages_keep_what_waits_when_a_standby_lacks_what_was_acknowledged(
    pair: Pair, start_daemon: StartDaemon, pages: Pages
) -> None:
    nodes = two_nodes(start_daemon, pair.url, pair.url)
    people = open_pages(pages, [node.port for node in nodes])
    pages.write(dict(zip(people, PACES, strict=True)))
    for person in people:
        person.until("page.state.version > 60", PATIENCE)
    pair.part()
    ((kept,),) = pair.standby.execute("SELECT version FROM helix_flows")
    for person in people:
        person.until(f"page.state.version > {kept + 60}", PATIENCE)
    pair.primary.kill()
    wait_until_unsent(people, 40)
    waiting = {one.name: one.run(WAITING, one.name) for one in people}
    pair.standby.promote()
    wait_until_caught_up(people)
    made = settle(pages, people, nodes)
    for name, numbers in written(nodes[0]).items():
        missing = sorted(set(range(1, made[name] + 1)) - set(numbers))
        assert sorted([*numbers, *missing]) == list(range(1, made[name] + 1))
        assert missing == list(range(missing[0], missing[-1] + 1))
        assert missing[-1] < waiting[name]
        assert numbers == sorted(numbers)


def test_nod150_no_page_takes_an_edit_back_when_connections_to_the_database_die_silently(
    mortal_server: PostgresServer, start_daemon: StartDaemon, pages: Pages, net: Network
) -> None:
    """Those of one node: all that it has, to the store and to the broker."""
    database = mortal_server.make_database()
    links = [net.link(mortal_server.port) for _ in PACES]
    urls = [f"postgresql://helix@127.0.0.1:{link.port}/{database}" for link in links]
    nodes = two_nodes(start_daemon, *urls)
    people = open_pages(pages, [node.port for node in nodes])
    pages.write(dict(zip(people, PACES, strict=True)))
    wait_until_caught_up(people)
    links[0].forget()
    wait_until_unsent(people[:1], 40)
    wait_until_caught_up(people)
    check(pages, people, nodes)


@pytest.mark.parametrize("how", ["killed", "drained"])
def test_nod152_pages_of_a_node_that_ends_go_on_at_another_one(
    start_daemon: StartDaemon, url: str, pages: Pages, net: Network, how: str
) -> None:
    nodes = two_nodes(start_daemon, url, url)
    first, second = (node.port for node in nodes)
    ways = [net.link(first, spare=second), net.link(second, spare=first)]
    people = open_pages(pages, [way.port for way in ways])
    pages.write(dict(zip(people, PACES, strict=True)))
    for node in nodes:
        wait_until_caught_up(people)
        node.kill() if how == "killed" else node.stop()
        wait_until_caught_up(people)
        node.start()
        wait_until_heard(nodes)
    check(pages, people, nodes)
