"""Signing in at an OpenID provider, over HTTP and in memory. (ACC165 to ACC179)"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from hashlib import sha256
from hmac import digest
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from helix.identity.attempts import SIGN_IN_SECONDS
from helix.identity.code_flow import MAX_UNDER_WAY
from helix.identity.fetching import FETCH_SECONDS
from helix.identity.sessions import IDLE_SECONDS, LONGEST_SECONDS, RENEW_SECONDS
from helix.web.base_path import BasePath
from helix.web.sign_in import own_path
from tests.support.issuer import CLIENT_ID, ISSUER, OWN, Browser, Issuer, Signing, own_page
from tests.support.logs import Log, logged
from tests.support.memory_clients import Answer
from tests.support.stack import NOW, Stack
from tests.support.tokens import HOUR, bearer, public_pem, rsa_key, secret_file, sign

__all__ = ["logged"]

SESSION = "__Host-helix"

THROUGH_PROXY = [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "helix.test")]


@pytest.fixture
def signing() -> Signing:
    """A server at which people sign in."""
    return Signing()


@pytest.fixture
def ada(signing: Signing) -> Browser:
    """Somebody's browser, signed in."""
    browser = signing.browser()
    assert browser.sign_in().status == 303
    return browser


def assert_refused(signing: Signing, answer: Answer, status: int, reason: str, told: str) -> None:
    """Nobody was signed in, and a page says why."""
    assert (answer.status, answer.content_type) == (status, "text/html; charset=utf-8")
    page = answer.body.decode()
    assert told in page
    assert "Sign in again" in page
    assert "{" not in page.partition("</style>")[2]
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert not any(cookie.startswith(SESSION + "=") for cookie in all_cookies(answer))
    assert signing.stack.metric("helix_sign_ins_total") == 0
    assert f'helix_sign_ins_failed_total{{reason="{reason}"}} 1.0' in exposed(signing)
    for secret in signing.issuer.seen:
        assert secret not in answer.text


def all_cookies(answer: Answer) -> list[str]:
    """The cookies that an answer sets."""
    return answer.headers.get_all("set-cookie", [])


def exposed(signing: Signing) -> str:
    """All metrics."""
    exposition: str = signing.stack._metrics.exposition().decode()
    return exposition


# The way in


def test_acc165_person_signs_in(signing: Signing, logged: Log) -> None:
    browser = signing.browser()
    assert browser.get("/api/me").status == 401
    answer = browser.sign_in("/auth/sign-in?to=/flow/plan%3Fx%3D1")
    assert (answer.status, answer.headers["location"]) == (303, "/flow/plan?x=1")
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert list(browser.cookies) == [SESSION]
    me = browser.get("/api/me")
    assert me.json == {
        "id": "u1",
        "name": "Ada Lovelace",
        "color": "",
        "kind": "person",
        "groups": [],
        "admin": False,
        "may_create": True,
        "expires_at": NOW + LONGEST_SECONDS,
    }
    assert me.headers["vary"] == "authorization, cookie"
    assert signing.stack.metric("helix_sign_ins_total") == 1
    for secret in [*signing.issuer.seen, browser.cookies[SESSION]]:
        assert secret not in logged.text
        assert secret not in exposed(signing)


def test_acc172_cookie_is_for_the_server_alone(ada: Browser) -> None:
    (session,) = [one for one in ada.set_cookies if one.startswith(f"{SESSION}=")]
    parts = session.split("; ")
    assert {*parts[1:]} == {
        *("Path=/", "Secure", "HttpOnly", "SameSite=lax", f"Max-Age={LONGEST_SECONDS:.0f}")
    }
    (attempt,) = [one for one in ada.set_cookies if one.startswith(SESSION + "-sign-in")]
    assert "Max-Age=0" in attempt


def test_acc172_on_this_machine_there_is_no_https() -> None:
    signing = Signing(public_url="http://localhost:4000", trusted_proxy=[])
    browser = signing.browser()
    answer = browser.get("/auth/sign-in")
    location = parse_qs(urlsplit(answer.headers["location"]).query)
    assert location["redirect_uri"] == ["http://localhost:4000/auth/callback"]
    (cookie,) = browser.set_cookies
    assert cookie.startswith("helix-sign-in-")
    assert "Secure" not in cookie
    assert "HttpOnly" in cookie


def test_acc167_nobody_signs_in_where_others_listen() -> None:
    signing = Signing(trusted_proxy=[])  # so that X-Forwarded-Proto doesn't count
    assert_refused(signing, signing.browser().get("/auth/sign-in"), 400, "address", "https")


def test_acc166_secret_of_the_client_is_shown_to_the_issuer_alone(
    tmp_path: Any, logged: Log
) -> None:
    path = tmp_path / "client"
    path.write_text("s3cret: 100%\n")
    for ways in (None, ["client_secret_basic"], ["client_secret_post"]):
        issuer = Issuer("s3cret: 100%")
        if ways is not None:
            issuer.description["token_endpoint_auth_methods_supported"] = ways
        browser = Signing(issuer, oidc_client_secret=path).browser()
        assert browser.sign_in().status == 303
    assert "s3cret" not in logged.text


