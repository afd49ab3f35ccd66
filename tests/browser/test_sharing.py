"""Signing in, sharing flows, and coming as a guest: several browsers before one server."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.chromium import Chromium
from tests.browser.conftest import MakePerson, node
from tests.browser.person import Person
from tests.browser.test_access import LOOKS, SHOW_TOKEN
from tests.browser.test_canvas import AXE
from tests.support.daemon import Daemon
from tests.support.tokens import HOUR, secret_file, sign
from tests.support.watched import eventually, running_daemon

NOTE_DIALOG = """() => new MutationObserver(() => {
    if (document.querySelector('[role=alertdialog]') !== null) {
        window.seenAt ??= Date.now();
    }
}).observe(document.body, {childList: true, subtree: true})"""

NOTHING: Mapping[str, Any] = {}


def token(sub: str, **claims: object) -> str:
    """A token that holds for the test."""
    return sign({"sub": sub, "exp": time.time() + HOUR, **claims})


def ask(daemon: Daemon, method: str, path: str, body: object = None, sub: str = "ada") -> Any:
    """Ask by REST, as somebody who may make flows; a status code where that is refused."""
    headers = {
        "Authorization": f"Bearer {token(sub, create=['*'])}",
        "Content-Type": "application/json",
    }
    data = None if body is None else json.dumps(body).encode()
    url = f"http://{daemon.address}/api{path}"
    try:
        with urlopen(Request(url, data, headers, method=method), timeout=30.0) as answer:
            return json.loads(answer.read() or "null")
    except HTTPError as error:
        return error.code


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that asks who people are."""
    directory = tmp_path_factory.mktemp("guarded")
    auth = f"jwt:hmac:{secret_file(directory)}"
    with running_daemon(directory, "--store", "sqlite:flows.sqlite", "--auth", auth) as daemon:
        yield daemon


@pytest.fixture
def flow_id(guarded: Daemon) -> str:
    """A flow of Ada's."""
    nodes = {one["id"]: one for one in (node("left", 0, 0), node("right", 480, 0))}
    made: str = ask(guarded, "POST", "/flows", {"document": {"title": "Orders", "nodes": nodes}})[
        "id"
    ]
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


@pytest.fixture
def stranger(make_person: MakePerson, guarded: Daemon) -> Person:
    """Somebody without a token."""
    return make_person(guarded)


def open_sharing(person: Person, flow_id: str) -> None:
    """Open a flow, and the dialog about who may do what with it."""
    person.open(flow_id)
    person.button("Share").click()
    expect(person.page.get_by_role("dialog", name="Share “Orders”")).to_be_visible()


def make_link(page: Page, role: str = "Viewer", password: str = "") -> str:
    """Make a link in the dialog, and give its address."""
    page.get_by_label("Role of who comes by the link").select_option(role)
    page.get_by_label("Password of the link").fill(password)
    page.get_by_role("button", name="Create a link").click()
    return page.get_by_label("Address of the new link").input_value()


def test_acc189_acc192_acc201_flow_is_shared_with_somebody_and_taken_back(
    make_member: MakeMember, guarded: Daemon, flow_id: str
) -> None:
    ada, ben = make_member("ada", name="Ada"), make_member("ben", name="Ben")
    open_sharing(ada, flow_id)
    ada.page.get_by_label("Id of a person").fill("ben")
    ada.button("Add").click()
    role = ada.page.get_by_label("Role of ben")
    expect(role).to_have_value("editor")
    ben.page.goto("/")
    card = ben.page.get_by_role("listitem").filter(has_text="Orders")
    expect(card).to_contain_text("Shared with you")
    ben.open(flow_id)
    expect(ben.button("Copy link")).to_be_visible()
    expect(ben.button("Share")).to_have_count(0)
    expect(ada.page.get_by_label("Here now")).to_contain_text("Ben")
    ada.page.get_by_label("Role of Ben").select_option("viewer")
    expect(ben.status).to_have_text("Read only")
    ada.button("Remove Ben").click()
    expect(ben.page.get_by_role("alertdialog")).to_contain_text("You no longer have access")
    expect(ada.page.get_by_label("Who has access")).to_be_focused()
    ada.page.get_by_label("Who has general access").select_option("signed-in")
    ben.button("Try again").click()
    expect(ben.status).to_have_text("Read only")
    given = ask(guarded, "GET", f"/flows/{flow_id}/access")
    assert given["general"] == {"who": "signed-in", "role": "viewer"}
    assert (given["owner"], given["members"]) == ("ada", {})


