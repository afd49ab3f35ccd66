"""What every store does with what proves who somebody is. (docs/spec.md, ACC97-98)"""

from __future__ import annotations

import pytest
from msgspec import structs
from pytest_twisted import ensureDeferred
from twisted.internet.defer import gatherResults
from zope.interface.verify import verifyObject

from helix.errors import DuplicateOperation, KeyNotFound, StoreUnavailable, TooManyKeys
from helix.interfaces import ICredentialStore, IFlowStore
from helix.records import ApiKey, AuditEntry, SignIn
from helix.store import memory_access
from helix.store.postgresql import credentials as postgresql_credentials
from helix.store.sqlite import credentials as sqlite_credentials
from tests.store.data import T0
from tests.store.places import Place
from tests.store.test_access_contract import ADA, ODD, actions
from tests.store.test_contract import refused

KEY = ApiKey(
    "k1",
    ODD,
    b"\0\xff" * 16,
    T0 + 0.25,
    b'{"team-a/*":"editor"}',
    b'["team-a/*"]',
    True,
    ODD,
    T0 + 60,
    T0 + 1,
)


def audited(action: str, credential: str = "") -> AuditEntry:
    return AuditEntry(0, T0 + 1, action, "", credential, ADA, b"{}")


def key(key_id: str, created_at: float = T0) -> ApiKey:
    return ApiKey(key_id, f"key {key_id}", key_id.encode(), created_at)


def session(session_id: str, principal_id: str = "ada", expires_at: float = T0 + 100) -> SignIn:
    digest = session_id.encode()
    return SignIn(session_id, digest, principal_id, b'{"name":"Ada"}', T0, T0, expires_at)


def test_acc97_it_has_what_the_interface_names(place: Place) -> None:
    assert verifyObject(ICredentialStore, place.store().credentials)


@ensureDeferred
async def test_acc97_keys_are_listed_as_they_were_made(store: IFlowStore) -> None:
    keeper = store.credentials
    assert await keeper.keys() == []
    await keeper.add_key(KEY, audited("key.create", "key:k1"))
    await keeper.add_key(key("k3", T0 + 5), audited("key.create", "key:k3"))
    await keeper.add_key(key("k2", T0), audited("key.create", "key:k2"))
    assert await keeper.keys() == [key("k2", T0), KEY, key("k3", T0 + 5)]
    found = await store.access.audited(None, 9)
    assert [(one.action, one.credential, one.actor) for one in found] == [
        ("key.create", "key:k2", ADA),
        ("key.create", "key:k3", ADA),
        ("key.create", "key:k1", ADA),
    ]


@ensureDeferred
async def test_acc97_a_removed_key_is_gone(store: IFlowStore) -> None:
    keeper = store.credentials
    for name in ("k1", "k2"):
        await keeper.add_key(key(name), audited("key.create"))
    await keeper.remove_key("k1", audited("key.revoke", "key:k1"))
    assert await keeper.keys() == [key("k2")]
    await refused(KeyNotFound, keeper.remove_key("k1", audited("key.revoke")))
    await refused(KeyNotFound, keeper.remove_key(ODD, audited("key.revoke")))
    assert await actions(store) == ["key.revoke", "key.create", "key.create"]


@ensureDeferred
async def test_acc97_an_id_is_used_once(store: IFlowStore) -> None:
    keeper = store.credentials
    await keeper.add_key(key("k1"), audited("key.create"))
    other = structs.replace(key("k1"), name="other", digest=b"other")
    await refused(DuplicateOperation, keeper.add_key(other, audited("key.create")))
    assert await keeper.keys() == [key("k1")]
    assert await actions(store) == ["key.create"]


