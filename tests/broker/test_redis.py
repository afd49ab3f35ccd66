"""The broker over Redis and Valkey. (docs/spec.md, NOD20 to NOD29)"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

import attrs
import pytest
from OpenSSL import SSL
from pytest_twisted import async_yield_fixture, ensureDeferred
from twisted.internet.defer import succeed
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import Certificate, DefaultOpenSSLContextFactory
from twisted.protocols.portforward import ProxyFactory

from helix.broker import echo
from helix.broker.carrier import AT_ONCE, MAX_WAITING_BYTES
from helix.broker.redis import wire
from helix.broker.redis.address import RedisAddress
from helix.broker.redis.broker import RedisBroker, _RedisLink
from helix.broker.redis.failures import RIGHTS, explain
from helix.errors import StoreError, StoreUnavailable
from tests.broker.test_contract import Ear, Party, reactor, until
from tests.support.certificates import write_certificate
from tests.support.daemon import free_port
from tests.support.logs import Log, logged
from tests.support.postgres import wait_until
from tests.support.tokens import ec_key, private_pem
from tests.support.valkey import ValkeyServer, make_server, mortal_valkey, shared_valkey

__all__ = ["logged", "mortal_valkey"]

PASSWORD = "s3cret of the guard"

SECRET = b"what nodes on one store share..."


def broker_of(url: str, secret: bytes = SECRET) -> RedisBroker:
    return RedisBroker(url, reactor, Random(), lambda: succeed(secret))


def party_of(url: str, secret: bytes = SECRET) -> Party:
    return Party(lambda: broker_of(url, secret))


async def end(*parties: Party) -> None:
    for party in parties:
        for broker in party.brokers:
            await broker.stop()


def told_of(log: Log) -> list[str]:
    """What the log says for people of brokers, each once for each time that it was said."""
    events = [one for one in log.events if one["log_namespace"].startswith("helix.broker")]
    return [one["log_format"].format(**one) for one in events]


@pytest.fixture
def url() -> str:
    """A database of the shared server."""
    server = shared_valkey()
    return server.url(server.number())


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection is tried often, and little is waited for."""
    monkeypatch.setattr(echo, "ECHO_SECONDS", 0.1)
    monkeypatch.setattr(echo, "ECHO_PATIENCE", 0.3)
    monkeypatch.setattr(wire, "PATIENCE", 0.3)


# NOD20: the address


@pytest.mark.parametrize(
    "url",
    [
        "redis://",
        "redis://:6379",
        f"redis://u:{PASSWORD}@host:port",
        f"redis://u:{PASSWORD}/x@host",
        f"redis://u:{PASSWORD}#x@host",
        f"redis://u:{PASSWORD}?x@host",
        f"redis://u:{PASSWORD}@host/name",
        f"redis://u:{PASSWORD}@host?ssl_ca_certs=x",
        f"rediss://u:{PASSWORD}@host?ssl_cert_reqs=none",
        f"rediss://u:{PASSWORD}@host?ssl_certfile=x",
        f"rediss://u:{PASSWORD}@host?ssl_ca_certs=/nowhere",
        f"rediss://u:{PASSWORD}@[host",
        f"redis://u:{PASSWORD}@host:99999",
    ],
)
def test_nod20_an_address_that_cannot_be_read_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(StoreError) as caught:
        broker_of(url)
    assert PASSWORD not in str(caught.value)


def test_nod20_an_address_is_taken_apart() -> None:
    address = RedisAddress.parse("rediss://ann:p%40ss%2F@cache.example.com:7000/3")
    assert (address.host, address.port, address.number) == ("cache.example.com", 7000, 3)
    assert (address.user, address.password, address.is_tls) == ("ann", "p@ss/", True)
    assert "p@ss/" not in f"{address} {address!r}"
    assert str(address) == "Redis at cache.example.com:7000"
    plain = RedisAddress.parse("redis://:pw@[::1]")
    assert (plain.host, plain.port, plain.user, plain.password) == ("::1", 6379, "", "pw")
    assert str(plain) == "Redis at [::1]:6379"
    assert RedisAddress.parse("redis://h").password is None
    assert RedisAddress.parse("redis://ann@h").password == ""


# NOD21: who hears whom


