"""Several people in one flow, each with a browser, before the real daemon."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, WebSocketRoute, expect

from tests.browser.conftest import MakeFlow, MakePerson, node, rest
from tests.browser.person import Person
from tests.daemon import Daemon

LOST = 4100
"""A close code that says nothing about coming again."""


class Wire:
    """What a page is connected by."""

    def __init__(self, page: Page) -> None:
        self._sockets: list[WebSocketRoute] = []
        self._is_cut = False
        page.route_web_socket("**/socket/websocket*", self._connect)

    def cut(self) -> None:
        """Let nothing through any more."""
        self._is_cut = True
        for socket in self._sockets:
            socket.close(code=LOST)

    def _connect(self, socket: WebSocketRoute) -> None:
        if self._is_cut:
            socket.close(code=LOST)
        else:
            socket.connect_to_server()
            self._sockets.append(socket)


def test_edi5_a_flow_is_made_at_home_and_edited_by_two(ada: Person, bob: Person) -> None:
    ada.page.goto("/")
    ada.button("New flow").click()
    ada.sees_saved()
    ada.button("Agent").click()
    expect(ada.node("Agent")).to_be_visible()
    ada.sees_saved()
    bob.page.goto("/")
    bob.page.get_by_role("link", name="Untitled flow").first.click()
    expect(bob.node("Agent")).to_be_visible()
    bob.page.get_by_label("Title of the flow").fill("Orders")
    expect(ada.page.get_by_label("Title of the flow")).to_have_value("Orders")
    ada.drag("Agent", (120, 80))
    ada.sees_same_as(bob)


def test_edi6_two_edit_different_nodes_at_once(
    ada: Person, bob: Person, make_flow: MakeFlow
) -> None:
    flow_id = make_flow(node("left", 0, 0), node("right", 480, 0))
    ada.open(flow_id)
    bob.open(flow_id)
    ada.grab("left", (60, 160))
    bob.grab("right", (-60, 200))
    ada.page.mouse.up()
    bob.page.mouse.up()
    ada.sees_same_as(bob)
    stored = rest(ada.daemon, "GET", f"/flows/{flow_id}")["document"]["nodes"]
    assert stored["left"]["position"]["y"] > 80
    assert stored["right"]["position"]["y"] > 80


def test_edi6_three_edit_one_node_and_end_with_the_same(
    make_person: MakePerson, make_flow: MakeFlow
) -> None:
    flow_id = make_flow(node("shared", 0, 0), node("other", 480, 0))
    people = [make_person() for _ in range(3)]
    for person in people:
        person.open(flow_id)
    for person in people:
        person.drag("other", (24, 40))
    people[0].node("shared").click()
    people[0].page.get_by_label("Label").fill("renamed")
    people[0].page.get_by_label("Label").blur()
    for person in people:
        expect(person.node("renamed")).to_be_visible()
    people[0].sees_same_as(people[1])
    people[1].sees_same_as(people[2])


def test_edi7_edits_made_offline_come_back(ada: Person, bob: Person, make_flow: MakeFlow) -> None:
    flow_id = make_flow(node("left", 0, 0), node("right", 480, 0))
    wire = Wire(ada.page)
    ada.open(flow_id)
    bob.open(flow_id)
    wire.cut()
    expect(ada.status).to_contain_text("Offline")
    ada.drag("left", (80, 160))
    expect(ada.status).to_have_text("Offline, 1 unsent")
    ada.page.close()
    ada.page = ada.new_page()
    ada.open(flow_id)
    ada.sees_same_as(bob)
    assert (
        rest(ada.daemon, "GET", f"/flows/{flow_id}")["document"]["nodes"]["left"]["position"]["y"]
        > 80
    )


def test_edi7_daemon_killed_in_the_middle_of_a_drag_loses_nothing(
    make_person: MakePerson, make_flow: MakeFlow, start_daemon: Callable[..., Daemon]
) -> None:
    daemon = start_daemon("--store", "sqlite:flows.sqlite")
    flow_id = make_flow(node("left", 0, 0), node("right", 480, 0), at=daemon)
    ada, bob = make_person(daemon), make_person(daemon)
    ada.open(flow_id)
    bob.open(flow_id)
    ada.grab("left", (40, 120))
    daemon.kill()
    expect(ada.status).to_contain_text("Offline")
    ada.page.mouse.move(600, 600, steps=3)
    ada.page.mouse.up()
    expect(ada.status).to_have_text("Offline, 1 unsent")
    daemon.start()
    ada.sees_same_as(bob)
    left = rest(daemon, "GET", f"/flows/{flow_id}")["document"]["nodes"]["left"]
    assert left["position"] != {"x": 0, "y": 0}


def test_edi8_undo_leaves_alone_what_somebody_else_did(
    ada: Person, bob: Person, make_flow: MakeFlow
) -> None:
    flow_id = make_flow(node("left", 0, 0), node("right", 480, 0))
    ada.open(flow_id)
    bob.open(flow_id)
    before = ada.nodes()
    ada.drag("left", (40, 160))
    ada.sees_saved()
    bob.drag("right", (40, 160))
    bob.sees_same_as(ada)
    moved = ada.nodes()
    ada.button("Undo").click()
    expect(ada.button("Undo")).to_be_disabled()
    bob.sees_same_as(ada)
    assert ada.nodes() == {"left": before["left"], "right": moved["right"]}
    ada.press("Control+Shift+Z")
    expect(ada.button("Redo")).to_be_disabled()
    assert ada.nodes() == moved


def test_edi9_others_are_seen_where_they_work(
    ada: Person, bob: Person, make_flow: MakeFlow
) -> None:
    flow_id = make_flow(node("left", 0, 0), node("right", 480, 0))
    ada.open(flow_id)
    bob.open(flow_id)
    expect(ada.page.locator(".avatar")).to_have_count(2)
    bob.page.mouse.move(700, 600)
    expect(ada.page.locator(".cursor")).to_be_visible()
    bob.node("left").click()
    expect(ada.page.locator(".others-ring")).to_have_count(1)
    bob.page.get_by_label("Label").focus()
    ada.node("left").click()
    expect(ada.page.get_by_text("is editing this")).to_be_visible()
    bob.page.close()
    expect(ada.page.locator(".avatar")).to_have_count(1)
    expect(ada.page.locator(".others-ring")).to_have_count(0)
