"""Guests: what lets them in, and their tokens. (ACC155 to ACC159)"""

from __future__ import annotations

import base64
import json
import warnings
from random import Random
from typing import Any

import attrs
import jwt
import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from helix.access.decision import decide
from helix.access.principal import Kind, Principal
from helix.access.roles import Role
from helix.access.sharing import Audience, FlowAccess, GeneralAccess, Link
from helix.errors import (
    FlowNotFound,
    InvalidParameters,
    KeysUnavailable,
    LinkNotFound,
    PasswordRefused,
    RateLimited,
    TokenRefused,
)
from helix.identity import passwords as passwords_module
from helix.identity.guests import (
    GUEST_SECONDS,
    RENEWABLE_SECONDS,
    Doorkeeper,
    GuestTokens,
    Invitation,
    digest_of,
)
from helix.identity.passwords import (
    ADDRESS_BURST,
    ADDRESS_RATE,
    LINK_BURST,
    LINK_RATE,
    MAX_PASSWORD_CHARACTERS,
    Passwords,
    hash_password,
    is_password,
)
from helix.identity.tokens import MAX_TOKEN_BYTES
from helix.limits.apart import at_once
from helix.records import AuditEntry
from helix.store.memory import MemoryStore
from tests.support.logs import Log, logged
from tests.support.results import result_of
from tests.support.world import Wall

__all__ = ["logged"]