@ensureDeferred
async def test_nod21_other_stores_on_the_server_are_not_heard(url: str) -> None:
    here = party_of(url)
    strangers = [party_of(url, b"another store"), party_of(url + "0")]
    one, _ = await here.join()
    _, other = await here.join("a")
    ears = [(await stranger.join("a"))[1] for stranger in strangers]
    for number in range(2):
        one.publish("a", b"1")
        await until(lambda number=number: len(other.messages) > number)  # type: ignore[misc]
    assert [ear.messages for ear in ears] == [[], []]
    await end(here, *strangers)


@ensureDeferred
async def test_nod21_a_node_does_not_hear_itself(url: str) -> None:
    party = party_of(url)
    one, own = await party.join("a")
    other, _ = await party.join("a")
    one.publish("a", b"1")
    other.publish("a", b"2")
    await until(lambda: bool(own.messages))
    one.publish("a", b"3")
    other.publish("a", b"4")
    await until(lambda: len(own.messages) > 1)
    assert own.messages == [("a", b"2"), ("a", b"4")]
    await end(party)


@ensureDeferred
async def test_nod21_what_somebody_else_puts_on_a_channel_does_no_harm(url: str) -> None:
    party = party_of(url)
    one, ear = await party.join("a")
    channel: str = one._link.channel("a")  # type: ignore[attr-defined]
    own: str = one._link.own_channel  # type: ignore[attr-defined]
    for text in ("", "short", "\0" * 100):
        shared_valkey().ask("SPUBLISH", channel, text)
        shared_valkey().ask("SPUBLISH", own, text)
    await until(lambda: len(ear.messages) == 3)
    assert ear.states == [True]
    await end(party)


# NOD22: sharded channels, and what servers do without


def channels_of(server: ValkeyServer, kind: str) -> list[str]:
    return [one for one in server.ask("PUBSUB", kind) if one.startswith("helix:{")]


@ensureDeferred
async def test_nod22_channels_are_sharded_where_the_server_has_such(
    mortal_valkey: ValkeyServer,
) -> None:
    party = party_of(mortal_valkey.url())
    await party.join("a", "b")
    assert len(channels_of(mortal_valkey, "SHARDCHANNELS")) == 3
    assert channels_of(mortal_valkey, "CHANNELS") == []
    slots = {mortal_valkey_slot(one) for one in channels_of(mortal_valkey, "SHARDCHANNELS")}
    assert len(slots) == 1
    await end(party)


def mortal_valkey_slot(channel: str) -> str:
    """What of a channel's name says where in a cluster it is."""
    return channel[channel.index("{") : channel.index("}")]


@ensureDeferred
async def test_nod22_redis_6_has_plain_channels() -> None:
    server = shared_valkey("redis6")
    party = party_of(server.url(server.number()))
    before = len(channels_of(server, "CHANNELS"))
    await party.join("a", "b")
    assert len(channels_of(server, "CHANNELS")) == before + 3
    await end(party)


@ensureDeferred
async def test_nod22_a_server_need_not_say_what_it_is() -> None:
    with ExitStack() as stack:
        server = make_server(stack.callback, "valkey", "--rename-command", "HELLO", "")
        party = party_of(server.url())
        one, _ = await party.join()
        _, ear = await party.join("a")
        one.publish("a", b"1")
        await until(lambda: bool(ear.messages))
        await end(party)


@attrs.frozen
class Cluster:
    """Two servers, each of which has half of the slots."""

    one: ValkeyServer
    other: ValkeyServer

    def is_whole(self) -> bool:
        infos = [server.ask("CLUSTER", "INFO") for server in (self.one, self.other)]
        return all("cluster_state:ok" in info and "cluster_known_nodes:2" in info for info in infos)

    def move(self, slot: int) -> None:
        """Give a slot from the server that has it to the one that hasn't."""
        ids = [server.ask("CLUSTER", "MYID") for server in (self.one, self.other)]
        to = slot < HALF
        for server in (self.other, self.one) if to else (self.one, self.other):
            server.ask("CLUSTER", "SETSLOT", slot, "NODE", ids[to])


SLOTS = 16384

