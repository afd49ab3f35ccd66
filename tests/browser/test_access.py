"""What the editor shows to whom, where the server asks who clients are."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import expect

from tests.browser.chromium import Chromium
from tests.browser.conftest import MakePerson, node
from tests.browser.person import NODES, Person
from tests.browser.test_canvas import AXE
from tests.support.daemon import Daemon
from tests.support.tokens import HOUR, secret_file, sign
from tests.support.watched import running_daemon

SHOW_TOKEN = """(token) => {
    // The application that embeds the editor would give it the token.
    const encoded = (text) => btoa(text).replace(/=/g, '');
    const Plain = WebSocket;
    let [channel, open] = [null, null];
    window.WebSocket = class extends Plain {
        constructor(url) {
            if (token === null) {
                throw new Error('offline');
            }
            super(url, ['phoenix', 'base64url.bearer.phx.' + encoded(token)]);
            open = this;
        }
        send(text) {
            const [join, , topic, event] = JSON.parse(text);
            channel = event === 'phx_join' ? [join, topic] : channel;
            super.send(text);
        }
    };
    window.become = (other) => {
        token = other;
        const [join, topic] = channel;
        open.send(JSON.stringify([join, 'other', topic, 'access_token', {access_token: other}]));
    };
    // From now on with another token; without one, no connection is made.
    window.comeAs = (other) => {
        token = other;
        open.close();
    };
}"""

SAME = f"(nodes) => JSON.stringify(Object.entries(({NODES})()).sort()) === nodes"


NOTHING: Mapping[str, Any] = {}

EVERYTHING: Mapping[str, Any] = {"flows": {"*": "owner"}, "create": ["*"]}


def token(sub: str, **claims: object) -> str:
    """A token that holds for the test."""
    return sign({"sub": sub, "exp": time.time() + HOUR, **claims})


def ask(daemon: Daemon, method: str, path: str, body: object) -> Any:
    """Ask by REST, as somebody who may do everything."""
    headers = {
        "Authorization": f"Bearer {token('root', **EVERYTHING)}",
        "Content-Type": "application/json",
    }
    url = f"http://{daemon.address}/api{path}"
    request = Request(url, json.dumps(body).encode(), headers, method=method)
    with urlopen(request, timeout=30.0) as answer:
        return json.load(answer)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that asks who people are."""
    directory = tmp_path_factory.mktemp("guarded")
    auth = f"jwt:hmac:{secret_file(directory)}"
    with running_daemon(directory, "--store", "sqlite:flows.sqlite", "--auth", auth) as daemon:
        yield daemon


@pytest.fixture
def flow_id(guarded: Daemon) -> str:
    """A flow of two nodes."""
    nodes = {one["id"]: one for one in (node("left", 0, 0), node("right", 480, 0))}
    document = {"title": "Orders", "nodes": nodes}
    made: str = ask(guarded, "POST", "/flows", {"document": document})["id"]
    return made


MakeMember = Callable[..., Person]


@pytest.fixture
def make_member(make_person: MakePerson, guarded: Daemon) -> MakeMember:
    """Makes people who have a token with the given claims."""

    def make(sub: str, options: Mapping[str, Any] = NOTHING, **claims: object) -> Person:
        own = token(sub, **claims)
        headers = {"Authorization": f"Bearer {own}"}
        person = make_person(guarded, extra_http_headers=headers, **options)
        person.context.add_init_script(f"({SHOW_TOKEN})({json.dumps(own)})")
        return person

    return make


def become(person: Person, sub: str, **claims: object) -> None:
    """Let somebody's open connection have another token."""
    person.page.evaluate("(token) => window.become(token)", token(sub, **claims))


def sees(person: Person, nodes: dict[str, list[str]]) -> None:
    """Wait until somebody sees the nodes there."""
    expected = json.dumps(sorted(nodes.items()), separators=(",", ":"))
    person.page.wait_for_function(SAME, arg=expected)


def test_acc70_acc73_viewer_sees_everything_and_is_offered_no_change(
    make_member: MakeMember, guarded: Daemon, flow_id: str
) -> None:
    viewer = make_member("vera", flows={flow_id: "viewer"})
    viewer.page.goto("/")
    viewer.button("Actions for Orders").click()
    expect(viewer.page.get_by_role("menuitem", name="Save as a file")).to_be_visible()
    for change in ("Rename", "Delete"):
        expect(viewer.page.get_by_role("menuitem", name=change)).to_have_count(0)
    viewer.press("Escape")
    viewer.page.get_by_role("link", name="Orders").click()
    expect(viewer.status).to_have_text("Read only")
    expect(viewer.page.locator(".react-flow__node")).to_have_count(2)
    expect(viewer.page.get_by_role("navigation", name="Nodes")).to_have_count(0)
    expect(viewer.page.get_by_label("Title of the flow")).to_be_disabled()
    before = viewer.nodes()
    viewer.drag("left", (80, 40))
    viewer.node("right").click()
    expect(viewer.page.get_by_label("Label", exact=True)).to_be_disabled()
    viewer.press("Delete", "F2")
    expect(viewer.page.get_by_label("New label")).to_have_count(0)
    viewer.button("History").click()
    expect(viewer.page.get_by_role("slider", name="Version")).to_be_visible()
    expect(viewer.button("Name this version")).to_have_count(0)
    assert viewer.nodes() == before
    expect(viewer.page.get_by_role("alert")).to_have_count(0)
    ask(guarded, "PATCH", f"/flows/{flow_id}", {"title": "Still live"})
    expect(viewer.page.get_by_label("Title of the flow")).to_have_value("Still live")