SECRET = "s" * 43


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords that are hashed fast."""
    monkeypatch.setattr(passwords_module, "_COST", 2)


class Doors:
    """A store with a flow ``f``, and what lets guests in."""

    def __init__(self, **links: Any) -> None:
        self.store = MemoryStore()
        self.store.start()
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.wall = Wall(self.clock)
        self.tokens = GuestTokens(self.store, self.wall, Random(1))
        self.passwords = Passwords(at_once, Random(2), self.clock)
        self.door = Doorkeeper(self.store, self.passwords, self.wall)
        result_of(self.store.create("f", "e", self.wall()))

    def link(self, link_id: str = "link", **about: Any) -> str:
        """Make a link of the flow; what follows in its address."""
        given = {"role": Role.VIEWER, "digest": digest_of(SECRET), "created_at": self.wall()}
        link = Link(**{"id": link_id, **given, **about})
        self.share(lambda access: attrs.evolve(access, links={**access.links, link_id: link}))
        return f"{link_id}.{SECRET}"

    def share(self, edit: Any) -> None:
        audited = AuditEntry(0, self.wall(), "access.change", "f")
        result_of(self.store.access.change("f", edit, audited))

    def opened(
        self, text: str, password: str | None = None, customer: str | None = None
    ) -> Invitation:
        opening = Deferred.fromCoroutine(self.door.by_link(text, password, customer))
        invitation: Invitation = result_of(opening)
        return invitation

    def issue(self, invitation: Invitation, name: str = "", before: Principal | None = None) -> Any:
        return result_of(Deferred.fromCoroutine(self.tokens.issue(invitation, name, before)))

    def verify(self, token: str) -> Principal:
        principal: Principal = result_of(Deferred.fromCoroutine(self.tokens.verify(token)))
        return principal

    def recognise(self, token: str | None) -> Principal | None:
        known: Principal | None = result_of(Deferred.fromCoroutine(self.tokens.recognise(token)))
        return known

    def secret(self) -> bytes:
        secret: bytes = result_of(self.store.credentials.secret())
        return secret


# tokens


def test_acc155_a_guest_has_a_token_for_an_hour() -> None:
    doors = Doors()
    invitation = doors.opened(doors.link(role=Role.EDITOR))
    assert (invitation.flow_id, invitation.role) == ("f", Role.EDITOR)
    token, guest = doors.issue(invitation, "Grace")
    assert token.startswith("hg_")
    assert len(token) < MAX_TOKEN_BYTES
    assert doors.verify(token) == guest
    assert (guest.name, guest.kind, guest.link) == ("Grace", Kind.GUEST, "link")
    assert guest.id.startswith("guest:")
    assert guest.expires_at == doors.wall() + GUEST_SECONDS
    assert (guest.grants, guest.create, guest.is_admin, guest.groups) == (
        (),
        (),
        False,
        frozenset(),
    )
    assert doors.issue(invitation)[1].id != guest.id, "another guest"
    doors.clock.advance(GUEST_SECONDS)
    with pytest.raises(TokenRefused, match="over"):
        doors.verify(token)


def test_acc155_a_token_holds_no_longer_than_its_link() -> None:
    doors = Doors()
    _, guest = doors.issue(doors.opened(doors.link(expires_at=doors.wall() + 60)))
    assert guest.expires_at == doors.wall() + 60


def test_acc155_the_longest_token_is_accepted() -> None:
    doors = Doors()
    token, _ = doors.issue(Invitation("\U0001f600" * 63, Role.VIEWER), "\U0001f600" * 255)
    assert doors.verify(token).name == "\U0001f600" * 255


def test_acc155_a_guest_may_do_what_the_link_gives_and_nothing_without_it() -> None:
    doors = Doors()
    text = doors.link(role=Role.EDITOR)
    guest = doors.verify(doors.issue(doors.opened(text))[0])
    access = result_of(doors.store.access.read(["f"]))["f"]
    permission = decide(guest, "f", access)
    assert permission is not None
    assert permission.role is Role.EDITOR
    assert decide(guest, "f", attrs.evolve(access, links={})) is None
    assert decide(guest, "f", FlowAccess(owner=guest.id)) is None


def test_acc155_all_who_use_a_store_know_its_guests() -> None:
    doors = Doors()
    token, guest = doors.issue(doors.opened(doors.link()))
    other = GuestTokens(doors.store, doors.wall, Random(9))
    assert result_of(Deferred.fromCoroutine(other.verify(token))) == guest
    with pytest.raises(TokenRefused):
        Doors().verify(token)


def forged(claims: dict[str, Any], key: bytes | str, algorithm: str = "HS256") -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a secret that is short for SHA-384
        return "hg_" + jwt.encode(claims, key, algorithm)


def test_acc155_wrong_tokens_are_refused(logged: Log) -> None:
    doors = Doors()
    token, guest = doors.issue(doors.opened(doors.link()), "Grace")
    claims = jwt.decode(token[3:], options={"verify_signature": False})
    secret = doors.secret()
    assert doors.verify(forged(claims, secret)) == guest
    head, body, signature = token[3:].split(".")
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none"}).encode()).decode().rstrip("=")
    admin = {**claims, "admin": True, "flows": {"*": "owner"}, "groups": ["g"], "create": ["*"]}
    known = doors.verify(forged(admin, secret))
    assert (known.is_admin, known.grants, known.groups, known.create) == (
        False,
        (),
        frozenset(),
        (),
    )
    for wrong in (
        token[:-4],
        token[3:],
        "hg_",
        "hg_a.b.c",
        "hg_\u00e9\ud800",
        f"hg_{none}.{body}.",
        f"hg_{none}.{body}.{signature}",
        f"hg_{head}.{body}.",
        forged(claims, b"o" * 32),
        forged(claims, secret, "HS384"),
        forged({**claims, "aud": "helix"}, secret),
        forged({name: claims[name] for name in claims if name != "aud"}, secret),
        forged({name: claims[name] for name in claims if name != "exp"}, secret),
        forged({**claims, "exp": doors.wall() - 1}, secret),
        "hg_" + "a" * 100_000,
    ):
        with pytest.raises(TokenRefused) as refused:
            doors.verify(wrong)
        for part in wrong.removeprefix("hg_").split("."):
            if len(part) > 8:
                assert part not in str(refused.value)
                assert part not in logged.text


def test_acc155_until_the_store_is_open_a_guest_is_refused_for_now() -> None:
    doors = Doors()
    token, guest = doors.issue(doors.opened(doors.link()))
    late = GuestTokens(doors.store, doors.wall, Random(9))
    doors.store.is_open = False
    with pytest.raises(KeysUnavailable):
        result_of(Deferred.fromCoroutine(late.verify(token)))
    doors.store.is_open = True
    assert result_of(Deferred.fromCoroutine(late.verify(token))) == guest


def test_acc156_who_comes_again_stays_the_same_guest() -> None:
    doors = Doors()
    invitation = doors.opened(doors.link())
    token, guest = doors.issue(invitation, "Grace")
    doors.clock.advance(GUEST_SECONDS + RENEWABLE_SECONDS - 1)
    known = doors.recognise(token)
    assert known is not None
    again = doors.issue(invitation, "", known)[1]
    assert (again.id, again.name) == (guest.id, "Grace")
    assert again.expires_at == doors.wall() + GUEST_SECONDS
    assert doors.issue(invitation, "Hopper", known)[1].name == "Hopper"
    doors.clock.advance(1)
    assert doors.recognise(token) is None
    for other in (None, "", "hx_" + "a" * 43, token[:-4], token[3:]):
        assert doors.recognise(other) is None


# what lets them in


def test_acc157_what_is_no_link_any_more_can_not_be_told_apart() -> None:
    doors = Doors()
    text = doors.link()
    over = doors.link("over", expires_at=doors.wall())
    locked = doors.link("locked", password=hash_password("sesame", b"salt"))
    refusals = set()
    for wrong in (
        "",
        ".",
        "link",
        "link.",
        f"other.{SECRET}",
        f"link.{SECRET[1:]}",
        f"link.{SECRET}.{SECRET}",
        "link." + "\u00e9" * 43,
        "locked." + "x" * 43,
        f"\0.{SECRET}",
        f".{SECRET}",
        over,
    ):
        with pytest.raises(LinkNotFound) as refused:
            doors.opened(wrong, "sesame")
        refusals.add(str(refused.value))
    assert len(refusals) == 1
    assert doors.opened(text).link
    assert doors.opened(locked, "sesame").link
    result_of(doors.store.delete("f", doors.wall()))
    with pytest.raises(LinkNotFound):
        doors.opened(text)


def test_acc157_the_store_is_asked_for_every_link(monkeypatch: pytest.MonkeyPatch) -> None:
    doors = Doors()
    doors.link()
    asked: list[str] = []
    really = doors.store.access.find_link

    def find_link(link_id: str) -> Any:
        asked.append(link_id)
        return really(link_id)

    monkeypatch.setattr(doors.store.access, "find_link", find_link)
    for wrong in ("link.x", "other.x", "\0.x", ""):
        with pytest.raises(LinkNotFound):
            doors.opened(wrong)
    assert asked == ["link", "other", "-", "-"]


def test_acc158_a_flow_that_is_open_to_all_lets_guests_in_by_its_address() -> None:
    doors = Doors()

    def by_address(flow_id: str) -> Any:
        return result_of(Deferred.fromCoroutine(doors.door.by_address(flow_id)))

    for audience in (Audience.RESTRICTED, Audience.SIGNED_IN):
        general = GeneralAccess(audience, Role.EDITOR)
        doors.share(lambda access, general=general: attrs.evolve(access, general=general))
        with pytest.raises(FlowNotFound):
            by_address("f")
    with pytest.raises(FlowNotFound):
        by_address("other")
    general = GeneralAccess(Audience.LINK, Role.EDITOR)
    doors.share(lambda access: attrs.evolve(access, general=general))
    invitation = by_address("f")
    assert invitation == Invitation("f", Role.EDITOR)
    guest = doors.verify(doors.issue(invitation)[0])
    assert guest.link == ""
    permission = decide(guest, "f", FlowAccess(general=general))
    assert permission is not None
    assert permission.role is Role.EDITOR


# passwords


def test_acc159_passwords_are_hashed_with_their_parameters() -> None:
    hashed = hash_password("sesame", b"salt")
    assert hashed.startswith("scrypt$2,8,1$")
    assert "sesame" not in hashed
    assert is_password("sesame", hashed)
    assert not is_password("Sesame", hashed)
    assert hashed != hash_password("sesame", b"other")
    assert is_password("caf\u00e9", hash_password("cafe\u0301", b"salt"))


def test_acc159_hashes_of_other_parameters_still_count(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = hash_password("sesame", b"salt")
    monkeypatch.setattr(passwords_module, "_COST", 4)
    assert is_password("sesame", hashed)
    assert hash_password("sesame", b"salt") != hashed


def test_acc159_a_new_password_is_neither_empty_nor_endless() -> None:
    doors = Doors()
    for wrong in ("", "a" * (MAX_PASSWORD_CHARACTERS + 1)):
        with pytest.raises(InvalidParameters):
            doors.passwords.hash(wrong)
    longest = "a" * MAX_PASSWORD_CHARACTERS
    assert is_password(longest, result_of(doors.passwords.hash(longest)))
    assert result_of(doors.passwords.hash("a")) != result_of(doors.passwords.hash("a"))


def test_acc159_a_link_asks_for_its_password() -> None:
    doors = Doors()
    text = doors.link(password=result_of(doors.passwords.hash("sesame")))
    with pytest.raises(PasswordRefused, match="needs"):
        doors.opened(text)
    for wrong in ("", "Sesame", "sesame ", "a" * (MAX_PASSWORD_CHARACTERS + 1)):
        with pytest.raises(PasswordRefused):
            doors.opened(text, wrong)
    assert doors.opened(text, "sesame").link
    assert doors.opened(doors.link("open"), "whatever").link


def tried(doors: Doors, text: str, customer: str | None) -> None:
    with pytest.raises(PasswordRefused):
        doors.opened(text, "wrong", customer)


def test_acc159_who_guesses_from_an_address_is_slowed_down() -> None:
    doors = Doors()
    hashed = result_of(doors.passwords.hash("sesame"))
    text, other = doors.link(password=hashed), doors.link("other", password=hashed)
    for _ in range(int(ADDRESS_BURST)):
        tried(doors, text, "192.0.2.1")
    for one in (text, other):
        with pytest.raises(RateLimited) as limited:
            doors.opened(one, "sesame", "192.0.2.1")
        assert limited.value.retry_after == 1 / ADDRESS_RATE
    for _ in range(int(LINK_BURST)):  # what is refused there costs the link nothing
        with pytest.raises(RateLimited):
            doors.opened(text, "sesame", "192.0.2.1")
    assert doors.opened(text, "sesame", "192.0.2.2").link
    doors.clock.advance(1 / ADDRESS_RATE)
    assert doors.opened(text, "sesame", "192.0.2.1").link


def test_acc159_who_guesses_a_link_is_slowed_down_from_everywhere() -> None:
    doors = Doors()
    hashed = result_of(doors.passwords.hash("sesame"))
    text, other = doors.link(password=hashed), doors.link("other", password=hashed)
    for number in range(int(LINK_BURST)):
        tried(doors, text, f"192.0.2.{number}")
    for customer in ("192.0.2.200", None):
        with pytest.raises(RateLimited) as limited:
            doors.opened(text, "sesame", customer)
        assert limited.value.retry_after == 1 / LINK_RATE
    assert doors.opened(other, "sesame", "192.0.2.200").link
    for _ in range(int(ADDRESS_BURST)):  # what the link refused has cost the address nothing
        tried(doors, other, "192.0.2.200")
    doors.clock.advance(1 / LINK_RATE)
    assert doors.opened(text, "sesame", "192.0.2.201").link


def test_acc159_right_passwords_cost_nothing() -> None:
    doors = Doors()
    text = doors.link(password=result_of(doors.passwords.hash("sesame")))
    for _ in range(int(LINK_BURST) * 2):
        assert doors.opened(text, "sesame", "192.0.2.1").link


def test_acc159_many_at_once_are_not_free() -> None:
    doors = Doors()
    held: list[Any] = []

    def apart(size: int, work: Any, charge: Any = None) -> Deferred[Any]:
        waiting: Deferred[Any] = Deferred()
        held.append(waiting)
        return waiting

    passwords = Passwords(apart, Random(1), doors.clock)
    came: list[Any] = []
    for _ in range(int(LINK_BURST) * 2):
        trial = passwords.matches("wrong", "hash", "link", None)
        Deferred.fromCoroutine(trial).addErrback(came.append)
    assert len(held) == LINK_BURST
    assert len(came) == LINK_BURST


def test_acc159_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords_module, "MAX_REMEMBERED", 10)
    doors = Doors()
    hashed = result_of(doors.passwords.hash("sesame"))
    for number in range(50):
        trial = doors.passwords.matches("wrong", hashed, f"link{number}", f"192.0.2.{number}")
        assert not result_of(Deferred.fromCoroutine(trial))
    assert len(doors.passwords._links._buckets) == 10
    assert len(doors.passwords._addresses._buckets) == 10


def test_acc4_no_secret_of_a_link_is_logged_or_told(logged: Log) -> None:
    doors = Doors()
    text = doors.link(password=result_of(doors.passwords.hash("sesame")))
    told = []
    for wrong, password in ((text, "opensesame"), (text[:-1], "opensesame"), (text, None)):
        with pytest.raises((LinkNotFound, PasswordRefused)) as refused:
            doors.opened(wrong, password)
        told.append(str(refused.value))
    token, guest = doors.issue(doors.opened(text, "sesame"))
    assert "s" * 20 not in logged.text + "".join(told) + repr(guest)
    assert "opensesame" not in logged.text + "".join(told)
    assert token[3:] not in logged.text + repr(guest)