@ensureDeferred
async def test_acc97_there_are_only_so_many_keys(
    store: IFlowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (memory_access, postgresql_credentials, sqlite_credentials):
        monkeypatch.setattr(module, "MAX_KEYS", 2)
    keeper = store.credentials
    for name in ("k1", "k2"):
        await keeper.add_key(key(name), audited("key.create"))
    await refused(TooManyKeys, keeper.add_key(key("k3"), audited("key.create")))
    assert [one.id for one in await keeper.keys()] == ["k1", "k2"]
    assert await actions(store) == ["key.create"] * 2
    await keeper.remove_key("k1", audited("key.revoke"))
    await keeper.add_key(key("k3"), audited("key.create"))


@ensureDeferred
async def test_acc97_the_last_use_of_keys_is_noted(store: IFlowStore) -> None:
    keeper = store.credentials
    for name in ("k1", "k2", "k3"):
        await keeper.add_key(key(name), audited("key.create"))
    await keeper.keys_used({"k1": T0 + 5.5, "k2": T0 + 6, "none": T0})
    await keeper.keys_used({"k1": T0 + 4})
    await keeper.keys_used({})
    assert [one.used_at for one in await keeper.keys()] == [T0 + 5.5, T0 + 6, None]
    assert await actions(store) == ["key.create"] * 3


# Sessions of who has signed in.


@ensureDeferred
async def test_acc98_a_session_is_found_by_its_cookie(store: IFlowStore) -> None:
    keeper = store.credentials
    odd = SignIn("s2", b"\0\xff", ODD, b'{"x":"\xc3\xa9"}', T0, T0 + 0.5, T0 + 9)
    await keeper.add_sign_in(session("s1"))
    await keeper.add_sign_in(odd)
    assert await keeper.sign_in(b"s1") == session("s1")
    assert await keeper.sign_in(b"\0\xff") == odd
    for unknown in (b"", b"\0", b"s", b"S1"):
        assert await keeper.sign_in(unknown) is None
    assert await actions(store) == []


@ensureDeferred
async def test_acc98_sessions_that_are_over_go_when_another_comes(store: IFlowStore) -> None:
    keeper = store.credentials
    for name, expires_at in [("s1", T0 + 5), ("s2", T0 + 6)]:
        await keeper.add_sign_in(session(name, "ada", expires_at))
    assert (await keeper.sign_in(b"s1")).expires_at == T0 + 5
    await keeper.add_sign_in(structs.replace(session("s3"), created_at=T0 + 5))
    assert await keeper.sign_in(b"s1") is None
    assert (await keeper.sign_in(b"s2")).id == "s2"


@ensureDeferred
async def test_acc98_a_session_is_renewed_while_it_is_there(store: IFlowStore) -> None:
    keeper = store.credentials
    await keeper.add_sign_in(session("s1"))
    await keeper.renew_sign_in("s1", T0 + 7, T0 + 200)
    await keeper.renew_sign_in("s2", T0 + 7, T0 + 200)
    renewed = structs.replace(session("s1"), seen_at=T0 + 7, expires_at=T0 + 200)
    assert await keeper.sign_in(b"s1") == renewed
    assert await keeper.sign_in(b"s2") is None


@ensureDeferred
async def test_acc98_one_session_is_ended_or_all_of_somebody(store: IFlowStore) -> None:
    keeper = store.credentials
    for name, principal in [("s1", "ada"), ("s2", "ada"), ("s3", "ada"), ("s4", ODD)]:
        await keeper.add_sign_in(session(name, principal))
    entry = audited("sign_in.end", "nothing")
    assert await keeper.remove_sign_ins(entry) == 0
    assert await keeper.remove_sign_ins(entry, session_id="s2") == 1
    assert await keeper.remove_sign_ins(entry, session_id="s2") == 0
    assert await keeper.sign_in(b"s2") is None
    assert await keeper.remove_sign_ins(entry, principal_id="ada") == 2
    assert await keeper.sign_in(b"s1") is None
    assert await keeper.remove_sign_ins(entry, principal_id=ODD) == 1
    found = await store.access.audited(None, 9)
    assert found[0].credential == "session:s4"
    assert sorted(one.credential for one in found) == [f"session:s{n}" for n in (1, 2, 3, 4)]
    assert {(one.action, one.actor) for one in found} == {("sign_in.end", ADA)}


# The secret.


@ensureDeferred
async def test_acc98_the_secret_is_made_once(store: IFlowStore, place: Place) -> None:
    keeper = store.credentials
    first = await gatherResults([keeper.secret() for _ in range(5)])
    assert len(set(first)) == 1
    assert len(first[0]) == 32
    await store.stop()
    await refused(StoreUnavailable, keeper.secret())
    again = place.store() if place.durable else store
    await again.start()
    assert await again.credentials.secret() == first[0]
    await again.stop()


@ensureDeferred
async def test_acc98_it_is_all_durable(lasting_place: Place) -> None:
    store = lasting_place.store()
    await store.start()
    await store.credentials.add_key(KEY, audited("key.create"))
    await store.credentials.add_sign_in(session("s1"))
    await store.stop()
    store = lasting_place.store()
    await store.start()
    assert await store.credentials.keys() == [KEY]
    assert await store.credentials.sign_in(b"s1") == session("s1")
    await store.stop()