def test_acc166_scopes_are_asked_for() -> None:
    signing = Signing(oidc_scopes="openid groups")
    asked = parse_qs(urlsplit(signing.browser().begin()).query)
    assert asked["scope"] == ["openid groups"]
    assert len(asked["code_challenge"][0]) == 43


def test_acc168_two_tabs_sign_in_at_once(signing: Signing) -> None:
    browser = signing.browser()
    first, second = browser.begin("/auth/sign-in?to=/a"), browser.begin("/auth/sign-in?to=/b")
    queries = [signing.issuer.sign_in(location) for location in (first, second)]
    states = [parse_qs(query)["state"][0] for query in queries]
    if states[0][0] == states[1][0]:  # one of 16 names, by chance
        queries = queries[1:]
    targets = [browser.come_back(query).headers["location"] for query in queries]
    assert targets == ["/a", "/b"][-len(targets) :]


TARGETS = {
    "/flow/x": "/flow/x",
    "/flow/x?a=b&c=d": "/flow/x?a=b&c=d",
    "/flow/team%2Fplan": "/flow/team%2Fplan",
    "/flow/ä": "/flow/%C3%A4",
    "/flow/x#link=a.b": "/flow/x",
    "": "/",
    "flow": "/",
    "//evil.test": "/",
    "///evil.test": "/",
    "/\\evil.test": "/",
    "\\\\evil.test": "/",
    "/\t/evil.test": "/",
    "/\n/evil.test": "/",
    " //evil.test": "/",
    "https://evil.test": "/",
    "javascript:alert(1)": "/",
    "/auth/sign-in": "/",
    "/" + "x" * 2048: "/",
}


@pytest.mark.parametrize("target", TARGETS)
def test_acc167_who_signs_in_goes_to_no_other_site(signing: Signing, target: str) -> None:
    assert own_path(target) == TARGETS[target]
    answer = signing.browser().sign_in(f"/auth/sign-in?to={quote(target, safe='')}")
    assert answer.headers["location"] == TARGETS[target]


@pytest.mark.parametrize("to", ["/flow/x", "/helix/flow/x"])
def test_acc167_below_a_base_path_all_addresses_have_it(to: str) -> None:
    signing = Signing(base_path="/helix")
    browser = signing.browser()
    location = parse_qs(urlsplit(browser.begin(f"/helix/auth/sign-in?to={to}")).query)
    assert location["redirect_uri"] == [f"{OWN}/helix/auth/callback"]
    wrong = browser.get("/helix/auth/callback")
    assert f'href="{OWN}/helix/auth/sign-in?to=%2F"' in wrong.body.decode()
    assert own_path(to, BasePath("/helix")) == "/flow/x"
    assert own_path("/helix//evil.test", BasePath("/helix")) == "/"


# Who is refused


def changed(name: str, value: str) -> Callable[[str], str]:
    """Changes a parameter of a query."""

    def change(query: str) -> str:
        given = {key: one[0] for key, one in parse_qs(query).items()}
        return "&".join(f"{key}={one}" for key, one in {**given, name: value}.items())

    return change


def with_near_state(query: str) -> str:
    """Changes the state, but not which cookie it stands for."""
    return query[:-1] + ("0" if query[-1] != "0" else "1")


STATES: dict[str, Callable[[str], str]] = {
    "near state": with_near_state,
    "another state behind it": lambda query: query + "&state=" + "0" * 32,
    "another state before it": lambda query: "state=" + "0" * 32 + "&" + query,
    "other state": changed("state", "0" * 32),
    "odd state": changed("state", "x"),
    "empty state": changed("state", ""),
    "no state": lambda query: query.partition("&")[0],
    "no code": lambda query: query.partition("&")[2],
    "nothing": lambda _: "",
    "garbage": lambda _: "%ff&=&\x01",
}


@pytest.mark.parametrize("name", STATES)
def test_acc168_wrong_state_is_refused(signing: Signing, name: str) -> None:
    browser = signing.browser()
    query = signing.issuer.sign_in(browser.begin())
    answer = browser.come_back(quote(STATES[name](query), safe="=&%"))
    assert_refused(signing, answer, 400, "state", "This sign-in is over")
    assert "/token" not in signing.issuer.asked


def test_acc168_state_of_another_browser_is_refused(signing: Signing) -> None:
    query = signing.issuer.sign_in(signing.browser().begin())
    other = signing.browser()
    other.begin()
    assert_refused(signing, other.come_back(query), 400, "state", "another browser")
    assert "/token" not in signing.issuer.asked


