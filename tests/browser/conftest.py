"""What the tests in a real browser share: Chromium, a daemon on SQLite, and people."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.chromium import Chromium, install, installed
from tests.browser.person import Person
from tests.cases.bundle import bundle
from tests.support.daemon import Daemon, start_daemon
from tests.support.madeonce import made_once
from tests.support.watched import rest, running_daemon

__all__ = ["rest", "start_daemon"]

MakePerson = Callable[..., Person]


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Chromium:
    """The browser's program."""
    assert files("helix").joinpath("editor", "index.html").is_file(), (
        "The editor isn't built: run `python build_backend/npm.py run build`"
    )
    return installed(made_once(tmp_path_factory, "chromium", install))


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The client library, as a script that makes ``Flows``."""
    made = made_once(
        tmp_path_factory,
        "script",
        lambda directory: bundle(directory / "flows.js", "iife", "browser", "Flows"),
    )
    return (made / "flows.js").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def browser(chromium: Chromium) -> Iterator[Browser]:
    """One browser for all; what people do in it stays apart."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium.program,
            args=["--no-sandbox"],
            env={**chromium.environment},
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon on SQLite for the tests that don't stop it."""
    with running_daemon(tmp_path_factory.mktemp("flows"), "--store", "sqlite:flows.sqlite") as one:
        yield one


@pytest.fixture
def make_person(browser: Browser, daemon: Daemon) -> Iterator[MakePerson]:
    """Makes people, in front of the module's daemon or another; no browser may complain."""
    people: list[Person] = []

    def make(at: Daemon = daemon, **options: Any) -> Person:
        people.append(Person(browser, at, **options))
        return people[-1]

    yield make
    for person in people:
        person.context.close()
    assert [complaint for person in people for complaint in person.complaints] == []


@pytest.fixture
def ada(make_person: MakePerson) -> Person:
    """Somebody."""
    return make_person()


@pytest.fixture
def bob(make_person: MakePerson) -> Person:
    """Somebody else."""
    return make_person()


def stored_nodes(daemon: Daemon, flow_id: str) -> dict[str, Any]:
    """The nodes of a flow, as the server has them."""
    nodes: dict[str, Any] = rest(daemon, "GET", f"/flows/{flow_id}")["document"]["nodes"]
    return nodes


def document_of(person: Person) -> dict[str, Any]:
    """What the daemon has stored of the flow that somebody has open, once all of it is there."""
    person.sees_saved()
    found: dict[str, Any] = rest(person.daemon, "GET", f"/flows/{person.flow_id}")["document"]
    return found


def node(name: str, x: int, y: int, kind: str = "agent", **data: object) -> dict[str, Any]:
    """A node, labelled with its id unless told otherwise."""
    return {
        "id": name,
        "type": kind,
        "position": {"x": x, "y": y},
        "data": {"label": name, **data},
    }


MakeFlow = Callable[..., str]


@pytest.fixture
def make_flow(daemon: Daemon) -> MakeFlow:
    """Makes a flow of nodes and edges ``"from>to"``, and gives its id."""

    def make(*nodes: dict[str, Any], edges: tuple[str, ...] = (), at: Daemon = daemon) -> str:
        made = [(edge, *edge.split(">")) for edge in edges]
        document = {
            "title": "Orders",
            "nodes": {one["id"]: one for one in nodes},
            "edges": {key: {"id": key, "source": a, "target": b} for key, a, b in made},
        }
        flow_id: str = rest(at, "POST", "/flows", {"document": document})["id"]
        return flow_id

    return make


@pytest.fixture
def opened(ada: Person, make_flow: MakeFlow) -> Person:
    """Ada, before a flow of two nodes that are joined."""
    ada.open(make_flow(node("left", 0, 0), node("right", 480, 0), edges=("left>right",)))
    return ada