HALF = SLOTS // 2


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with ExitStack() as stack:
        bus = free_port()
        options = ("--cluster-enabled", "yes", "--cluster-port")
        one = make_server(stack.callback, "valkey", *options, str(free_port()))
        other = make_server(stack.callback, "valkey", *options, str(bus))
        one.ask("CLUSTER", "ADDSLOTSRANGE", 0, HALF - 1)
        other.ask("CLUSTER", "ADDSLOTSRANGE", HALF, SLOTS - 1)
        one.ask("CLUSTER", "MEET", "127.0.0.1", other.port, bus)
        made = Cluster(one, other)
        wait_until(made.is_whole, 20.0, "The meeting of the cluster")
        yield made


@ensureDeferred
async def test_nod25_a_cluster_leads_all_nodes_to_the_server_that_has_the_store(
    cluster: Cluster, logged: Log
) -> None:
    parties = party_of(cluster.one.url()), party_of(cluster.other.url())
    joined = [await party.join("a") for party in parties]
    slot = int(cluster.one.ask("CLUSTER", "KEYSLOT", joined[0][0]._link.own_channel))  # type: ignore[attr-defined]
    for moves in range(3):
        for number, (broker, _) in enumerate(joined):
            broker.publish("a", b"%d" % (10 * moves + number))
        expected = [("a", b"%d" % (10 * moves + number)) for number in (1, 0)]
        await until(lambda: [ear.messages[-1:] for _, ear in joined] == [[one] for one in expected])  # noqa: B023
        cluster.move(slot)
        await until(lambda: [len(ear.states) for _, ear in joined] == [2 * moves + 3] * 2)  # noqa: B023
    assert joined[0][1].states == [True, *[False, True] * 3]
    await end(*parties)
    assert all("ended a subscription" in one or "leaves" in one for one in told_of(logged))


@pytest.mark.parametrize("rights", ["+@pubsub", "+@pubsub -ssubscribe"])
@ensureDeferred
async def test_nod22_a_user_needs_no_other_rights(
    rights: str, mortal_valkey: ValkeyServer, logged: Log
) -> None:
    given = [*RIGHTS.replace("+@pubsub", rights).split(), f">{PASSWORD.replace(' ', '')}", "on"]
    mortal_valkey.ask("ACL", "SETUSER", "helix", *given)
    party = party_of(mortal_valkey.url(who=f"helix:{PASSWORD.replace(' ', '')}@"))
    one, _ = await party.join()
    _, ear = await party.join("a")
    one.publish("a", b"1")
    await until(lambda: bool(ear.messages))
    sharded = len(channels_of(mortal_valkey, "SHARDCHANNELS"))
    assert sharded == (0 if "-" in rights else 3)
    assert told_of(logged) == []
    await end(party)


# NOD26: TLS


class Encrypted:
    """
    Ends TLS in front of a server, whose build has none.

    :ivar certificate: of this end, in PEM; it is its own authority.
    """

    def __init__(self, server: ValkeyServer, directory: Path, host: str = "127.0.0.1") -> None:
        self._host = host
        self.certificate = write_certificate(directory / "server.pem")
        context = DefaultOpenSSLContextFactory(str(self.certificate), str(self.certificate))
        self.context = context.getContext()
        factory = ProxyFactory("127.0.0.1", server.port)
        factory.noisy = False
        self.listening: IListeningPort = reactor.listenSSL(0, factory, context, interface=host)

    def url(self, query: str = "", host: str = "") -> str:
        return f"rediss://{host or self._host}:{self.listening.getHost().port}/{query}"


@async_yield_fixture
async def encrypted(tmp_path: Path) -> AsyncIterator[Encrypted]:
    made = Encrypted(shared_valkey(), tmp_path)
    yield made
    await made.listening.stopListening()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@ensureDeferred
async def test_nod26_messages_go_over_tls(host: str, encrypted: Encrypted) -> None:
    party = party_of(encrypted.url(f"?ssl_ca_certs={encrypted.certificate}", host))
    one, _ = await party.join()
    _, ear = await party.join("a")
    message = b'"%s"' % (b"x" * (one.max_bytes - 2))
    one.publish("a", message)
    await until(lambda: ear.messages == [("a", message)])
    await end(party)