def test_acc168_replayed_state_is_refused(signing: Signing) -> None:
    browser = signing.browser()
    location = browser.begin()
    kept = dict(browser.cookies)
    assert browser.come_back(signing.issuer.sign_in(location)).status == 303
    asked = len(signing.issuer.asked)
    browser.cookies = kept  # a browser that forgets nothing
    again = browser.come_back(signing.issuer.sign_in(location))
    assert again.status == 400
    assert "This sign-in is over" in again.body.decode()
    assert SESSION not in browser.cookies
    assert len(signing.issuer.asked) == asked


def test_acc168_old_state_is_refused(signing: Signing) -> None:
    browser = signing.browser()
    query = signing.issuer.sign_in(browser.begin())
    signing.stack.clock.advance(SIGN_IN_SECONDS)
    assert_refused(signing, browser.come_back(query), 400, "state", "ten minutes")


@pytest.mark.parametrize("forge", ["other key", "alg none", "changed"])
def test_acc168_forged_record_is_refused(signing: Signing, forge: str) -> None:
    browser = signing.browser()
    query = signing.issuer.sign_in(browser.begin())
    ((name, record),) = browser.cookies.items()
    head, body, signature = record.split(".")
    padded = body + "=" * (-len(body) % 4)
    claims = json.loads(base64.urlsafe_b64decode(padded))
    if forge == "other key":
        record = sign(claims, b"x" * 32)
    elif forge == "alg none":
        none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
        record = f"{none}.{body}."
    else:
        other = json.dumps({**claims, "to": "//evil.test"}).encode()
        encoded = base64.urlsafe_b64encode(other).decode().rstrip("=")
        record = f"{head}.{encoded}.{signature}"
    browser.cookies = {name: record}
    assert_refused(signing, browser.come_back(query), 400, "state", "This sign-in is over")


def test_acc169_issuer_that_signs_nobody_in_is_quoted(signing: Signing) -> None:
    for error, shown in (("access_denied", "access_denied"), ("<b>x", None)):
        signing = Signing()
        browser = signing.browser()
        (state,) = parse_qs(urlsplit(browser.begin()).query)["state"]
        query = f"error={quote(error)}&error_description=s3cret&state={state}"
        answer = browser.come_back(query)
        assert_refused(signing, answer, 403, "refused", shown or "You are not signed in")
        assert "s3cret" not in answer.text
        assert "<b>" not in answer.text


