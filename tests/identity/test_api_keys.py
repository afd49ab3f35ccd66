"""Keys of programs: how they are made, and how they are known. (ACC150 to ACC154)"""

from __future__ import annotations

import json
from collections.abc import Collection
from random import Random
from typing import Any

import pytest
from msgspec import structs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from helix.access.grants import describe_grant
from helix.access.principal import Kind, Principal
from helix.access.roles import Role
from helix.errors import (
    InvalidParameters,
    KeysUnavailable,
    StoreError,
    StoreUnavailable,
    TokenRefused,
)
from helix.identity.api_keys import (
    MAX_LIFETIME,
    RENEW_SECONDS,
    RETRY_SECONDS,
    USED_SECONDS,
    KeyBook,
    audit_creation,
    audit_revocation,
    describe_key,
    digest_of,
    make_key,
)
from helix.records import ApiKey
from helix.store.memory import MemoryStore
from tests.support.logs import Log, logged
from tests.support.results import result_of
from tests.support.world import Wall

__all__ = ["logged"]

FLOWS = {"team-a/*": "editor", "handbook": {"role": "viewer", "tags": {"source": "ci"}}}


class Keys:
    """
    A book, and the store that it reads, which answers when it is told to.

    :ivar questions: those that the store hasn't answered yet.
    :ivar failure: what the store fails with, if it does.
    :ivar revoked: of which credentials the book has told that they are gone.
    """

    def __init__(self, *, is_slow: bool = False) -> None:
        self.store = MemoryStore()
        self.store.start()
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.wall = Wall(self.clock)
        self.questions: list[Deferred[None]] = []
        self.failure: Exception | None = None
        self.revoked: list[Collection[str]] = []
        self.is_slow = is_slow
        self.reads = 0
        self._really = self.store.credentials.keys
        self.store.credentials.keys = self._keys  # type: ignore[method-assign]
        self.book = KeyBook(self.store, self.clock, self.wall, self.revoked.append)
        self.book.startService()
        self._random = Random(1)

    def _keys(self) -> Deferred[list[ApiKey]]:
        self.reads += 1
        found = self._really()
        question: Deferred[None] = Deferred()
        if self.is_slow:
            self.questions.append(question)
        else:
            question.callback(None)

        def answer(_: None) -> Deferred[list[ApiKey]]:
            if self.failure is not None:
                raise self.failure
            return found

        return question.addCallback(answer)

    def make(self, name: object = "ci", flows: object = FLOWS, **more: Any) -> tuple[ApiKey, str]:
        """A new key, which the store has."""
        key, text = make_key(self._random, self.wall(), name, flows, **more)
        result_of(self.store.credentials.add_key(key, audit_creation(key)))
        return key, text

    def remove(self, key: ApiKey) -> None:
        """Remove a key from the store, as another process does."""
        audited = audit_revocation(key.id, self.wall(), key.name)
        result_of(self.store.credentials.remove_key(key.id, audited))

    def learn(self) -> None:
        """Tell the book all that was ever done."""
        self.book.learn(result_of(self.store.access.audited(None, 99))[::-1])

    def verify(self, text: str) -> Deferred[Principal]:
        return Deferred.fromCoroutine(self.book.verify(text))

    def principal(self, text: str) -> Principal:
        """The principal of a key, which is known at once."""
        principal: Principal = result_of(self.verify(text))
        return principal


# making


def test_acc150_a_key_is_long_and_recognised_and_only_its_digest_is_kept() -> None:
    key, text = Keys().make(create=["team-a/*"], expires_in=60, created_by="ada")
    assert text.startswith("hx_")
    assert len(text) == 46
    assert key.digest == digest_of(text)
    assert text[3:] not in repr(key)
    assert text[3:] not in str(describe_key(key))
    assert (key.name, key.created_by) == ("ci", "ada")
    assert json.loads(key.grants) == FLOWS
    assert json.loads(key.create) == ["team-a/*"]
    assert key.expires_at == key.created_at + 60
    assert Keys().make()[1] == text, "the same numbers make the same key"
    assert make_key(Random(2), 0.0, "ci", {})[1] != text


