"""``helix access`` beside a running server. (docs/spec.md, ACC125, ACC129)"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from click.testing import CliRunner

from helix.cli.main import main
from tests.cli.test_cli import Cli
from tests.support.daemon import Daemon
from tests.support.tokens import SECRET, bearer, secret_file, sign
from tests.support.watched import eventually, running_daemon


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the store is, with flows that nobody owns, one of them deleted: ``gone``."""
    directory = tmp_path_factory.mktemp("access")
    with running_daemon(directory, "--store", store_in(directory)) as daemon:
        for flow_id in ("a", "b", "gone", "open"):
            send(daemon, None, "POST", "/flows", {"id": flow_id})
        send(daemon, None, "DELETE", "/flows/gone")
    return directory


@pytest.fixture(scope="module")
def daemon(directory: Path) -> Iterator[Daemon]:
    """A server that wants tokens, on that store."""
    method = f"jwt:hmac:{secret_file(directory)}"
    with running_daemon(directory, "--auth", method, "--store", store_in(directory)) as one:
        yield one


@pytest.fixture
def cli(daemon: Daemon, directory: Path, tmp_path: Path) -> Cli:
    """Commands that open the server's store."""
    return Cli(tmp_path, f"http://{daemon.address}", {"HELIX_STORE": store_in(directory)})


def store_in(directory: Path) -> str:
    return f"sqlite:{directory / 'flows.db'}"


def send(
    daemon: Daemon, who: str | None, method: str, path: str, value: object = None, **claims: object
) -> Any:
    """What REST answers to somebody: the status of an error, or the answer."""
    headers = {"Content-Type": "application/json"}
    if who is not None:
        signed = sign({"sub": who, "exp": time.time() + 600, **claims}, SECRET)
        headers |= dict([bearer(signed)])
    body = None if value is None else json.dumps(value).encode()
    request = Request(f"http://{daemon.address}/api{path}", body, headers, method=method)
    try:
        with urlopen(request, timeout=30.0) as answer:
            return json.loads(answer.read())
    except HTTPError as error:
        return error.code


def role(daemon: Daemon, flow_id: str, who: str = "ada", **claims: object) -> str | None:
    """What somebody is in a flow."""
    answer = send(daemon, who, "GET", f"/flows/{flow_id}", **claims)
    return None if isinstance(answer, int) else str(answer["role"])


def test_acc129_a_role_is_given_shown_and_taken_away_beside_a_server(
    cli: Cli, daemon: Daemon
) -> None:
    assert role(daemon, "a") is None
    assert cli.out("access", "grant", "ada", "editor", "a", "b") == "2 flows: changed\n"
    assert (role(daemon, "a"), role(daemon, "b")) == ("editor", "editor")
    assert cli.out("access", "show", "a") == "member\tada\teditor\n"
    assert cli.out("access", "revoke", "ada", "b") == "1 flow: changed\n"
    assert (role(daemon, "a"), role(daemon, "b")) == ("editor", None)
    cli.out("access", "grant", "staff", "viewer", "--group", "--all")
    assert role(daemon, "b", "bob", groups=["staff"]) == "viewer"
    cli.out("access", "grant", "ada", "editor", "a", "--path", "/title", "--path", "/nodes/*/data")
    shown = json.loads(cli.out("access", "show", "a", "--json"))
    narrowed = {"role": "editor", "paths": ["/title", "/nodes/*/data"]}
    assert shown["members"] == {"ada": narrowed}
    assert shown["groups"] == {"staff": "viewer"}
    lines = cli.out("access", "show", "a").splitlines()
    assert lines == ["member\tada\teditor: /title, /nodes/*/data", "group\tstaff\tviewer"]


def test_acc129_acc125_who_has_it_open_is_told_within_a_second(cli: Cli, daemon: Daemon) -> None:
    cli.out("access", "grant", "ada", "editor", "open")
    signed = sign({"sub": "ada", "exp": time.time() + 600}, SECRET)
    people = Cli(cli.directory, f"http://{daemon.address}", {"HELIX_TOKEN": signed})
    with people.running("tail", "open") as tailing:
        eventually(
            lambda: any("no entries yet" in line for line in tailing.errors), "it has joined"
        )
        cli.out("access", "revoke", "ada", "open")
        began = time.monotonic()
        assert tailing.end() == 1
        assert time.monotonic() - began < 2.0  # with the end of the command
        assert "access" in tailing.errors[-1]


def test_acc129_flows_without_an_owner_get_one_and_others_keep_theirs(
    cli: Cli, daemon: Daemon
) -> None:
    made = send(daemon, "eve", "POST", "/flows", {"id": "of-eve"}, create=["*"])
    assert made["role"] == "owner"
    assert cli.out("access", "owner", "eve", "b") == "1 flow: changed\n"
    assert cli.out("access", "owner", "ada", "--without-owner") == "3 flows: changed\n"
    owners = {
        flow_id: json.loads(cli.out("access", "show", flow_id, "--json"))["owner"]
        for flow_id in ("a", "b", "gone", "of-eve")
    }
    assert owners == {"a": "ada", "b": "eve", "gone": "ada", "of-eve": "eve"}
    assert send(daemon, "ada", "POST", "/flows/gone/undelete")["role"] == "owner"
    assert cli.out("access", "owner", "ada", "--without-owner") == "0 flows: changed\n"
    send(daemon, "ada", "DELETE", "/flows/gone")


def test_acc127_acc129_the_audit_log_tells_what_was_done_at_the_machine(
    cli: Cli, daemon: Daemon
) -> None:
    cli.out("access", "grant", "ada", "viewer", "a")
    answer = send(daemon, "root", "GET", "/audit?limit=1", admin=True)
    (entry,) = answer["entries"]
    assert (entry["action"], entry["flow_id"], entry["actor"]) == ("access.change", "a", None)
    assert entry["details"] == {"members": {"ada": "viewer"}}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["grant", "ada", "editor"], "--without-owner"),
        (["grant", "ada", "editor", "a", "--all"], "--without-owner"),
        (["grant", "ada", "king", "a"], "'king'"),
        (["show"], "FLOW"),
        (["show", "a", "--store", "memory:"], "--store sqlite:PATH"),
        (["owner", "ada", "--all", "--store", "memory:"], "--store sqlite:PATH"),
    ],
)
def test_acc129_what_is_not_understood(arguments: list[str], told: str) -> None:
    ended = CliRunner().invoke(main, ["access", *arguments], prog_name="helix")
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert told in ended.stderr


def test_acc129_what_can_not_be_done(cli: Cli, tmp_path: Path) -> None:
    assert cli.error("access", "show", "none") == "Error: There is no such flow\n"
    assert cli.error("access", "grant", "ada", "viewer", "none") == "Error: There is no flow none\n"
    assert "members: \\n: " in cli.error("access", "grant", "\n", "viewer", "a")
    assert "no path" in cli.error("access", "grant", "ada", "editor", "a", "--path", "title")
    missing = f"sqlite:{tmp_path / 'missing.db'}"
    assert "missing.db" in cli.error("access", "owner", "ada", "--all", "--store", missing)