def test_acc189_flow_is_handed_over_and_the_dialog_goes_with_it(
    make_member: MakeMember, guarded: Daemon, flow_id: str
) -> None:
    ask(guarded, "PATCH", f"/flows/{flow_id}/access", {"members": {"ben": "viewer"}})
    ada = make_member("ada", name="Ada")
    open_sharing(ada, flow_id)
    ada.button("Make ben the owner").click()
    ada.button("Make them the owner").click()
    expect(ada.page.get_by_role("dialog")).to_have_count(0)
    expect(ada.button("Copy link")).to_be_visible()
    given = ask(guarded, "GET", f"/flows/{flow_id}/access", sub="ben")
    assert (given["owner"], given["members"]) == ("ben", {"ada": "editor"})


def test_acc190_acc191_narrowed_grants_stay_and_no_change_overwrites_anothers(
    make_member: MakeMember, guarded: Daemon, flow_id: str
) -> None:
    narrow = {"role": "editor", "paths": ["/nodes/*/data/prompt"], "tags": {"source": "ai"}}
    path = f"/flows/{flow_id}/access"
    ask(guarded, "PATCH", path, {"members": {"ben": narrow, "carol": "viewer"}})
    ada = make_member("ada", name="Ada")
    open_sharing(ada, flow_id)
    expect(ada.page.get_by_text("May change only /nodes/*/data/prompt")).to_be_visible()
    expect(ada.page.get_by_text("Marked source: ai")).to_be_visible()
    ask(guarded, "PATCH", path, {"members": {"dan": "viewer"}})
    ada.button("Remove carol").click()
    people = ada.page.get_by_role("region", name="People and groups")
    expect(people.get_by_role("alert")).to_contain_text("Somebody else has changed")
    expect(people.get_by_label("Role of dan")).to_have_value("viewer")
    assert set(ask(guarded, "GET", path)["members"]) == {"ben", "carol", "dan"}
    ada.page.get_by_label("Role of ben").select_option("viewer")
    expect(people.get_by_role("alert")).to_have_count(0)
    eventually(
        lambda: ask(guarded, "GET", path)["members"]["ben"] == narrow | {"role": "viewer"},
        "the server has it",
    )


def test_acc193_acc194_acc196_guest_comes_by_a_link_and_goes_with_it(
    make_member: MakeMember, stranger: Person, flow_id: str
) -> None:
    ada = make_member("ada", name="Ada")
    open_sharing(ada, flow_id)
    address = make_link(ada.page, "Editor")
    stranger.page.goto(address)
    stranger.sees_saved()
    assert stranger.page.url == f"http://{stranger.daemon.address}/flow/{flow_id}"
    for hidden in ("All flows", "Share"):
        expect(stranger.page.get_by_role("link", name=hidden)).to_have_count(0)
    here = ada.page.get_by_label("Here now").get_by_role("listitem").filter(has_text=stranger.name)
    expect(here).to_contain_text("Guest")
    before = stranger.nodes()
    stranger.drag("left", (80, 80))
    stranger.sees_saved()
    assert stranger.nodes() != before
    stranger.page.reload()
    stranger.sees_saved()
    stranger.page.evaluate(NOTE_DIALOG)
    ada.page.get_by_role("button", name="Revoke the link").click()
    with ada.page.expect_response(lambda answer: answer.request.method == "DELETE") as revoked:
        ada.button("Revoke").click()
    dialog = stranger.page.get_by_role("alertdialog")
    expect(dialog).to_contain_text("You no longer have access to this flow")
    asked: float = revoked.value.request.timing["startTime"]
    assert stranger.page.evaluate("window.seenAt") - asked < 1_000
    for refused in ("Keep a copy", "All flows"):
        expect(dialog.get_by_text(refused)).to_have_count(0)
    expect(ada.page.get_by_label("Here now").get_by_text(stranger.name)).to_have_count(0)
    stranger.page.goto(address)
    expect(stranger.page.get_by_role("heading", name="This link doesn't open")).to_be_visible()