def test_acc150_its_id_is_no_option_of_a_command() -> None:
    assert not any("-" in make_key(Random(n), 0.0, "ci", {})[0].id for n in range(50))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"name": ""}, "name: "),
        ({"name": " "}, "name: "),
        ({"name": "a" * 256}, "name: "),
        ({"name": "a\nb"}, "name: "),
        ({"name": 1}, "name: "),
        ({"flows": []}, "flows: "),
        ({"flows": {"a*b": "editor"}}, "flows: "),
        ({"flows": {"": "editor"}}, "flows: "),
        ({"flows": {"a": "admin"}}, "flows: a role is one of"),
        ({"flows": {"a": {"role": "editor", "path": []}}}, "flows: "),
        ({"flows": {"a": {"role": "editor", "paths": ["x"]}}}, "flows: "),
        ({"flows": {"\ud800": "editor"}}, "flow ids"),
        ({"flows": {f"{n:0250}": "editor" for n in range(40)}}, "8192 bytes"),
        ({"create": "team-a/*"}, "create: "),
        ({"create": [1]}, "create: "),
        ({"expires_in": 0}, "expires_in"),
        ({"expires_in": -1}, "expires_in"),
        ({"expires_in": MAX_LIFETIME * 2}, "expires_in"),
        ({"expires_in": float("nan")}, "expires_in"),
    ],
)
def test_acc150_what_a_key_can_not_be(wrong: dict[str, Any], told: str) -> None:
    wanted = {"name": "ci", "flows": {}, **wrong}
    with pytest.raises(InvalidParameters, match=told):
        make_key(Random(1), 0.0, **wanted)


def test_acc150_the_audit_log_tells_of_it_without_the_key() -> None:
    key, text = Keys().make()
    entry = audit_creation(key)
    assert (entry.action, entry.credential, entry.actor) == ("key.create", f"key:{key.id}", None)
    assert json.loads(entry.details)["flows"] == FLOWS
    assert text[3:] not in repr(entry)
    assert str(key.digest) not in repr(entry)
    ended = audit_revocation(key.id, 5.0, "ci")
    assert (ended.action, ended.credential) == ("key.revoke", f"key:{key.id}")
    assert json.loads(ended.details) == {"name": "ci"}


# knowing


def test_acc151_a_key_proves_a_service() -> None:
    keys = Keys()
    key, text = keys.make(create=["team-a/*"], expires_in=60)
    known = keys.principal(text)
    assert (known.id, known.name, known.kind) == (f"key:{key.id}", "ci", Kind.SERVICE)
    assert known.credential == f"key:{key.id}"
    assert known.expires_at == key.expires_at
    assert not known.is_admin
    assert known.may_create("team-a/x")
    assert {one.text: describe_grant(grant) for one, grant in known.grants} == FLOWS
    assert known.grants[0][1].role is Role.EDITOR


def test_acc151_a_key_may_be_an_administrators() -> None:
    keys = Keys()
    assert keys.principal(keys.make(is_admin=True)[1]).is_admin


def test_acc151_a_look_up_asks_nobody() -> None:
    keys = Keys()
    texts = [keys.make()[1] for _ in range(3)]
    for text in texts * 5:
        keys.principal(text)
    with pytest.raises(TokenRefused):
        keys.principal("hx_" + "a" * 43)
    assert keys.reads == 1


def test_acc151_wrong_keys_are_refused() -> None:
    keys = Keys()
    key, text = keys.make()
    for wrong in (
        text[:-1],
        text + "a",
        text[:-1] + ("a" if text[-1] != "a" else "b"),
        text.swapcase(),
        "hx_",
        "hx_" + "\u00e9" * 43,
        "hx_" + "\ud800" * 43,
        "hx_" + key.digest.hex()[:43],
        "hx_" + "a" * 100_000,
    ):
        with pytest.raises(TokenRefused):
            keys.principal(wrong)