def by_hand(head: dict[str, Any], body: object, signature: bytes = b"") -> str:
    """A token of parts that no library would make."""
    parts = [json.dumps(head).encode(), json.dumps(body).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def whole(nonce: str, **more: object) -> dict[str, Any]:
    """The claims of an ID token."""
    own = {"iss": ISSUER, "sub": "u1", "aud": CLIENT_ID, "iat": NOW, "exp": NOW + HOUR}
    return {**own, "nonce": nonce, **more}


def with_public_key(nonce: str) -> str:
    """An ID token whose HMAC is made with the issuer's public key."""
    signed = by_hand({"alg": "HS256", "kid": "one"}, whole(nonce)).rpartition(".")[0]
    made = digest(public_pem(rsa_key()), signed.encode(), sha256)
    return f"{signed}.{base64.urlsafe_b64encode(made).decode().rstrip('=')}"


WRONG_CLAIMS: dict[str, tuple[dict[str, object], str]] = {
    "other audience": ({"aud": "another"}, "aud: "),
    "no audience": ({"aud": None}, "aud: "),
    "other issuer": ({"iss": "https://evil.test"}, "iss: "),
    "issuer with a slash": ({"iss": ISSUER + "/"}, "iss: "),
    "no issuer": ({"iss": None}, "iss: "),
    "expired": ({"exp": NOW - 31}, "exp: "),
    "never ends": ({"exp": None}, "exp: "),
    "issued later": ({"iat": NOW + 31}, "iat: "),
    "never issued": ({"iat": None}, "iat: "),
    "other nonce": ({"nonce": "another"}, "nonce: "),
    "no nonce": ({"nonce": None}, "nonce: "),
    "nonce is a number": ({"nonce": 7}, "nonce: "),
    "for another party": ({"azp": "another"}, "azp: "),
    "for several, and no party": ({"aud": [CLIENT_ID, "another"]}, "azp: "),
    "for several, and another": ({"aud": [CLIENT_ID, "x"], "azp": "x"}, "azp: "),
    "nobody": ({"sub": None}, "sub: "),
}


@pytest.mark.parametrize("name", WRONG_CLAIMS)
def test_acc170_wrong_id_token_is_refused(signing: Signing, logged: Log, name: str) -> None:
    claims, told = WRONG_CLAIMS[name]
    signing.issuer.claims.update(claims)
    assert_refused(signing, signing.browser().sign_in(), 502, "token", told)
    for secret in signing.issuer.seen:
        assert secret not in logged.text


WRONG_SIGNATURES: dict[str, Callable[[str], object]] = {
    "alg none": lambda nonce: by_hand({"alg": "none", "kid": "one"}, whole(nonce)),
    "no signature": lambda nonce: by_hand({"alg": "RS256", "kid": "one"}, whole(nonce)),
    "HMAC with the public key": with_public_key,
    "HMAC with the client's id": lambda nonce: sign(whole(nonce), CLIENT_ID.encode() * 4),
    "other key": lambda nonce: sign(whole(nonce), rsa_key(1), "RS256", kid="one"),
    "unknown kid": lambda nonce: sign(whole(nonce), rsa_key(1), "RS256", kid="two"),
    "garbage": lambda _: "x",
    "no text": lambda _: 7,
    "none": lambda _: None,
    "too large": lambda nonce: sign(whole(nonce, x="x" * 65536), rsa_key(), "RS256", kid="one"),
}


@pytest.mark.parametrize("name", WRONG_SIGNATURES)
def test_acc170_id_token_that_the_issuer_has_not_signed_is_refused(
    signing: Signing, logged: Log, name: str
) -> None:
    signing.issuer.id_token = WRONG_SIGNATURES[name]
    signing.issuer.seen = []
    browser = signing.browser()
    query = signing.issuer.sign_in(browser.begin())
    answer = browser.come_back(query)
    signing.issuer.seen = []
    assert_refused(signing, answer, 502, "token", "doesn't count")


@pytest.mark.parametrize(
    ("audience", "party"),
    [([CLIENT_ID], None), ([CLIENT_ID, "x"], CLIENT_ID), (CLIENT_ID, CLIENT_ID)],
)
def test_acc170_right_audiences_are_accepted(
    signing: Signing, audience: object, party: str | None
) -> None:
    signing.issuer.claims.update(aud=audience, azp=party)
    assert signing.browser().sign_in().status == 303


@pytest.mark.parametrize("given", [None, ISSUER, "https://evil.test"])
def test_acc169_code_of_another_issuer_is_refused(given: str | None) -> None:
    issuer = Issuer()
    issuer.description["authorization_response_iss_parameter_supported"] = True
    signing = Signing(issuer)
    browser = signing.browser()
    query = signing.issuer.sign_in(browser.begin())
    answer = browser.come_back(query if given is None else f"{query}&iss={quote(given)}")
    if given == ISSUER:
        assert answer.status == 303
    else:
        assert_refused(signing, answer, 502, "token", "iss: ")
        assert "/token" not in signing.issuer.asked


def test_acc169_code_that_is_refused(signing: Signing, logged: Log) -> None:
    browser = signing.browser()
    query = signing.issuer.sign_in(browser.begin())
    signing.issuer.codes.clear()
    answer = browser.come_back(query)
    assert_refused(signing, answer, 502, "code", "invalid_grant")
    assert "s3cret" not in answer.text + logged.text


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 200),
        (b"[]", 200),
        (b"x=y", 200),
        (b"{}", 200),
        (b'{"access_token": 7}', 200),
        (b'{"access_token":"a","scope":7}', 200),
        (b'{"access_token":"a","expires_in":"never"}', 200),
        (b"\xff", 200),
        (b"[" * 100_000, 200),
        (b'{"error":7}', 400),
        (b'{"error":"s3cret <b>"}', 401),
    ],
)
def test_acc169_answers_that_are_no_tokens(
    signing: Signing, logged: Log, body: bytes, status: int
) -> None:
    signing.issuer.bodies["/token"], signing.issuer.statuses["/token"] = body, status
    answer = signing.browser().sign_in()
    assert_refused(signing, answer, 502, "code", "turned Helix down")
    assert "s3cret" not in answer.text + logged.text


@pytest.mark.parametrize("path", ["/token", "/userinfo"])
@pytest.mark.parametrize("trouble", ["slow", "huge", "status", "redirect"])
def test_acc169_issuer_in_trouble_keeps_nobody_waiting(path: str, trouble: str) -> None:
    issuer = Issuer()
    issuer.userinfo = {"sub": "u1"}
    issuer.claims = {}
    signing = Signing(issuer)
    browser = signing.browser()
    query = issuer.sign_in(browser.begin())
    bodies = {"slow": None, "huge": b'"' + b"x" * 300_000 + b'"', "status": b"", "redirect": b""}
    issuer.bodies[path] = bodies[trouble]
    issuer.statuses[path] = {"status": 500, "redirect": 302}.get(trouble, 200)
    connection = browser.start("GET", f"/auth/callback?{query}")
    signing.settle()
    if trouble == "slow":
        assert connection.answers == []
        signing.stack.clock.advance(FETCH_SECONDS)
    answer = browser.take(connection)
    if path == "/token" and trouble == "redirect":
        assert_refused(signing, answer, 502, "code", "turned Helix down")
    else:
        assert_refused(signing, answer, 503, "away", "out of reach")


