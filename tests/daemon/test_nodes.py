"""Two daemons on one PostgreSQL. (docs/spec.md, NOD12 to NOD14, NOD27)"""

from __future__ import annotations

import json
import re
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.daemon import Daemon, run_twistd, start_daemon
from tests.support.nodes import join, read_title, wait_until_heard
from tests.support.postgres import PostgresServer, postgres_server, shared_server, url
from tests.support.valkey import ValkeyServer, mortal_valkey, shared_valkey
from tests.support.watched import eventually, faults_in, get, metric, rest

__all__ = ["mortal_valkey", "postgres_server", "start_daemon", "url"]

StartDaemon = Callable[..., Daemon]

BROKERS = "application_name = 'helix broker'"


class PostgresCarries:
    """Messages go over the store's own database."""

    options: tuple[str, ...] = ()

    def cut(self) -> int:
        """Cut the connections of all brokers, and tell how many there were."""
        ends = f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {BROKERS}"
        return len(shared_server().execute(ends))


class RedisCarries:
    """They go over a server of Redis or Valkey."""

    def __init__(self, server: ValkeyServer) -> None:
        self.server = server
        self.options = ("--broker", server.url(server.number()))

    def cut(self) -> int:
        """Cut the connections of all brokers, and tell how many there were."""
        clients = self.server.ask("CLIENT", "LIST").splitlines()
        ids = [re.findall(r"\bid=(\d+)", one)[0] for one in clients if "name=helix-broker" in one]
        return sum(self.server.ask("CLIENT", "KILL", "ID", one) for one in ids)


Carries = PostgresCarries | RedisCarries


@pytest.fixture(params=["postgresql", "valkey", "redis6"])
def carries(request: pytest.FixtureRequest) -> Carries:
    if request.param == "postgresql":
        return PostgresCarries()
    return RedisCarries(shared_valkey(request.param))


@pytest.fixture
def nodes(start_daemon: StartDaemon, url: str, carries: Carries) -> Iterator[tuple[Daemon, Daemon]]:
    nodes = [start_daemon("--store", url, *carries.options) for _ in range(2)]
    wait_until_heard(nodes)
    yield nodes[0], nodes[1]
    for node in nodes:
        assert not faults_in(node.log)


def test_nod14_an_edit_on_one_node_is_seen_on_the_other_at_once(
    nodes: tuple[Daemon, Daemon],
) -> None:
    here, there = nodes
    rest(here, "POST", "/flows", {"id": "f", "document": {"title": "Old"}})
    with join(here, "ada"), join(there, "bob") as bob:
        eventually(lambda: metric(there, "helix_node_polls_total") > 0, "it listens")
        rest(here, "PATCH", "/flows/f", {"title": "first"})
        assert read_title(bob) == "first"  # at the latest by looking in the store
        took = []
        for number in range(50):
            began = time.monotonic()
            rest(here, "PATCH", "/flows/f", {"title": f"t{number}"})
            assert read_title(bob) == f"t{number}"
            took.append(time.monotonic() - began)
    print(f"p50 {statistics.median(took):.4f} s, largest {max(took):.4f} s")
    assert max(took) < 1.0
    assert metric(here, "helix_node_messages_sent_total") >= 50
    assert metric(there, "helix_node_messages_received_total") >= 50
    for node in nodes:
        status, body = get(node, "/api/status")
        assert (status, json.loads(body)["broker"]) == (200, "up")


def test_nod14_nodes_converge_while_the_broker_is_cut_off_and_after(
    nodes: tuple[Daemon, Daemon], carries: Carries
) -> None:
    here, there = nodes
    rest(here, "POST", "/flows", {"id": "f", "document": {"title": "Old"}})
    with join(here, "ada") as ada, join(there, "bob") as bob:
        for number in range(5):
            assert carries.cut() >= 2
            began = time.monotonic()
            rest(here, "PATCH", "/flows/f", {"title": f"a{number}"})
            assert read_title(bob) == f"a{number}"
            assert read_title(ada) == f"a{number}"
            rest(there, "PATCH", "/flows/f", {"title": f"b{number}"})
            assert read_title(ada) == f"b{number}"
            assert read_title(bob) == f"b{number}"
            assert time.monotonic() - began < 3.0
            status, _ = get(here, "/readyz")
            assert status == 200
            for node in nodes:
                eventually(lambda node=node: metric(node, "helix_broker_up") == 1, "it is back")  # type: ignore[misc]
        documents = [rest(node, "GET", "/flows/f")["document"] for node in nodes]
        assert documents[0] == documents[1]


def test_nod27_edits_cross_while_valkey_restarts(
    start_daemon: StartDaemon, url: str, mortal_valkey: ValkeyServer
) -> None:
    options = ("--store", url, "--broker", mortal_valkey.url())
    here, there = start_daemon(*options), start_daemon(*options)
    rest(here, "POST", "/flows", {"id": "f", "document": {"title": "Old"}})
    with join(there, "bob") as bob:
        for number, step in enumerate([lambda: None, mortal_valkey.stop, mortal_valkey.start]):
            step()
            up = number != 1
            for node in (here, there):
                eventually(lambda: metric(node, "helix_broker_up") == up, "it knows")  # noqa: B023
            status = json.loads(get(there, "/api/status")[1])
            assert status["broker"] == ("up" if up else "away")
            rest(here, "PATCH", "/flows/f", {"title": f"a{number}"})
            assert read_title(bob) == f"a{number}"
    for node in (here, there):
        assert not faults_in(node.log)


def test_nod12_without_a_broker_there_is_no_connection_for_it(
    start_daemon: StartDaemon, url: str, postgres_server: PostgresServer
) -> None:
    before = len(postgres_server.execute(f"SELECT 1 FROM pg_stat_activity WHERE {BROKERS}"))
    alone = start_daemon("--store", url, "--broker", "none")
    eventually(lambda: get(alone, "/readyz")[0] == 200, "it is ready")
    assert json.loads(get(alone, "/api/status")[1])["broker"] == "none"
    assert b"helix_broker_up NaN" in get(alone, "/metrics")[1]
    after = len(postgres_server.execute(f"SELECT 1 FROM pg_stat_activity WHERE {BROKERS}"))
    assert after == before


@pytest.mark.parametrize("store", ["memory:", "sqlite:flows.db"])
@pytest.mark.parametrize("broker", ["postgresql", "redis://u:secret@h"])
def test_nod12_a_broker_needs_a_store_that_nodes_share(
    tmp_path: Path, store: str, broker: str
) -> None:
    ended = run_twistd(tmp_path, "--store", store, "--broker", broker)
    assert ended.returncode == 1
    assert ended.stderr.startswith("twistd helix: --broker: it needs --store postgresql://")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "address", ["postgresql://u:secret@x@y/z", "redis://u:secret@x/y", "redis:secret"]
)
def test_nod12_an_address_of_the_broker_shows_no_password(tmp_path: Path, address: str) -> None:
    options = ("--store", "postgresql://a@b/c", "--broker", address)
    ended = run_twistd(tmp_path, *options)
    assert ended.returncode == 1
    assert ended.stderr.startswith("twistd helix: --broker: ")
    assert "secret" not in ended.stderr