def test_acc151_a_key_that_is_over_is_refused() -> None:
    keys = Keys()
    _, text = keys.make(expires_in=60)
    keys.clock.advance(59)
    keys.principal(text)
    keys.clock.advance(1)
    with pytest.raises(TokenRefused, match="over"):
        keys.principal(text)


def test_acc151_a_key_that_can_not_be_read_is_refused_alone(logged: Log) -> None:
    keys = Keys()
    key, text = keys.make()
    other = keys.make()[1]
    keys.store.credentials._keys[key.id] = structs.replace(key, grants=b'{"a":"superuser"}')
    with pytest.raises(TokenRefused):
        keys.principal(text)
    assert key.id in logged.text
    keys.principal(other)


def test_acc152_until_the_store_is_open_a_key_is_refused_for_now() -> None:
    keys = Keys()
    _, text = keys.make()
    keys.store.is_open = False
    with pytest.raises(KeysUnavailable):
        keys.principal(text)
    assert keys.reads == 0
    keys.store.is_open = True
    assert keys.principal(text).name == "ci"


def test_acc152_who_comes_while_the_keys_are_read_waits_for_them() -> None:
    keys = Keys(is_slow=True)
    _, text = keys.make()
    came = [keys.verify(text) for _ in range(3)]
    refused = keys.verify("hx_" + "a" * 43)
    gone = keys.verify(text)
    gone.addErrback(lambda _: None)
    gone.cancel()
    while keys.questions:
        keys.questions.pop(0).callback(None)
    assert [result_of(one).name for one in came] == ["ci"] * 3
    with pytest.raises(TokenRefused):
        result_of(refused)
    assert keys.reads == 1


def test_acc152_a_store_that_is_away_is_asked_again_by_the_next() -> None:
    keys = Keys()
    _, text = keys.make()
    keys.failure = StoreUnavailable()
    with pytest.raises(KeysUnavailable):
        keys.principal(text)
    keys.failure = None
    keys.principal(text)


# following


def test_acc153_a_new_key_of_another_process_counts_once_that_is_known() -> None:
    keys = Keys()
    keys.principal(keys.make()[1])
    _, text = keys.make("second")
    with pytest.raises(TokenRefused):
        keys.principal(text)
    keys.learn()
    assert keys.principal(text).name == "second"
    assert keys.reads == 2
    keys.learn()
    assert keys.reads == 2, "nothing is new"


def test_acc153_a_key_that_is_not_known_is_looked_for_now_and_then() -> None:
    keys = Keys()
    keys.principal(keys.make()[1])
    _, text = keys.make("second")
    keys.clock.advance(RENEW_SECONDS)
    for _ in range(9):
        with pytest.raises(TokenRefused):
            keys.principal("hx_" + "a" * 43)
        with pytest.raises(TokenRefused):
            keys.principal("hx_short")
    assert keys.reads == 2
    keys.principal(text)
    _, third = keys.make("third")
    keys.clock.advance(RENEW_SECONDS)
    keys.is_slow = True
    came = [keys.verify(third) for _ in range(3)]
    keys.principal(text)  # which is known, and so waits for nothing
    keys.questions.pop().callback(None)
    assert [result_of(one).name for one in came] == ["third"] * 3


def test_acc153_a_key_that_may_be_new_is_refused_for_now_while_the_store_is_away() -> None:
    keys = Keys()
    _, text = keys.make()
    keys.principal(text)
    keys.clock.advance(RENEW_SECONDS)
    keys.failure = StoreUnavailable()
    with pytest.raises(KeysUnavailable):
        keys.principal("hx_" + "a" * 43)
    keys.principal(text)


def test_acc153_a_revoked_key_counts_no_more_and_is_told_of() -> None:
    keys = Keys()
    key, text = keys.make()
    other, kept = keys.make("kept")
    keys.principal(text)
    keys.remove(key)
    keys.failure = StoreUnavailable()  # it isn't needed for that
    keys.learn()
    assert keys.revoked == [{f"key:{key.id}"}]
    with pytest.raises(TokenRefused):
        keys.principal(text)
    assert keys.principal(kept).id == f"key:{other.id}"