@pytest.mark.parametrize(
    "body",
    [
        None,
        b"",
        b"<html>",
        b"{}",
        b"x" * 300_000,
        json.dumps({"issuer": ISSUER + "/"}).encode(),
    ],
)
def test_acc166_issuer_that_is_away_is_asked_again(body: bytes | None, logged: Log) -> None:
    issuer = Issuer()
    issuer.bodies["/.well-known/openid-configuration"] = body
    signing = Signing(issuer)
    browser = signing.browser()
    connection = browser.start("GET", "/auth/sign-in")
    signing.settle()
    signing.stack.clock.advance(FETCH_SECONDS)
    assert_refused(signing, browser.take(connection), 503, "away", "out of reach")
    assert "could not be fetched from id.test" in logged.text
    del issuer.bodies["/.well-known/openid-configuration"]
    signing.stack.clock.advance(FETCH_SECONDS)
    signing.settle()
    assert browser.sign_in().status == 303


DESCRIPTIONS: list[dict[str, Any]] = [
    {"issuer": "https://evil.test"},
    {"issuer": ISSUER + "/"},
    {"token_endpoint": "http://id.test/token"},
    {"jwks_uri": "ftp://id.test/jwks"},
    {"authorization_endpoint": "javascript:alert(1)"},
    {"userinfo_endpoint": "http://id.test/userinfo"},
    {"end_session_endpoint": "//id.test"},
    {"token_endpoint": None},
    {"code_challenge_methods_supported": ["plain"]},
]


@pytest.mark.parametrize("description", DESCRIPTIONS)
def test_acc166_description_that_cannot_be_trusted_is_none(description: dict[str, Any]) -> None:
    issuer = Issuer()
    issuer.description = description
    signing = Signing(issuer)
    assert_refused(signing, signing.browser().get("/auth/sign-in"), 503, "away", "out of reach")
    assert set(issuer.asked) == {"/.well-known/openid-configuration"}


def test_acc169_codes_that_are_exchanged_at_a_time_are_bounded(signing: Signing) -> None:
    signing.issuer.bodies["/token"] = None
    browsers = [signing.browser() for _ in range(MAX_UNDER_WAY + 1)]
    for browser in browsers[:-1]:
        browser.start("GET", f"/auth/callback?{signing.issuer.sign_in(browser.begin())}")
    answer = browsers[-1].sign_in()
    assert_refused(signing, answer, 503, "busy", "Too many people")


def test_acc169_who_leaves_meanwhile_is_not_waited_for(signing: Signing, logged: Log) -> None:
    signing.issuer.bodies["/token"] = None
    browser = signing.browser()
    connection = browser.start("GET", f"/auth/callback?{signing.issuer.sign_in(browser.begin())}")
    signing.settle()
    connection.lose()
    signing.stack.clock.advance(FETCH_SECONDS)
    assert signing.stack.metric("helix_sign_ins_total") == 0
    assert not logged.failures


# Who it is


def signed_in_as(signing: Signing) -> Any:
    """Who somebody is that signs in."""
    browser = signing.browser()
    answer = browser.sign_in()
    assert answer.status == 303, answer.body.decode()
    return browser.get("/api/me").json


def test_acc171_id_and_groups_are_the_claims_that_are_named() -> None:
    signing = Signing(oidc_id_claim="employee", oidc_groups_claim="teams", admin="e-7")
    signing.issuer.claims.update(employee="e-7", teams=["b", "a"], admin=True)
    me = signed_in_as(signing)
    assert (me["id"], me["groups"], me["admin"]) == ("e-7", ["a", "b"], True)
    signing = Signing()
    signing.issuer.claims.update(groups=["a"], admin=True, flows={"*": "owner"}, create=["x"])
    me = signed_in_as(signing)
    assert (me["id"], me["groups"], me["admin"]) == ("u1", [], False)


@pytest.mark.parametrize("groups", [7, {"a": 1}, ["a", 7], [""], ["a\n"], ["a"] * 1001])
def test_acc171_groups_that_are_none_are_refused(groups: object) -> None:
    signing = Signing(oidc_groups_claim="groups")
    signing.issuer.claims["groups"] = groups
    assert_refused(signing, signing.browser().sign_in(), 403, "person", "groups: ")


@pytest.mark.parametrize("verified", [None, False, "true", 1])
def test_acc171_address_that_nobody_has_verified_is_no_id(verified: object) -> None:
    signing = Signing(oidc_id_claim="email")
    signing.issuer.claims.update(email="ada@example.com", email_verified=verified)
    assert_refused(signing, signing.browser().sign_in(), 403, "person", "email_verified: ")
    signing = Signing(oidc_id_claim="email")
    signing.issuer.claims.update(email="ada@example.com", email_verified=True)
    assert signed_in_as(signing)["id"] == "ada@example.com"


