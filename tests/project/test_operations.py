"""The page for operators: its tables, its examples, and its commands, as they are written there."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from configparser import RawConfigParser
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import yaml

from helix.config import SETTINGS, check_workers, read_config
from helix.tap import Options
from helix.telemetry.events import Telemetry
from helix.telemetry.metrics import Metrics
from helix.workers.figures import FAMILIES
from tests.support.daemon import Daemon, start_daemon
from tests.support.postgres import program, shared_server
from tests.support.rawsocket import RawWebSocket
from tests.support.watched import eventually, get, rest

__all__ = ["start_daemon"]

DOCS = Path(__file__).resolve().parents[2] / "docs"
EXAMPLES = DOCS / "examples"
PAGE = (DOCS / "operations.md").read_text("utf-8")
HELIX = str(Path(sys.executable).with_name("helix"))


def families() -> dict[str, str]:
    """The kinds of all metrics that there are, by name."""
    text = Metrics(Telemetry()).exposition().decode()
    return {
        name: kind
        for name, kind in re.findall(r"^# TYPE (\S+) (\w+)$", text, re.MULTILINE)
        if not name.endswith("_created")
    }


def test_ops14_every_metric_is_explained_and_no_other() -> None:
    told = re.findall(r"^\| `((?:helix|process|python)_\w+)`", PAGE, re.MULTILINE)
    assert len(told) == len(set(told))
    assert set(told) == {*families(), *FAMILIES}


def test_ops14_labels_are_those_of_the_metrics() -> None:
    for name, label in re.findall(r"^\| `(helix_\w+)`(?:, `\{(\w+)\}`)? \|", PAGE, re.MULTILINE):
        told = [label] if label else []
        if name in FAMILIES:
            assert label == ("" if name == "helix_workers" else "worker")
            continue
        known = Metrics(Telemetry())._registry._names_to_collectors[name]
        assert list(getattr(known, "_labelnames", ())) == told, name


def rules() -> list[dict[str, Any]]:
    loaded = yaml.safe_load((EXAMPLES / "alerts.yaml").read_text("utf-8"))
    return [rule for group in loaded["groups"] for rule in group["rules"]]


def test_ops14_alerts_name_metrics_that_exist() -> None:
    known = {*families(), *FAMILIES, "up"}
    for rule in rules():
        named = set(re.findall(r"\b(?:helix|process|python)_\w+", rule["expr"]))
        assert named <= known, rule["alert"]
        assert named or "up{" in rule["expr"]
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("page", "warn")


def test_ops14_every_alert_says_what_to_do() -> None:
    told = re.findall(r"^\| `(Helix\w+)` \|", PAGE, re.MULTILINE)
    assert told == [rule["alert"] for rule in rules()]


def test_ops14_unit_starts_the_daemon_with_settings_that_exist(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Repeated(dict[str, Any]):
        """An option that is repeated has all its values."""

        def __setitem__(self, name: str, value: Any) -> None:
            if isinstance(value, list) and name in self:
                value = [*self[name], *value]
            super().__setitem__(name, value)

    unit = RawConfigParser(strict=False, dict_type=Repeated)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # configparser's way to keep case
    unit.read(EXAMPLES / "helix.service")
    service = unit["Service"]
    variables = dict(line.split("=", 1) for line in service["Environment"].splitlines())
    assert set(variables) <= {setting.variable for setting in SETTINGS}
    for name in [one for one in os.environ if one.startswith("HELIX_")]:
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    command = service["ExecStart"].split()
    assert command == ["/opt/helix/bin/twistd", "--nodaemon", "--pidfile=", "helix"]
    options = Options()
    options.parseOptions([])
    assert options.config.store == "sqlite:/var/lib/helix/flows.db"
    assert float(service["TimeoutStopSec"]) > 25  # the drain's, and the store's


def test_ops14_units_are_taken_by_systemd(tmp_path: Path) -> None:
    """With the drop-in for workers, and without it."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("there is no systemd-analyze on this machine")
    unit = (EXAMPLES / "helix.service").read_text("utf-8")
    (tmp_path / "helix.service").write_text(unit.replace("/opt/helix/bin/twistd", sys.executable))
    drop_ins = tmp_path / "helix.service.d"
    for _ in range(2):
        done = subprocess.run(
            [analyze, "verify", str(tmp_path / "helix.service")],
            env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        drop_ins.mkdir(exist_ok=True)
        shutil.copy(EXAMPLES / "helix-workers.conf", drop_ins / "workers.conf")


def test_ops14_drop_in_has_settings_that_exist() -> None:
    text = (EXAMPLES / "helix-workers.conf").read_text("utf-8")
    given = dict(re.findall(r"^Environment=(HELIX_\w+)=(.+)$", text, re.MULTILINE))
    assert set(given) <= {setting.variable for setting in SETTINGS}
    config = read_config({}, given)
    assert config.workers is None
    check_workers(config)
    assert "ExecReload=/bin/kill -HUP $MAINPID" in text.splitlines()


def commands(name: str) -> list[str]:
    """The commands of the page behind a mark."""
    found = re.search(rf"<!-- tested: {name} -->\n\n((?:    .*\n)+)", PAGE)
    assert found, name
    return [line[4:] for line in found[1].splitlines()]


def run(directory: Path, lines: list[str], **variables: str) -> str:
    """Run commands of the page as a shell does; all must succeed. The daemon is the test's own."""
    programs = directory / "bin"
    programs.mkdir(exist_ok=True)
    for name in ("pg_dump", "pg_restore"):
        (programs / name).unlink(missing_ok=True)
        (programs / name).symlink_to(program(name))
    if shutil.which("sqlite3") is None:
        shell = f"#!{sys.executable}\nimport sqlite3, sys\n"
        shell += "sqlite3.connect(sys.argv[1]).execute(sys.argv[2])\n"
        (programs / "sqlite3").write_text(shell)
        (programs / "sqlite3").chmod(0o755)
    path = os.pathsep.join([str(programs), str(Path(HELIX).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["sh", "-e", "-c", "\n".join(one for one in lines if not one.startswith("systemctl"))],
        cwd=directory,
        env={**os.environ, "PATH": path, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def wait_for_store(daemon: Daemon) -> None:
    eventually(lambda: get(daemon, "/api/flows")[0] == 200, "the store is open")


def retitle(daemon: Daemon, *titles: str) -> None:
    for title in titles:
        rest(daemon, "PATCH", "/flows/f", {"title": title})


def join(daemon: Daemon, **resume: Any) -> dict[str, Any]:
    socket = RawWebSocket(daemon.port)
    params = {"mode": "document", "client_id": "c", **resume}
    answer = socket.ask("flow:f", "phx_join", params)
    socket.close()
    joined: dict[str, Any] = answer[4]["response"]  # type: ignore[index]
    return joined


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_ops15_backup_is_put_back_and_nobody_resumes_from_what_it_lacks(
    start_daemon: Callable[..., Daemon], kind: str
) -> None:
    url = "sqlite:helix-data/flows.db"
    if kind == "postgresql":
        url = shared_server().url(shared_server().make_database())
    daemon = start_daemon("--store", url)
    wait_for_store(daemon)
    directory = daemon._directory
    variables = {"HELIX_STORE": url} if kind == "postgresql" else {}
    rest(daemon, "POST", "/flows", {"id": "f"})
    rest(daemon, "POST", "/flows", {"id": "gone"})
    rest(daemon, "DELETE", "/flows/gone")
    retitle(daemon, "one", "two")
    out = run(directory, commands(f"{kind}-backup"), **variables)
    assert out == ("2 flows, 2 entries: no difference\n" if kind == "sqlite" else "")
    retitle(daemon, "three", "four")
    ahead = join(daemon)
    assert (ahead["version"], ahead["document"]["title"]) == (4, "four")
    daemon.stop()
    out = run(directory, commands(f"{kind}-restore"), **variables)
    assert out == "2 flows, 2 entries: no difference\n2 flows: a new epoch\n"
    daemon.start()
    wait_for_store(daemon)
    restored = rest(daemon, "GET", "/flows/f")
    assert (restored["version"], restored["document"]["title"]) == (2, "two")
    # The log reaches the client's version by another way.
    retitle(daemon, "3", "4", "5")
    joined = join(daemon, epoch=ahead["epoch"], version=ahead["version"])
    assert joined["recovered"] is False
    assert (joined["version"], joined["document"]["title"]) == (5, "5")
    assert joined["epoch"] != ahead["epoch"]
    again = join(daemon, epoch=joined["epoch"], version=4)
    assert [entry["version"] for entry in again["entries"]] == [5]


def new_epoch(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [HELIX, "new-epoch", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_cli10_store_that_a_server_writes_to_is_refused(
    start_daemon: Callable[..., Daemon],
) -> None:
    daemon = start_daemon()
    rest(daemon, "POST", "/flows", {"id": "f"})
    before = rest(daemon, "GET", "/flows/f")["epoch"]
    ended = new_epoch(cwd=daemon._directory)
    assert ended.returncode == 1
    assert ended.stderr.startswith("Error: ")
    assert "another process writes to this database" in ended.stderr
    assert rest(daemon, "GET", "/flows/f")["epoch"] == before


def test_cli10_store_that_isnt_there_is_not_made(tmp_path: Path) -> None:
    ended = new_epoch("--store", "sqlite:data/flows.db", cwd=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.endswith("flows.db can't be used: No such file or directory\n")
    assert list(tmp_path.iterdir()) == []
    ended = new_epoch("--store", "memory:", cwd=tmp_path)
    assert (ended.returncode, "sqlite:PATH" in ended.stderr) == (2, True)


def epochs(url: str) -> set[str]:
    if url.startswith("sqlite:"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:"))) as database:
            return {epoch for (epoch,) in database.execute("SELECT epoch FROM flows")}
    with closing(psycopg2.connect(url)) as database, database.cursor() as cursor:
        cursor.execute("SELECT epoch FROM helix_flows")
        return {epoch for (epoch,) in cursor.fetchall()}


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_sto19_where_one_epoch_cant_be_changed_none_is(
    start_daemon: Callable[..., Daemon], tmp_path: Path, kind: str
) -> None:
    sqlite = kind == "sqlite"
    url = f"sqlite:{tmp_path / 'flows.db'}" if sqlite else shared_server().make_schema()
    daemon = start_daemon("--store", url)
    wait_for_store(daemon)
    for flow_id in "abc":
        rest(daemon, "POST", "/flows", {"id": flow_id})
    daemon.stop()
    before = epochs(url)
    assert len(before) == 3
    if sqlite:
        with closing(sqlite3.connect(tmp_path / "flows.db")) as database:
            database.execute(
                "CREATE TRIGGER refuse BEFORE UPDATE ON flows WHEN old.flow_id = 'c'"
                " BEGIN SELECT RAISE(ABORT, 'no'); END"
            )
    else:
        with closing(psycopg2.connect(url)) as server, server, server.cursor() as cursor:
            cursor.execute("SELECT epoch FROM helix_flows WHERE flow_id = 'c'")
            kept = cursor.fetchall()[0][0]
            cursor.execute(
                f"ALTER TABLE helix_flows ADD CHECK (flow_id <> 'c' OR epoch = '{kept}')"
            )
    assert new_epoch("--store", url, cwd=tmp_path).returncode == 1
    assert epochs(url) == before