def test_acc196_link_with_a_password_asks_for_it(
    make_member: MakeMember, stranger: Person, flow_id: str
) -> None:
    ada = make_member("ada", name="Ada")
    open_sharing(ada, flow_id)
    address = make_link(ada.page, password="open sesame")
    expect(ada.page.get_by_label("Links", exact=True)).to_contain_text("Has a password")
    stranger.page.goto(address)
    field = stranger.page.get_by_label("Password")
    expect(field).to_be_focused()
    field.fill("guess")
    stranger.press("Enter")
    expect(stranger.page.get_by_role("alert")).to_have_text("That isn't the password.")
    field.fill("open sesame")
    stranger.press("Enter")
    expect(stranger.status).to_have_text("Read only")


def test_acc200_guest_is_called_as_they_like(
    make_member: MakeMember, stranger: Person, flow_id: str
) -> None:
    ada = make_member("ada", name="Ada")
    open_sharing(ada, flow_id)
    stranger.page.goto(make_link(ada.page))
    expect(stranger.status).to_have_text("Read only")
    stranger.page.get_by_role("button", name="Account").click()
    stranger.choose("Change your name")
    stranger.page.get_by_label("Name that others see").fill("Grace")
    stranger.press("Enter")
    here = ada.page.get_by_label("Here now").get_by_role("listitem")
    expect(here.filter(has_text="Grace")).to_contain_text("Guest")
    expect(here).to_have_count(2)


def test_acc197_guests_token_is_renewed_on_the_open_connection(
    make_member: MakeMember, stranger: Person, guarded: Daemon, flow_id: str
) -> None:
    # A guest's token holds no longer than the link, and is renewed a minute before its end.
    links = f"/flows/{flow_id}/links"
    short, long = (
        ask(guarded, "POST", links, {"role": "viewer", "expires_in": seconds})
        for seconds in (72, 4_000)
    )
    asked: list[str] = []
    sent: list[str] = []
    sockets: list[Any] = []

    def visit(route: Route) -> None:
        asked.append(route.request.headers.get("authorization", ""))
        wanted = route.request.post_data_json or {}
        # Who has put off the end of the link meanwhile.
        is_first = len(asked) == 1
        route.continue_(post_data={**wanted, "link": (short if is_first else long)["secret"]})

    def watch(socket: Any) -> None:
        sockets.append(socket)
        socket.on("framesent", lambda frame: sent.append(str(frame)))

    stranger.page.route("**/api/guests", visit)
    stranger.page.on("websocket", watch)
    stranger.page.goto(short["path"])
    expect(stranger.status).to_have_text("Read only")
    ada = make_member("ada", name="Ada")
    ada.open(flow_id)
    deadline = time.monotonic() + 30
    while not any("access_token" in one for one in sent) and time.monotonic() < deadline:
        stranger.page.wait_for_timeout(100)
    assert [one[:10] for one in asked] == ["", "Bearer hg_"]
    ask(guarded, "DELETE", f"{links}/{short['id']}")
    ask(guarded, "PATCH", f"/flows/{flow_id}", {"title": "Still here"})
    expect(stranger.page.get_by_label("Title of the flow")).to_have_value("Still here")
    assert (len(sockets), sum("access_token" in one for one in sent)) == (1, 1)
    expect(ada.page.get_by_role("group", name="People here: 2")).to_be_visible()


def test_acc198_flow_for_anyone_with_its_address_needs_no_sign_in(
    make_person: MakePerson, stranger: Person, guarded: Daemon, flow_id: str
) -> None:
    general = {"general": {"who": "link", "role": "editor"}}
    ask(guarded, "PATCH", f"/flows/{flow_id}/access", general)
    stranger.open(flow_id)
    another = make_person(guarded)
    another.page.goto("/")
    expect(another.page.get_by_role("heading")).to_have_text("Sign in to see your flows")
    ask(guarded, "PATCH", f"/flows/{flow_id}/access", {"general": {"who": "restricted"}})
    expect(stranger.page.get_by_role("alertdialog")).to_contain_text("You no longer have access")
    another.page.goto(f"/flow/{flow_id}")
    expect(another.page.get_by_role("heading")).to_have_text("Sign in to open this flow")
    expect(another.page.get_by_role("main")).to_contain_text("application")


def test_acc199_who_may_see_the_flow_comes_as_themselves(
    make_member: MakeMember, guarded: Daemon, flow_id: str
) -> None:
    link = ask(guarded, "POST", f"/flows/{flow_id}/links", {"role": "viewer"})
    ada = make_member("ada", name="Ada")
    ada.page.goto(link["path"])
    ada.sees_saved()
    assert ada.page.url.endswith(f"/flow/{flow_id}")
    ada.page.get_by_role("button", name="Account").click()
    expect(ada.page.locator(".head")).to_have_text("Adaada")