def test_acc66_acc70_role_taken_away_ends_a_drag_and_comes_back(
    make_member: MakeMember, flow_id: str
) -> None:
    ada = make_member("ada", flows={flow_id: "editor"})
    bob = make_member("bob", flows={flow_id: "editor"})
    for person in (ada, bob):
        person.open(flow_id)
    before = bob.nodes()
    ada.grab("left", (120, 80))
    assert ada.nodes() != before
    become(ada, "ada", flows={flow_id: "viewer"})
    expect(ada.status).to_have_text("Read only")
    ada.page.mouse.up()
    for person in (ada, bob):
        sees(person, before)
    expect(ada.page.get_by_role("navigation", name="Nodes")).to_have_count(0)
    become(ada, "ada", flows={flow_id: "editor"})
    expect(ada.status).to_have_text("Saved")
    ada.drag("left", (120, 80))
    ada.sees_same_as(bob)
    assert ada.nodes() != before


def test_acc63_acc71_changes_held_back_are_shown_and_sent_later(
    make_member: MakeMember, guarded: Daemon, flow_id: str
) -> None:
    ada = make_member("ada", flows={flow_id: "editor"})
    ada.open(flow_id)
    ada.page.evaluate("() => window.comeAs(null)")
    expect(ada.status).to_contain_text("Offline")
    ada.node("left").click()
    ada.press("Delete")
    expect(ada.status).to_have_text("Offline, 1 unsent")
    ada.page.evaluate("(token) => window.comeAs(token)", token("ada", flows={flow_id: "viewer"}))
    held = ada.page.get_by_role("alert", name="Changes that are held back")
    expect(held).to_contain_text("1 change held back")
    expect(ada.page.locator(".react-flow__node")).to_have_count(1)
    become(ada, "ada", flows={flow_id: "editor"})
    ada.sees_saved()
    expect(held).to_have_count(0)
    assert set(ask(guarded, "GET", f"/flows/{flow_id}", None)["document"]["nodes"]) == {"right"}


def test_acc72_access_withdrawn_is_told_and_may_come_back(
    make_member: MakeMember, flow_id: str
) -> None:
    ada = make_member("ada", flows={flow_id: "editor"})
    ada.open(flow_id)
    become(ada, "ada", flows={"another": "editor"})
    dialog = ada.page.get_by_role("alertdialog")
    expect(dialog).to_contain_text("You no longer have access to this flow")
    expect(dialog).to_contain_text("All your changes were saved.")
    expect(dialog.get_by_role("button", name="Keep a copy")).to_have_count(0)
    ada.page.evaluate("(token) => window.comeAs(token)", token("ada", flows={flow_id: "editor"}))
    dialog.get_by_role("button", name="Try again").click()
    ada.sees_saved()


LOOKS: Sequence[dict[str, Any]] = [
    {"color_scheme": "light"},
    {"color_scheme": "dark"},
    {"viewport": {"width": 390, "height": 844}, "has_touch": True},
]


@pytest.mark.parametrize("look", LOOKS, ids=("light", "dark", "phone"))
def test_acc70_acc71_acc72_axe_finds_nothing_in_either_theme_or_on_a_phone(
    make_member: MakeMember, chromium: Chromium, flow_id: str, look: dict[str, Any]
) -> None:
    # axe comes in from outside of the page, which its policy forbids.
    options = {"bypass_csp": True, "reduced_motion": "reduce", **look}
    ada = make_member("ada", options, flows={flow_id: "editor"})
    ada.open(flow_id)
    ada.page.evaluate(chromium.axe)
    ada.page.evaluate("() => window.comeAs(null)")
    ada.node("left").click()
    ada.press("Delete")
    ada.page.evaluate("(token) => window.comeAs(token)", token("ada", flows={flow_id: "viewer"}))
    held = ada.page.get_by_role("alert", name="Changes that are held back")
    expect(held).to_be_visible()
    assert ada.page.evaluate(AXE) == []
    become(ada, "ada", flows={"another": "editor"})
    expect(ada.page.get_by_role("alertdialog")).to_contain_text("1 change of yours")
    assert ada.page.evaluate(AXE) == []