@pytest.mark.parametrize("person", ["key:1", "guest:1", "", " ", "a\nb", "x" * 256, 7])
def test_acc171_ids_that_are_none_are_refused(person: object) -> None:
    signing = Signing(oidc_id_claim="employee")
    signing.issuer.claims["employee"] = person
    assert_refused(signing, signing.browser().sign_in(), 403, "person", "employee: ")


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"name": "Ada", "preferred_username": "ada", "email": "a@b"}, "Ada"),
        ({"name": "", "preferred_username": "ada"}, "ada"),
        ({"name": "A\x1b[31m", "preferred_username": 7, "email": "a@b"}, "a@b"),
        ({"name": None}, ""),
    ],
)
def test_acc171_name_is_the_best_that_can_be_shown(claims: dict[str, object], name: str) -> None:
    signing = Signing()
    signing.issuer.claims = claims
    assert signed_in_as(signing)["name"] == name


def test_acc171_what_the_id_token_lacks_is_asked_for() -> None:
    issuer = Issuer()
    issuer.userinfo = {"sub": "u1", "name": "Ada", "groups": ["a"], "exp": 0}
    signing = Signing(issuer, oidc_groups_claim="groups")
    me = signed_in_as(signing)
    assert (me["name"], me["groups"]) == ("Ada Lovelace", ["a"])
    assert issuer.asked.count("/userinfo") == 1
    issuer.claims["groups"] = ["b"]
    assert signed_in_as(signing)["groups"] == ["b"]
    assert issuer.asked.count("/userinfo") == 1


@pytest.mark.parametrize("sub", ["u2", None, 7])
def test_acc171_userinfo_of_somebody_else_is_refused(sub: object) -> None:
    issuer = Issuer()
    issuer.userinfo = {"sub": sub, "name": "Eve"}
    issuer.claims = {}
    signing = Signing(issuer)
    assert_refused(signing, signing.browser().sign_in(), 502, "token", "sub: ")


def test_acc171_who_has_signed_in_makes_flows_and_owns_them(signing: Signing, ada: Browser) -> None:
    def make(browser: Browser) -> Answer:
        headers = [("Content-Type", "application/json"), *own_page()]
        return browser.ask("POST", "/api/flows", *headers, body=b'{"title": "Plan"}')

    made = make(ada)
    assert (made.status, made.json["role"]) == (201, "owner")
    signing.issuer.claims["sub"] = "u2"
    bob = signing.browser()
    bob.sign_in()
    assert bob.get(f"/api/flows/{made.json['id']}").status == 404
    assert ada.get("/api/flows").json["flows"][0]["title"] == "Plan"


# Where cookies count


def status_of(browser: Browser, method: str, *headers: tuple[str, str]) -> int:
    """The status of a request that somebody unknown may not make."""
    target = "/api/me" if method == "GET" else "/api/flows"
    body = None if method == "GET" else b"{}"
    given = [("Content-Type", "application/json"), *headers]
    return browser.ask(method, target, *given, body=body).status


COUNTS: list[tuple[str, dict[str, str], bool]] = [
    ("GET", {}, True),
    ("GET", {"Origin": OWN}, True),
    ("GET", {"Origin": "HTTPS://HELIX.test:443"}, True),
    ("GET", {"Sec-Fetch-Site": "same-origin"}, True),
    ("GET", {"Sec-Fetch-Site": "none"}, True),
    ("GET", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, True),
    ("GET", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, False),
    ("GET", {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}, False),
    ("GET", {"Origin": "https://app.test"}, False),
    ("GET", {"Origin": "http://helix.test"}, False),
    ("GET", {"Origin": "https://x.helix.test"}, False),
    ("GET", {"Origin": "null"}, False),
    ("GET", {"Origin": ""}, False),
    ("GET", {"Origin": "https://app.test", "Sec-Fetch-Site": "same-origin"}, False),
    ("POST", {"Origin": OWN}, True),
    ("POST", {"Sec-Fetch-Site": "same-origin"}, True),
    ("POST", {"Sec-Fetch-Site": "none"}, True),
    ("POST", {}, False),
    ("POST", {"Sec-Fetch-Site": "same-site"}, False),
    ("POST", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, False),
    ("POST", {"Origin": "https://app.test"}, False),
    ("POST", {"Origin": "null"}, False),
]


@pytest.mark.parametrize(("method", "headers", "counts"), COUNTS)
def test_acc173_cookies_count_for_our_own_pages(
    method: str, headers: dict[str, str], counts: bool
) -> None:
    signing = Signing(allow_origin="*")
    browser = signing.browser()
    browser.sign_in()
    assert status_of(browser, method, *headers.items()) == (
        (200 if method == "GET" else 201) if counts else 401
    )


SOCKETS = [
    ({"Origin": OWN}, True),
    ({"Sec-Fetch-Site": "same-origin"}, True),
    ({}, False),
    ({"Sec-Fetch-Site": "none"}, False),
    ({"Origin": "https://app.test"}, False),
    ({"Origin": "https://app.test", "Sec-Fetch-Site": "same-origin"}, False),
]