def test_acc187_acc188_account_says_who_one_is_and_nobody_claims_another_name(
    make_member: MakeMember, flow_id: str
) -> None:
    ada = make_member("ada", name="Ada Lovelace")
    ada.page.goto("/")
    ada.button("You are Ada Lovelace. Account").click()
    expect(ada.page.locator(".head")).to_have_text("Ada Lovelaceada")
    items = ada.page.get_by_role("menuitem")
    expect(items).to_have_text(["Dark theme"])
    ada.choose("Dark theme")
    ada.open(flow_id)
    ada.button("You are Ada Lovelace. Account").click()
    expect(items).to_have_text(["Light theme"])
    nameless = make_member("nobody", flows={flow_id: "viewer"})
    nameless.page.goto(f"/flow/{flow_id}")
    nameless.page.get_by_role("button", name="Account").click()
    expect(nameless.page.get_by_role("menuitem", name="Change your name")).to_be_visible()


def test_acc202_who_may_make_no_flow_is_offered_a_file_alone(
    make_member: MakeMember, flow_id: str
) -> None:
    viewer = make_member("vera", flows={flow_id: "viewer"})
    viewer.page.goto("/")
    card = viewer.page.locator("li", has=viewer.page.locator(f"a[href='/flow/{flow_id}']"))
    card.get_by_role("button", name="Actions for Orders").click()
    expect(viewer.page.get_by_role("menuitem")).to_have_text(["Save as a file"])
    expect(viewer.button("New flow")).to_have_count(0)


def test_acc202_who_may_make_no_flow_any_more_is_offered_a_file(
    make_member: MakeMember, flow_id: str
) -> None:
    viewer = make_member("vera", flows={flow_id: "viewer"})

    def as_before(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "may_create": True})

    viewer.page.route("**/api/me", as_before)
    viewer.page.goto("/")
    card = viewer.page.locator("li", has=viewer.page.locator(f"a[href='/flow/{flow_id}']"))
    actions = card.get_by_role("button", name="Actions for Orders")
    actions.click()
    viewer.choose("Duplicate")
    toast = viewer.page.get_by_role("status")
    expect(toast).to_contain_text("Couldn't duplicate “Orders”")
    with viewer.page.expect_download() as saved:
        toast.get_by_role("button", name="Save as a file").click()
    assert saved.value.suggested_filename == "Orders.json"
    expect(viewer.button("New flow")).to_have_count(0)
    actions.click()
    expect(viewer.page.get_by_role("menuitem")).to_have_text(["Save as a file"])


def test_acc203_who_may_change_some_places_finds_no_control_that_would_be_refused(
    make_member: MakeMember, guarded: Daemon, flow_id: str
) -> None:
    ask(guarded, "PATCH", f"/flows/{flow_id}", {"nodes": {"left": {"data": {"label": "first"}}}})
    grant = {"role": "editor", "paths": ["/nodes/right/position/**", "/nodes/*/data/label"]}
    ada = make_member("ann", name="Ann", flows={flow_id: grant})
    ada.open(flow_id)
    before = ada.nodes()
    ends = [
        ada.node(label).locator(f".react-flow__handle-{side}").bounding_box()
        for label, side in (("first", "right"), ("right", "left"))
    ]
    for box, step in zip(ends, (ada.page.mouse.down, ada.page.mouse.up), strict=True):
        assert box is not None
        ada.page.mouse.move(box["x"] + 5, box["y"] + 5, steps=8)
        step()
    expect(ada.page.locator(".react-flow__edge")).to_have_count(0)
    ada.node("first").click()
    ada.press("ArrowDown")
    assert ada.nodes() == before
    ada.press("Control+a", "ArrowDown")
    ada.sees_saved()
    assert [name for name, drawn in ada.nodes().items() if drawn != before[name]] == ["right"]
    ada.press("Control+h")
    version = ada.page.get_by_role("slider", name="Version")
    version.fill("1")
    expect(ada.node("left")).to_be_visible()
    expect(ada.button("Restore")).to_be_visible()
    ask(guarded, "PATCH", f"/flows/{flow_id}", {"title": "Another title"})
    version.fill("2")
    expect(ada.node("first")).to_be_visible()
    expect(ada.button("Restore")).to_have_count(0)
    expect(ada.page.locator(".refusal")).to_have_count(0)


