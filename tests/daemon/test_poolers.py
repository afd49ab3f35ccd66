"""Daemons and commands with PgBouncer before PostgreSQL. (docs/spec.md, NOD100, NOD102, NOD103)"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.test_cli import Cli
from tests.support.daemon import Daemon, run_twistd, start_daemon
from tests.support.nodes import join, read_title, wait_until_heard
from tests.support.pooler import needs_pgbouncer, running_pgbouncer
from tests.support.postgres import PostgresServer, postgres_server, url
from tests.support.watched import eventually, faults_in, get, rest

__all__ = ["postgres_server", "start_daemon", "url"]

pytestmark = needs_pgbouncer

StartDaemon = Callable[..., Daemon]


@pytest.fixture(params=["session", "transaction"])
def pooled(
    request: pytest.FixtureRequest, postgres_server: PostgresServer, url: str, tmp_path: Path
) -> Iterator[str]:
    """The URL of an empty schema through PgBouncer in a mode."""
    with running_pgbouncer(tmp_path, postgres_server, request.param) as port:
        yield url.replace(str(postgres_server.port), str(port))


@pytest.fixture
def nodes(
    request: pytest.FixtureRequest, start_daemon: StartDaemon, pooled: str, url: str
) -> Iterator[tuple[Daemon, Daemon]]:
    """Two nodes; in transaction mode messages go around the pooler."""
    mode = request.node.callspec.params["pooled"]
    broker = "auto" if mode == "session" else url
    options = ("--store", pooled, "--broker", broker)
    nodes = start_daemon(*options), start_daemon(*options)
    wait_until_heard(nodes)
    yield nodes
    for node in nodes:
        assert not faults_in(node.log)


def test_nod100_two_daemons_and_all_commands_work_through_pgbouncer(
    nodes: tuple[Daemon, Daemon], pooled: str, tmp_path: Path
) -> None:
    here, there = nodes
    rest(here, "POST", "/flows", {"id": "f", "document": {"title": "Old"}})
    with join(here, "ada") as ada, join(there, "bob") as bob:
        for number in range(10):
            rest(here, "PATCH", "/flows/f", {"title": f"a{number}"})
            assert read_title(bob) == read_title(ada) == f"a{number}"
            rest(there, "PATCH", "/flows/f", {"title": f"b{number}"})
            assert read_title(ada) == read_title(bob) == f"b{number}"
    cli = Cli(tmp_path, f"http://{here.address}", {"HELIX_STORE": pooled})
    assert "1 flow, 21 entries: no difference" in cli.run("verify").stdout
    cli.run("access", "grant", "ada", "editor", "f")
    assert "ada" in cli.run("access", "show", "f").stdout
    assert cli.run("keys", "create", "--name", "robot").stdout
    cli.run("export", "f", "--output", "f.json")
    made = cli.run("import", "f.json").stdout.strip()
    assert rest(there, "GET", f"/flows/{made}")["document"]["title"] == "b9"
    for node in nodes:
        node.stop()
    cli.run("new-epoch")
    assert "2 flows, 22 entries: no difference" in cli.run("verify").stdout


def test_nod103_without_an_address_around_the_pooler_nodes_look_once_a_second(
    start_daemon: StartDaemon, postgres_server: PostgresServer, url: str, tmp_path: Path
) -> None:
    with running_pgbouncer(tmp_path, postgres_server, "transaction") as port:
        pooled = url.replace(str(postgres_server.port), str(port))
        here, there = start_daemon("--store", pooled), start_daemon("--store", pooled)
        for node in (here, there):
            eventually(lambda node=node: "pool_mode = transaction" in node.log, "it says why")  # type: ignore[misc]
            assert json.loads(get(node, "/api/status")[1])["broker"] == "away"
            assert get(node, "/readyz")[0] == 200
        rest(here, "POST", "/flows", {"id": "f", "document": {"title": "Old"}})
        with join(there, "bob") as bob:
            rest(here, "PATCH", "/flows/f", {"title": "new"})
            assert read_title(bob) == "new"
        for node in (here, there):
            assert not faults_in(node.log)
            node.stop()


def test_nod102_a_daemon_on_a_pool_of_statements_does_not_start(
    postgres_server: PostgresServer, url: str, tmp_path: Path
) -> None:
    with running_pgbouncer(tmp_path, postgres_server, "statement") as port:
        pooled = url.replace(str(postgres_server.port), str(port))
        ended = run_twistd(tmp_path, "--store", pooled, "--listen", "tcp:0:interface=127.0.0.1")
    assert ended.returncode == 1
    assert "pool_mode = statement" in ended.stdout
