"""``helix keys`` beside a running server. (ACC150 to ACC154)"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from click.testing import CliRunner

from helix.cli.main import main
from tests.cli.test_cli import Cli
from tests.support.daemon import Daemon
from tests.support.postgres import shared_server
from tests.support.tokens import SECRET, bearer, secret_file, sign
from tests.support.watched import eventually, running_daemon

DAY = 86_400


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture(scope="module")
def daemon(directory: Path) -> Iterator[Daemon]:
    """A server that wants tokens."""
    method = f"jwt:hmac:{secret_file(directory)}"
    store = f"sqlite:{directory / 'flows.db'}"
    with running_daemon(directory, "--auth", method, "--admin", "root", "--store", store) as one:
        yield one


@pytest.fixture
def cli(daemon: Daemon, directory: Path, tmp_path: Path) -> Cli:
    """Commands that open the server's store."""
    variables = {"HELIX_STORE": f"sqlite:{directory / 'flows.db'}"}
    return Cli(tmp_path, f"http://{daemon.address}", variables)


def asked(daemon: Daemon, text: str, path: str = "/me", method: str = "GET") -> Any:
    """What REST answers to who has a token: the status of an error, or the answer."""
    headers = dict([bearer(text)])
    request = Request(f"http://{daemon.address}/api{path}", None, headers, method=method)
    try:
        with urlopen(request, timeout=30.0) as answer:
            return json.loads(answer.read() or b"null")
    except HTTPError as error:
        return error.code


def is_refused(daemon: Daemon, text: str) -> bool:
    return bool(asked(daemon, text) == 401)


def known(daemon: Daemon, text: str) -> Any:
    """Who has a key that was just made, once the server knows it."""
    eventually(lambda: not is_refused(daemon, text), "the key is known")
    return asked(daemon, text)


def listed(cli: Cli) -> dict[str, dict[str, Any]]:
    """The keys that the command lists, by their names."""
    lines = cli.out("keys", "list", "--json").splitlines()
    return {key["name"]: key for key in map(json.loads, lines)}


def test_acc150_a_key_is_made_beside_a_server_and_counts_there(cli: Cli, daemon: Daemon) -> None:
    options = ("--flows", "team-a/*", "--flows", "handbook", "--role", "editor")
    more = ("--create", "team-a/*", "--expires", "90d")
    ended = cli.run("keys", "create", "--name", "ci", *options, *more)
    (text,) = ended.stdout.splitlines()
    key = listed(cli)["ci"]
    assert ended.stderr == f"Its id is {key['id']}. It is not shown again.\n"
    assert key["flows"] == {"team-a/*": "editor", "handbook": "editor"}
    assert key["create"] == ["team-a/*"]
    assert (key["admin"], key["created_by"], key["used_at"]) == (False, None, None)
    assert key["expires_at"] == key["created_at"] + 90 * DAY
    assert abs(key["created_at"] - time.time()) < 60
    me = known(daemon, text)
    assert (me["id"], me["name"], me["kind"]) == (f"key:{key['id']}", "ci", "service")
    assert text not in cli.out("keys", "list") + cli.out("keys", "list", "--json")
    assert text not in "".join(daemon.log)

    programs = Cli(cli.directory, f"http://{daemon.address}", {"HELIX_TOKEN": text})
    programs.out("patch", "team-a/f", '{"title": "T"}')
    assert [line.split("\t")[0] for line in programs.out("flows").splitlines()] == ["team-a/f"]
    assert "no such flow" in programs.error("patch", "other", '{"title": "T"}')


def test_acc153_a_revoked_key_counts_no_more_within_a_second(cli: Cli, daemon: Daemon) -> None:
    for wanted in ("id", "name"):
        text = cli.run("keys", "create", "--name", f"gone by {wanted}", "--flows", "*").stdout[:-1]
        assert known(daemon, text)["kind"] == "service"
        key = listed(cli)[f"gone by {wanted}"]
        told = cli.out("keys", "revoke", key[wanted])
        assert told == f"gone by {wanted} ({key['id']}): revoked\n"
        began = time.monotonic()
        eventually(partial(is_refused, daemon, text), "it is refused")
        assert time.monotonic() - began < 1.0
        assert cli.error("keys", "revoke", key[wanted]) == "Error: There is no such key\n"