def test_acc153_a_reading_under_way_brings_no_revoked_key_back() -> None:
    keys = Keys()
    key, text = keys.make()
    keys.principal(text)
    keys.is_slow = True
    reading = keys.book.refresh()
    keys.remove(key)
    keys.book.revoke(key.id)
    while keys.questions:
        keys.questions.pop(0).callback(None)
    result_of(reading)
    with pytest.raises(TokenRefused):
        keys.principal(text)
    assert keys.revoked == [{f"key:{key.id}"}]


def test_acc153_who_asks_for_a_reading_gets_one_that_began_later() -> None:
    keys = Keys()
    keys.principal(keys.make()[1])
    keys.is_slow = True
    early = keys.book.refresh()
    _, text = keys.make("second")
    late = keys.book.refresh()
    keys.questions.pop(0).callback(None)
    result_of(early)
    assert not late.called
    keys.questions.pop(0).callback(None)
    result_of(late)
    assert keys.principal(text).name == "second"


def test_acc153_a_key_that_is_revoked_while_the_first_reading_is_under_way() -> None:
    keys = Keys(is_slow=True)
    key, text = keys.make()
    came = keys.verify(text)
    keys.remove(key)
    keys.learn()
    while keys.questions:
        keys.questions.pop(0).callback(None)
    with pytest.raises(TokenRefused):
        result_of(came)


def test_acc153_a_failed_reading_is_tried_again(logged: Log) -> None:
    keys = Keys()
    key, text = keys.make()
    keys.principal(text)
    keys.remove(key)
    keys.failure = StoreUnavailable()
    with pytest.raises(StoreError):
        result_of(keys.book.refresh())
    keys.principal(text)  # as far as is known
    keys.clock.advance(RETRY_SECONDS)
    keys.failure = None
    keys.clock.advance(RETRY_SECONDS)
    assert keys.revoked == [{f"key:{key.id}"}]
    assert "could not be read" in logged.text


# used last


def test_acc154_uses_are_noted_together_once_a_minute() -> None:
    keys = Keys()
    key, text = keys.make()
    began = keys.wall()
    assert keys.book.used_at(key) is None
    for _ in range(10):
        keys.principal(text)
        keys.clock.advance(1)
    assert keys.book.used_at(key) == began + 9
    (stored,) = result_of(keys.store.credentials.keys())
    assert stored.used_at is None
    keys.clock.advance(USED_SECONDS)
    (stored,) = result_of(keys.store.credentials.keys())
    assert stored.used_at == began + 9
    assert not keys.clock.getDelayedCalls(), "nothing is noted of keys that nobody uses"


def test_acc154_uses_are_noted_at_the_end_too_and_later_if_the_store_is_away() -> None:
    keys = Keys()
    _, text = keys.make()
    really, failing = keys.store.credentials.keys_used, [StoreUnavailable()]

    def keys_used(used: dict[str, float]) -> Deferred[None]:
        if failing:
            return result_or_fail(failing.pop())
        return really(used)

    keys.store.credentials.keys_used = keys_used  # type: ignore[method-assign,assignment]
    keys.principal(text)
    used = keys.wall()
    keys.clock.advance(USED_SECONDS)
    assert keys.book.used_at(result_of(keys.store.credentials.keys())[0]) == used
    result_of(keys.book.stopService())
    (stored,) = result_of(keys.store.credentials.keys())
    assert stored.used_at == used
    assert not keys.clock.getDelayedCalls()


def result_or_fail(error: Exception) -> Deferred[None]:
    failed: Deferred[None] = Deferred()
    failed.errback(error)
    return failed


def test_acc4_no_key_is_logged(logged: Log) -> None:
    keys = Keys()
    key, text = keys.make(expires_in=5)
    keys.principal(text)
    keys.clock.advance(10)
    for wrong in (text, text[:-1], "hx_" + "b" * 43):
        with pytest.raises(TokenRefused) as refused:
            keys.principal(wrong)
        assert wrong[3:] not in str(refused.value)
        assert wrong[3:] not in logged.text
    assert key.digest.hex() not in logged.text