def test_acc186_session_that_ends_keeps_the_flow_and_what_is_unsent(
    make_member: MakeMember, flow_id: str
) -> None:
    ada = make_member("ada", name="Ada")
    ada.open(flow_id)
    ada.page.evaluate("() => window.comeAs(null)")
    expect(ada.status).to_contain_text("Offline")
    ada.node("left").click()
    ada.press("Delete")
    expect(ada.status).to_have_text("Offline, 1 unsent")
    ada.context.set_extra_http_headers({})
    ada.page.evaluate("() => window.comeAs('none')")
    ended = ada.page.get_by_role("alertdialog", name="You are signed out")
    expect(ended).to_contain_text("1 change of yours in this browser isn't sent yet.")
    expect(ada.page.locator(".react-flow__node")).to_have_count(1)
    expect(ada.page.get_by_role("navigation", name="Nodes")).to_have_count(0)
    expect(ada.page.get_by_label("Title of the flow")).to_be_disabled()
    own = token("ada", name="Ada")
    ada.context.set_extra_http_headers({"Authorization": f"Bearer {own}"})
    ada.page.evaluate("(token) => window.comeAs(token)", own)
    ended.get_by_role("button", name="Try again").click()
    ada.sees_saved()
    expect(ended).to_have_count(0)


def test_acc205_sharing_by_keyboard_alone(
    make_member: MakeMember, guarded: Daemon, flow_id: str
) -> None:
    ada = make_member("ada", name="Ada")
    ada.open(flow_id)
    ada.node("left").focus()
    ada.press("Alt+Shift+S")
    expect(ada.page.get_by_label("Id of a person")).to_be_focused()
    expect(ada.page.get_by_label("Who has access")).to_contain_text("Ada (you)")
    ada.page.keyboard.type("ben")
    ada.press("Enter")
    expect(ada.page.get_by_label("Role of ben")).to_be_visible()
    for _ in range(40):
        ada.press("Tab")
        # The browser's own bar may come in between, as the body.
        assert ada.page.evaluate("document.activeElement.closest('.stage, .bar')") is None
        if ada.page.evaluate("document.activeElement.ariaLabel") == "Remove ben":
            break
    ada.press("Enter")
    expect(ada.page.get_by_label("Role of ben")).to_have_count(0)
    assert ask(guarded, "GET", f"/flows/{flow_id}/access")["members"] == {}
    ada.press("Escape")
    expect(ada.page.get_by_role("dialog")).to_have_count(0)
    expect(ada.node("left")).to_be_focused()


SHARED: Sequence[tuple[str, object]] = [
    ("members", {"ben": "viewer", "carol": {"role": "editor", "paths": ["/nodes/*/data/**"]}}),
    ("groups", {"sales": "editor"}),
    ("general", {"who": "signed-in", "role": "viewer"}),
]


@pytest.mark.parametrize("look", LOOKS, ids=("light", "dark", "phone"))
def test_acc205_axe_finds_nothing_in_sharing_and_signing_in(
    make_member: MakeMember,
    make_person: MakePerson,
    chromium: Chromium,
    guarded: Daemon,
    flow_id: str,
    look: dict[str, Any],
) -> None:
    ask(guarded, "PATCH", f"/flows/{flow_id}/access", dict(SHARED))
    # axe comes in from outside of the page, which its policy forbids.
    options = {"bypass_csp": True, "reduced_motion": "reduce", **look}
    ada = make_member("ada", options, name="Ada")
    ada.open(flow_id)
    ada.page.evaluate(chromium.axe)
    if ada.button("Share").count() == 0:
        ada.button("More").click()
        ada.choose("Share")
    else:
        ada.button("Share").click()
    address = make_link(ada.page, password="sesame")
    expect(ada.page.get_by_label("Links", exact=True)).to_contain_text("Viewer")
    assert ada.page.evaluate(AXE) == []
    ada.page.get_by_role("button", name="Revoke the link").click()
    assert ada.page.evaluate(AXE) == []
    ada.press("Escape", "Escape")
    expect(ada.page.get_by_role("dialog")).to_have_count(0)
    ada.page.get_by_role("button", name="Account").click()
    assert ada.page.evaluate(AXE) == []
    stranger = make_person(guarded, **options)
    for path, shown in (("/", "Sign in to see"), (address, "This link has a password")):
        stranger.page.goto(path)
        expect(stranger.page.get_by_role("heading", name=shown)).to_be_visible()
        stranger.page.evaluate(chromium.axe)
        assert stranger.page.evaluate(AXE) == []