@ensureDeferred
async def test_nod26_a_certificate_that_nobody_vouches_for_is_not_trusted(
    encrypted: Encrypted, logged: Log
) -> None:
    broker, ear = broker_of(encrypted.url()), Ear()
    broker.start(ear)
    await until(lambda: bool(told_of(logged)))
    await broker.stop()
    assert "certificate verify failed" in told_of(logged)[0]
    assert ear.states == []


@ensureDeferred
async def test_nod26_a_certificate_of_another_host_is_not_trusted(
    tmp_path: Path, logged: Log
) -> None:
    elsewhere = Encrypted(shared_valkey(), tmp_path, "127.0.0.2")
    broker, ear = broker_of(elsewhere.url(f"?ssl_ca_certs={elsewhere.certificate}")), Ear()
    broker.start(ear)
    await until(lambda: bool(told_of(logged)))
    await broker.stop()
    await elsewhere.listening.stopListening()
    assert "a certificate of another host" in told_of(logged)[0]
    assert ear.states == []


@pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")  # Twisted does
@ensureDeferred
async def test_nod26_it_shows_a_certificate_of_its_own_where_one_is_wanted(
    encrypted: Encrypted, tmp_path: Path, logged: Log
) -> None:
    own = write_certificate(tmp_path / "own.pem")
    encrypted.context.get_cert_store().add_cert(Certificate.loadPEM(own.read_bytes()).original)
    encrypted.context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT)
    trust = f"?ssl_ca_certs={encrypted.certificate}"
    unknown, ear = broker_of(encrypted.url(trust)), Ear()
    unknown.start(ear)
    await until(lambda: bool(told_of(logged)))
    await unknown.stop()
    assert ear.states == []
    party = party_of(encrypted.url(f"{trust}&ssl_certfile={own}&ssl_keyfile={own}"))
    await party.join("a")
    await end(party)


def test_nod26_a_key_must_be_that_of_the_certificate(tmp_path: Path) -> None:
    one, other = write_certificate(tmp_path / "one"), tmp_path / "other"
    other.write_bytes(private_pem(ec_key("secp384r1")))
    broker_of(f"rediss://host?ssl_certfile={one}&ssl_keyfile={one}")
    with pytest.raises(StoreError, match="A file of certificates or of a key"):
        broker_of(f"rediss://host?ssl_certfile={one}&ssl_keyfile={other}")


@ensureDeferred
async def test_nod26_a_server_without_tls_is_told_of(quick: None, url: str, logged: Log) -> None:
    broker = broker_of(url.replace("redis:", "rediss:"))
    broker.start(Ear())
    await until(lambda: bool(told_of(logged)))
    await broker.stop()
    assert told_of(logged)[0].endswith("doesn't answer in time")


# NOD23: what comes back


@ensureDeferred
async def test_nod23_a_server_that_restarts_is_found_again_with_all_topics(
    mortal_valkey: ValkeyServer,
) -> None:
    party = party_of(mortal_valkey.url())
    topics = [f"t{number}" for number in range(2 * AT_ONCE + 20)]
    one, own = await party.join()
    other, ear = await party.join(*topics)
    mortal_valkey.stop()
    await until(lambda: [ear.states, own.states] == [[True, False]] * 2)
    one.publish(topics[0], b'"lost"')
    other.unsubscribe(topics.pop())
    other.subscribe("new")
    ear.topics.clear()
    mortal_valkey.start()
    await until(lambda: [ear.states, own.states] == [[True, False, True]] * 2)
    assert ear.topics == [*topics, "new"]
    for topic in (topics[0], topics[-1], "new"):
        one.publish(topic, b"1")
    await until(lambda: len(ear.messages) >= 3)
    assert ear.messages == [(topic, b"1") for topic in (topics[0], topics[-1], "new")]
    await end(party)


class Checking(Ear):
    """Asks the server, whenever it is told that it hears a topic, whether the server knows."""

    def __init__(self, server: ValkeyServer, channel: Callable[[str], str]) -> None:
        super().__init__()
        self._server = server
        self._channel = channel
        self.numbers: list[int] = []

    def subscribed(self, topics: Sequence[str]) -> None:
        super().subscribed(topics)
        channels = [self._channel(topic) for topic in topics]
        if channels:
            self.numbers += self._server.ask("PUBSUB", "SHARDNUMSUB", *channels)[1::2]