@pytest.mark.parametrize(("headers", "counts"), SOCKETS)
def test_acc174_sockets_take_cookies_of_our_own_pages_alone(
    headers: dict[str, str], counts: bool
) -> None:
    signing = Signing(allow_origin="*")
    browser = signing.browser()
    browser.sign_in()
    given = [*headers.items()]
    polled = browser.get("/socket/longpoll?vsn=2.0.0", *given)
    assert polled.json["status"] == (410 if counts else 403)
    checked = browser.ask("POST", "/socket/check", *given, body=b"{}")
    assert checked.json["admitted"] is counts
    socket = signing.stack.upgrade("vsn=2.0.0", *THROUGH_PROXY, browser.cookie_header, *given)
    assert socket.take().startswith(b"HTTP/1.1 101" if counts else b"HTTP/1.1 403")


def test_acc173_token_says_more_than_a_cookie(tmp_path: Any) -> None:
    signing = Signing(auth=[f"oidc:{ISSUER}", f"jwt:hmac:{secret_file(tmp_path)}"])
    browser = signing.browser()
    browser.sign_in()
    own = sign({"sub": "bot", "exp": NOW + HOUR})
    assert browser.get("/api/me", bearer(own)).json["id"] == "bot"
    assert browser.get("/api/me", bearer("nonsense")).status == 401
    assert browser.get("/api/me").json["id"] == "u1"


def test_acc173_cookie_without_its_prefix_does_not_count_over_https(ada: Browser) -> None:
    secret = ada.cookies.pop(SESSION)
    ada.cookies["helix-session"] = secret
    assert ada.get("/api/me").status == 401


def test_acc172_cookie_that_anybody_could_set_does_not_count() -> None:
    signing = Signing()
    browser = signing.browser()
    browser.sign_in()
    secret = browser.cookies[SESSION]
    answer = signing.stack.get("/api/me", ("Cookie", f"helix-session={secret}"))
    assert answer.status == 401


@pytest.mark.parametrize("value", ["", "x", "\x7f", "x" * 5000, "x; y"])
def test_acc173_cookies_that_are_none_are_refused(signing: Signing, value: str) -> None:
    browser = signing.browser()
    browser.cookies[SESSION] = value
    answer = browser.get("/api/me")
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")


# The end of sessions


def test_acc176_who_signs_out_is_out_at_once(signing: Signing, ada: Browser) -> None:
    kept = dict(ada.cookies)
    answer = ada.ask("POST", "/auth/sign-out", *own_page())
    assert answer.status == 200
    location = urlsplit(answer.json["location"])
    assert f"{location.scheme}://{location.netloc}{location.path}" == f"{ISSUER}/end"
    query = parse_qs(location.query)
    assert query.pop("id_token_hint")[0].count(".") == 2
    assert query == {
        "from": ["here"],
        "client_id": [CLIENT_ID],
        "post_logout_redirect_uri": [f"{OWN}/"],
    }
    assert ada.cookies == {}
    assert ada.get("/api/me").status == 401
    ada.cookies = kept
    assert ada.get("/api/me").status == 401
    assert signing.stack.metric("helix_sign_outs_total") == 1
    assert ada.ask("POST", "/auth/sign-out", *own_page()).json == {"location": None}


@pytest.mark.parametrize("nothing", ["", None])
def test_acc176_issuer_that_signs_nobody_out_is_not_asked_to(nothing: str | None) -> None:
    issuer = Issuer()
    issuer.description["end_session_endpoint"] = nothing
    browser = Signing(issuer).browser()
    browser.sign_in()
    answer = browser.ask("POST", "/auth/sign-out", *own_page())
    assert (answer.status, answer.json) == (200, {"location": None})
    assert browser.cookies == {}


def test_acc168_acc176_processes_on_one_store_know_the_same_sessions() -> None:
    issuer = Issuer()
    one = Signing(issuer)
    other = Signing(issuer, beside=one)
    other.stack.access.startService()
    ada, there = one.browser(), other.browser()
    there.cookies = ada.cookies  # one browser, which a proxy sends to both
    query = issuer.sign_in(ada.begin())
    assert there.come_back(query).status == 303
    for browser in (ada, there):
        assert browser.get("/api/me").json["id"] == "u1"
    kept = dict(ada.cookies)
    ada.ask("POST", "/auth/sign-out", *own_page())
    ada.cookies.update(kept)
    other.stack.run(1.0)
    for browser in (ada, there):
        assert browser.get("/api/me").status == 401


@pytest.mark.parametrize("headers", [{}, {"Origin": "https://app.test"}, {"Origin": "null"}])
def test_acc176_no_other_page_signs_somebody_out(headers: dict[str, str]) -> None:
    signing = Signing(allow_origin="*")
    browser = signing.browser()
    browser.sign_in()
    answer = browser.ask("POST", "/auth/sign-out", *headers.items())
    assert (answer.status, answer.json["code"]) == (403, "origin_refused")
    assert browser.get("/api/me").status == 200