def test_acc153_keys_in_postgresql(directory: Path, tmp_path: Path) -> None:
    store = shared_server().make_schema()
    method = f"jwt:hmac:{secret_file(directory)}"
    with running_daemon(tmp_path, "--auth", method, "--store", store) as daemon:
        cli = Cli(tmp_path, None, {"HELIX_STORE": store})
        text = cli.run("keys", "create", "--name", "ci", "--flows", "*").stdout[:-1]
        assert known(daemon, text)["name"] == "ci"
        cli.out("keys", "revoke", "ci")
        began = time.monotonic()
        eventually(partial(is_refused, daemon, text), "it is refused")
        assert time.monotonic() - began < 1.0
        assert cli.out("keys", "list") == ""


def test_acc153_who_is_connected_with_a_revoked_key_is_told_so(cli: Cli, daemon: Daemon) -> None:
    root = sign({"sub": "root", "exp": time.time() + 600}, SECRET)
    Cli(cli.directory, f"http://{daemon.address}", {"HELIX_TOKEN": root}).out(
        "patch", "watched", '{"title": "T"}'
    )
    text = cli.run("keys", "create", "--name", "tail", "--flows", "watched").stdout[:-1]
    programs = Cli(cli.directory, f"http://{daemon.address}", {"HELIX_TOKEN": text})
    with programs.running("tail", "watched") as tailing:
        eventually(lambda: any("at version 1" in line for line in tailing.errors), "it has joined")
        cli.out("keys", "revoke", "tail")
        assert tailing.end() == 1
        assert "access" in tailing.errors[-1] or "no such flow" in tailing.errors[-1]


def test_acc150_an_administrators_key_makes_others_by_rest(cli: Cli, daemon: Daemon) -> None:
    admin = cli.run("keys", "create", "--name", "admin", "--admin").stdout[:-1]
    assert known(daemon, admin)["admin"] is True
    assert "admin" in {key["name"] for key in asked(daemon, admin, "/keys")["keys"]}
    key = listed(cli)["admin"]
    assert asked(daemon, admin, f"/keys/{key['id']}", "DELETE") is None
    assert asked(daemon, admin) == 401
    assert "admin" not in listed(cli)


def test_acc154_the_list_is_for_people_too(cli: Cli) -> None:
    cli.run("keys", "create", "--name", "wi\u00eerd", "--flows", "a", "--create", "b/*")
    cli.run("keys", "create", "--name", "root", "--admin", "--expires", "2h")
    cli.run("keys", "create", "--name", "none")
    lines = {line.split("\t")[1]: line.split("\t") for line in cli.out("keys", "list").splitlines()}
    assert lines["wi\u00eerd"][2:] == ["a: viewer, b/*: create", "never", "never", "operator"]
    assert lines["none"][2:] == ["nothing", "never", "never", "operator"]
    assert lines["root"][2] == "everything"
    ends = datetime.fromisoformat(lines["root"][3])
    assert abs((ends - datetime.now(UTC)).total_seconds() - 7200) < 60


def test_acc150_two_keys_of_one_name_are_told_apart_by_their_ids(cli: Cli) -> None:
    for _ in range(2):
        cli.run("keys", "create", "--name", "twin")
    keys = [json.loads(line) for line in cli.out("keys", "list", "--json").splitlines()]
    ids = [key["id"] for key in keys if key["name"] == "twin"]
    told = cli.error("keys", "revoke", "twin")
    assert all(one in told for one in ids)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["create"], "--name"),
        (["create", "--name", "x", "--expires", "90"], "90d"),
        (["create", "--name", "x", "--expires", "soon"], "90d"),
        (["create", "--name", "x", "--role", "king"], "'king'"),
        (["revoke"], "ID|NAME"),
        (["list", "--store", "memory:"], "--store sqlite:PATH"),
        (["create", "--name", "x", "--store", "memory:"], "--store sqlite:PATH"),
    ],
)
def test_acc150_what_is_not_understood(arguments: list[str], told: str) -> None:
    ended = CliRunner().invoke(main, ["keys", *arguments], prog_name="helix")
    assert ended.exit_code == 2
    assert ended.stdout == ""
    assert told in ended.stderr


def test_acc150_what_can_not_be_done(cli: Cli, tmp_path: Path) -> None:
    assert "flow id" in cli.error("keys", "create", "--name", "x", "--flows", "a*b")
    missing = f"sqlite:{tmp_path / 'missing.db'}"
    assert "missing.db" in cli.error("keys", "create", "--name", "x", "--store", missing)
    assert not (tmp_path / "missing.db").exists()