@ensureDeferred
async def test_nod23_a_topic_is_told_as_heard_once_the_server_has_confirmed_it(
    mortal_valkey: ValkeyServer,
) -> None:
    broker = broker_of(mortal_valkey.url())
    ear = Checking(mortal_valkey, lambda topic: str(broker._link.channel(topic)))  # type: ignore[union-attr]
    broker.subscribe("a")
    broker.start(ear)
    await until(lambda: broker.is_up)
    broker.subscribe("b")
    await until(lambda: ear.topics == ["a", "b"])
    mortal_valkey.ask("CLIENT", "KILL", "TYPE", "pubsub")
    await until(lambda: len(ear.topics) == 4)
    assert ear.numbers == [1] * 4
    await broker.stop()


@pytest.mark.parametrize("kind", ["normal", "pubsub"])
@ensureDeferred
async def test_nod23_either_connection_that_is_killed_is_replaced(
    kind: str, mortal_valkey: ValkeyServer
) -> None:
    party = party_of(mortal_valkey.url())
    one, ear = await party.join("a")
    mortal_valkey.ask("CLIENT", "KILL", "TYPE", kind)
    await until(lambda: ear.states == [True, False, True])
    one.subscribe("b")
    await until(lambda: ear.topics == ["a", "a", "b"])
    await end(party)


@ensureDeferred
async def test_nod23_a_server_that_falls_silent_is_noticed(
    quick: None, mortal_valkey: ValkeyServer, logged: Log
) -> None:
    party = party_of(mortal_valkey.url())
    broker, ear = await party.join("a")
    mortal_valkey.freeze()
    await until(lambda: ear.states == [True, False])
    assert not broker.is_up
    mortal_valkey.thaw()
    await until(lambda: ear.states == [True, False, True])
    assert told_of(logged)[0].endswith(("brings none back", "doesn't answer in time"))
    await end(party)


@ensureDeferred
async def test_nod23_a_server_that_is_silent_from_the_start_is_given_up(
    quick: None, mortal_valkey: ValkeyServer, logged: Log
) -> None:
    mortal_valkey.freeze()
    broker, ear = broker_of(mortal_valkey.url()), Ear()
    broker.start(ear)
    await until(lambda: bool(told_of(logged)))
    mortal_valkey.thaw()
    await until(lambda: ear.states == [True])
    assert told_of(logged)[0].endswith("doesn't answer in time")
    await broker.stop()


@ensureDeferred
async def test_nod23_where_messages_do_not_come_it_is_not_up(
    quick: None, monkeypatch: pytest.MonkeyPatch, url: str, logged: Log
) -> None:
    """As behind something that sends each connection to another server."""
    monkeypatch.setattr(wire.Wire, "_MESSAGES", (), raising=False)
    monkeypatch.setattr(wire, "_MESSAGES", ())
    broker, ear = broker_of(url), Ear()
    broker.start(ear)
    await until(lambda: bool(told_of(logged)))
    assert told_of(logged)[0].endswith("takes messages to other nodes, and brings none back")
    assert ear.states == []
    await broker.stop()


@ensureDeferred
async def test_nod23_a_slow_reader_is_cut_off_by_the_server_and_comes_back(
    mortal_valkey: ValkeyServer,
) -> None:
    mortal_valkey.ask("CONFIG", "SET", "client-output-buffer-limit", "pubsub 1mb 0 0")
    party = party_of(mortal_valkey.url())
    one, own = await party.join()
    slow, ear = await party.join("a")
    transport = slow._link._wires[0].transport  # type: ignore[attr-defined]
    transport.pauseProducing()
    message = b'"%s"' % (b"x" * 400_000)

    def is_cut_off() -> bool:
        if not one._waiting_bytes:  # type: ignore[attr-defined]
            one.publish("a", message)
        return str(mortal_valkey.ask("CLIENT", "LIST")).count("name=helix-broker") < 4

    await until(is_cut_off)
    transport.resumeProducing()
    await until(lambda: ear.states == [True, False, True])
    assert own.states == [True]
    await end(party)