def test_acc176_connections_of_a_session_end_with_it(signing: Signing, ada: Browser) -> None:
    made = ada.ask(
        "POST", "/api/flows", ("Content-Type", "application/json"), *own_page(), body=b"{}"
    ).json["id"]
    sockets = []
    for name in ("a", "b"):
        socket = signing.stack.upgrade("vsn=2.0.0", *THROUGH_PROXY, ada.cookie_header, *own_page())
        assert socket.take().startswith(b"HTTP/1.1 101")
        join = ["1", "1", f"flow:{made}", "phx_join", {"mode": "document", "client_id": name}]
        socket.send_frame(1, json.dumps(join).encode())
        signing.settle()
        assert b'"status":"ok"' in b"".join(frame.payload for frame in socket.take_frames())
        sockets.append(socket)
    ada.ask("POST", "/auth/sign-out", *own_page())
    for socket in sockets:
        told = b"".join(frame.payload for frame in socket.take_frames())
        assert b"access_revoked" in told
        assert b"phx_close" in told


def test_acc175_session_slides_and_ends(signing: Signing, ada: Browser) -> None:
    clock = signing.stack.clock
    for _ in range(4):
        clock.advance(IDLE_SECONDS - RENEW_SECONDS)
        assert ada.get("/api/me").status == 200
    clock.advance(IDLE_SECONDS)
    assert ada.get("/api/me").status == 401


def test_acc175_session_ends_after_a_month_in_any_case(signing: Signing, ada: Browser) -> None:
    clock = signing.stack.clock
    left = LONGEST_SECONDS
    while left > IDLE_SECONDS / 2:
        clock.advance(IDLE_SECONDS / 2)
        left -= IDLE_SECONDS / 2
        assert ada.get("/api/me").status == 200
    clock.advance(left)
    assert ada.get("/api/me").status == 401


def test_acc165_session_of_another_issuer_does_not_count(signing: Signing, ada: Browser) -> None:
    sign_ins = signing.stack.sign_ins
    assert sign_ins is not None
    sessions = sign_ins.sessions
    sessions._known.clear()
    sessions._issuer = "https://another.test"
    assert ada.get("/api/me").status == 401


def test_acc180_administrator_ends_the_sessions_of_a_person() -> None:
    signing = Signing(admin="root")
    ada, other = signing.browser(), signing.browser()
    for browser in (ada, other):
        browser.sign_in()
    signing.issuer.claims["sub"] = "root"
    root = signing.browser()
    root.sign_in()
    ada.get("/api/me")
    target = "/api/auth/sessions?principal=u1"
    assert ada.ask("DELETE", target, *own_page()).status == 403
    assert signing.browser().ask("DELETE", target, *own_page()).status == 401
    assert root.ask("DELETE", target).status == 401, "a page must ask, and say so"
    assert root.ask("DELETE", "/api/auth/sessions", *own_page()).status == 400
    assert root.ask("DELETE", target, *own_page()).json == {"ended": 2}
    assert [one.get("/api/me").status for one in (ada, other, root)] == [401, 401, 200]
    entries = root.get("/api/audit").json["entries"]
    assert {(one["action"], one["actor"]["id"]) for one in entries} == {("session.end", "root")}
    assert {one["credential"][:8] for one in entries} == {"session:"}
    assert root.ask("DELETE", target, *own_page()).json == {"ended": 0}


# What is told


def test_acc177_ways_are_told_to_everybody(signing: Signing, tmp_path: Any) -> None:
    assert signing.browser().get("/api/auth").json == {
        "anyone": False,
        "tokens": False,
        "header": False,
        "oidc": {"sign_in": "auth/sign-in", "sign_out": "auth/sign-out"},
    }


def test_acc177_without_an_issuer_there_is_nothing_to_sign_in_at(tmp_path: Any) -> None:
    stack = Stack(auth=f"jwt:hmac:{secret_file(tmp_path)}")
    told = stack.get("/api/auth").json
    assert (told["oidc"], told["tokens"]) == (None, True)
    for method, target in (
        ("GET", "/auth/sign-in"),
        ("GET", "/auth/callback"),
        ("POST", "/auth/sign-out"),
    ):
        assert stack.request(method, target).status == 404


def test_acc165_anyone_beside_it_lets_all_in() -> None:
    signing = Signing(auth=["anyone", f"oidc:{ISSUER}"])
    browser = signing.browser()
    assert browser.get("/api/me").json["id"] == ""
    browser.cookies[SESSION] = "over"
    assert browser.get("/api/me").status == 200
    browser.cookies.clear()
    browser.sign_in()
    me = browser.get("/api/me").json
    assert (me["id"], me["admin"]) == ("u1", True)