@ensureDeferred
async def test_nod23_it_gives_up_a_connection_that_is_too_slow(
    mortal_valkey: ValkeyServer, logged: Log
) -> None:
    party = party_of(mortal_valkey.url())
    broker, ear = await party.join()
    mortal_valkey.freeze()
    message = b'"%s"' % (b"x" * 500_000)
    for _ in range(MAX_WAITING_BYTES // len(message) + 1):
        broker.publish("a", message)
    await until(lambda: ear.states == [True, False])
    assert "is too slow with messages to other nodes" in told_of(logged)[0]
    mortal_valkey.thaw()
    await until(lambda: ear.states == [True, False, True])
    await end(party)


@ensureDeferred
async def test_nod23_ten_thousand_subscriptions_come_back(mortal_valkey: ValkeyServer) -> None:
    party = party_of(mortal_valkey.url())
    topics = [f"flow {number}" for number in range(10_000)]
    one, _ = await party.join()
    _, ear = await party.join(*topics)
    ear.topics.clear()
    mortal_valkey.ask("CLIENT", "KILL", "TYPE", "pubsub")
    await until(lambda: ear.topics == topics and one.is_up, 30.0)
    for topic in topics:
        one.publish(topic, b"1")
    await until(lambda: len(ear.messages) == len(topics), 30.0)
    await end(party)


@ensureDeferred
async def test_nod23_a_stop_does_not_wait_for_a_server_that_is_away_or_silent(
    mortal_valkey: ValkeyServer,
) -> None:
    party = party_of(mortal_valkey.url())
    await party.join("a")
    mortal_valkey.freeze()
    coming = broker_of(mortal_valkey.url())
    coming.start(Ear())
    began = reactor.seconds()
    await coming.stop()
    assert reactor.seconds() - began < 0.5
    party.brokers[0].publish("a", b"1")
    await end(party)
    assert reactor.seconds() - began < 2.0
    mortal_valkey.stop()
    away = broker_of(mortal_valkey.url())
    away.start(Ear())
    await away.stop()


class Silent(Protocol):
    """A server that takes connections, and says nothing."""

    def connectionMade(self) -> None:
        assert self.factory is not None
        self.factory.connections.append(self)  # type: ignore[attr-defined]


@ensureDeferred
async def test_nod23_a_stop_does_not_wait_for_an_answer() -> None:
    factory = Factory.forProtocol(Silent)
    factory.connections = connections = []  # type: ignore[attr-defined, var-annotated]
    port: Any = reactor.listenTCP(0, factory, interface="127.0.0.1")
    broker = broker_of(f"redis://127.0.0.1:{port.getHost().port}")
    broker.start(Ear())
    await until(lambda: bool(connections))
    began = reactor.seconds()
    await broker.stop()
    assert reactor.seconds() - began < 2.0
    await port.stopListening()


@ensureDeferred
async def test_nod23_a_connection_that_is_lost_takes_the_other_one_with_it(url: str) -> None:
    """Also if it is lost while the other one is made."""
    link = _RedisLink("scope", b"12345678", lambda *_: None)
    wires = [
        await wire.connect(reactor, reactor, RedisAddress.parse(url), link.told) for _ in range(2)
    ]
    link.use(wires[0])
    wires[0].discard()
    assert link.is_gone
    link.use(wires[1])
    assert wires[1].is_gone


@ensureDeferred
async def test_nod23_it_waits_for_the_store(mortal_valkey: ValkeyServer, logged: Log) -> None:
    answers: list[Callable[[], Awaitable[bytes]]] = [
        lambda: fails(StoreUnavailable()),
        lambda: succeed(SECRET),
    ]
    broker, ear = (
        RedisBroker(mortal_valkey.url(), reactor, Random(), lambda: answers.pop(0)()),
        Ear(),
    )
    broker.start(ear)
    await until(lambda: ear.states == [True])
    assert told_of(logged)[0] == "The store can't be reached, try again later"
    await broker.stop()


async def fails(error: Exception) -> bytes:
    raise error


# NOD24: what is wrong is said once


@pytest.mark.parametrize("who", ["", ":wrong@", "nobody:wrong@"])
@ensureDeferred
async def test_nod24_a_wrong_password_is_told_once_and_tried_again(
    who: str, mortal_valkey: ValkeyServer, logged: Log
) -> None:
    mortal_valkey.ask("ACL", "SETUSER", "nobody", "on", "~*", "&*", "+@all", ">right")
    mortal_valkey.ask("CONFIG", "SET", "requirepass", "right")
    mortal_valkey.sign_in("right")
    broker, ear = broker_of(mortal_valkey.url(who=who)), Ear()
    broker.start(ear)
    await until(lambda: broker._links._pause > 0.4)  # type: ignore[attr-defined]
    [told] = told_of(logged)
    words = "doesn't take the user and the password" if who else "wants a password"
    assert words in told
    assert ear.states == []
    mortal_valkey.ask("ACL", "SETUSER", "nobody", ">wrong")
    mortal_valkey.ask("CONFIG", "SET", "requirepass", "wrong" if who else "")
    await until(lambda: ear.states == [True])
    assert told_of(logged)[1:] == [f"Redis at 127.0.0.1:{mortal_valkey.port} can be reached again"]
    await broker.stop()
    assert "wrong" not in logged.text


@ensureDeferred
async def test_nod24_a_password_that_the_server_does_not_want_is_told(
    url: str, logged: Log
) -> None:
    broker = broker_of(url.replace("redis://", "redis://:unwanted@"))
    broker.start(Ear())
    await until(lambda: bool(told_of(logged)))
    await broker.stop()
    assert told_of(logged)[0].endswith("has no password, but the URL does")
    assert "unwanted" not in logged.text


@ensureDeferred
async def test_nod24_a_server_that_repeats_the_password_is_not_quoted(logged: Log) -> None:
    with ExitStack() as stack:
        server = make_server(stack.callback, "valkey", "--rename-command", "AUTH", "")
        broker = broker_of(server.url(who="helix:unseen@"))
        broker.start(Ear())
        await until(lambda: bool(told_of(logged)))
        await broker.stop()
    told = explain("ERR no such thing as 'unseen'", RedisAddress("host"))
    assert "unseen" not in f"{logged.text} {told}"


@ensureDeferred
async def test_nod24_a_user_without_rights_is_told_which(
    mortal_valkey: ValkeyServer, logged: Log
) -> None:
    mortal_valkey.ask("ACL", "SETUSER", "helix", "on", ">pw", "+@pubsub", "resetchannels", "&x")
    broker = broker_of(mortal_valkey.url(who="helix:pw@"))
    broker.start(Ear())
    await until(lambda: bool(told_of(logged)))
    await broker.stop()
    [told] = told_of(logged)
    assert told.endswith(f"doesn't let this user publish and subscribe; it needs {RIGHTS}")


@ensureDeferred
async def test_nod24_a_server_that_copies_another_is_not_used(
    quick: None, mortal_valkey: ValkeyServer, logged: Log
) -> None:
    party = party_of(mortal_valkey.url())
    _, ear = await party.join("a")
    mortal_valkey.ask("REPLICAOF", "127.0.0.1", shared_valkey().port)
    await until(lambda: ear.states == [True, False])
    await until(lambda: "only copies another server" in " ".join(told_of(logged)))
    mortal_valkey.ask("REPLICAOF", "NO", "ONE")
    await until(lambda: ear.states == [True, False, True])
    await end(party)


@ensureDeferred
async def test_nod24_nobody_at_the_address_is_told_once(
    mortal_valkey: ValkeyServer, logged: Log
) -> None:
    mortal_valkey.stop()
    broker, ear = broker_of(mortal_valkey.url()), Ear()
    broker.start(ear)
    await until(lambda: broker._links._pause > 0.4)  # type: ignore[attr-defined]
    [told] = told_of(logged)
    assert told.startswith(f"Redis at 127.0.0.1:{mortal_valkey.port} can't be reached: ")
    mortal_valkey.start()
    await until(lambda: ear.states == [True])
    await broker.stop()


class Talkative(Protocol):
    """A server of another kind."""

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@ensureDeferred
async def test_nod24_a_server_of_another_kind_is_told_of(logged: Log) -> None:
    port: Any = reactor.listenTCP(0, Factory.forProtocol(Talkative), interface="127.0.0.1")
    broker = broker_of(f"redis://127.0.0.1:{port.getHost().port}")
    broker.start(Ear())
    await until(lambda: bool(told_of(logged)))
    await broker.stop()
    await port.stopListening()
    assert told_of(logged)[0].endswith("doesn't speak as Redis does")
