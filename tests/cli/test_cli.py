"""``helix`` as its users meet it: real processes, and the real daemon. (CLI, VER)"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import psycopg2
import pytest
from click.testing import CliRunner

from helix.cli.main import main
from tests.support.daemon import Daemon, free_port, start_daemon, twistd
from tests.support.flowdata import edge, node
from tests.support.postgres import shared_server
from tests.support.tokens import secret_file, sign
from tests.support.watched import eventually, rest, running_daemon

__all__ = ["start_daemon"]

HELIX = str(Path(sys.executable).with_name("helix"))
TIMEOUT = 30.0
ODD_ID = "a/b \N{SNOWMAN}?#%"
BROWSER = {
    "nodes": [{"id": "n", "position": {"x": 1, "y": 2}}, {"position": {"x": 0, "y": 0}}],
    "edges": [{"source": "n", "target": "gone"}, {"source": "n", "target": "away"}],
}


def environment(server: str | None) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name[:6] != "HELIX_"}
    return kept | {"USER": "ada"} | ({"HELIX_SERVER": server} if server else {})


class Cli:
    """
    Runs ``helix`` against a server.

    :ivar directory: where it runs.
    :ivar environment: its variables.
    """

    def __init__(
        self, directory: Path, server: str | None, variables: Mapping[str, str] | None = None
    ) -> None:
        self.directory = directory
        self.environment = environment(server) | dict(variables or {})

    def run(
        self, *arguments: str | Path, status: int = 0, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end, which is to have ``status``."""
        ended = subprocess.run(
            [HELIX, *arguments],
            cwd=self.directory,
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        assert ended.returncode == status, ended
        assert "Traceback" not in ended.stderr
        return ended

    def out(self, *arguments: str | Path, stdin: str = "") -> str:
        """What it writes to stdout; there is nothing else."""
        ended = self.run(*arguments, stdin=stdin)
        assert ended.stderr == ""
        return ended.stdout

    def error(self, *arguments: str | Path, status: int = 1, stdin: str = "") -> str:
        """What it writes to stderr, its end; nothing is on stdout."""
        ended = self.run(*arguments, status=status, stdin=stdin)
        assert ended.stdout == ""
        return ended.stderr

    @contextmanager
    def running(self, *arguments: str) -> Iterator[Running]:
        """Run it beside the test, which ends it."""
        outputs = [self.directory / f"{name}-{os.urandom(4).hex()}" for name in ("out", "err")]
        with outputs[0].open("wb") as out, outputs[1].open("wb") as err:
            process = subprocess.Popen(
                [HELIX, *arguments],
                cwd=self.directory,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
        try:
            yield Running(process, *outputs)
        finally:
            process.kill()
            process.wait()


class Running:
    """A process that runs beside the test."""

    def __init__(self, process: subprocess.Popen[bytes], out: Path, err: Path) -> None:
        self.process = process
        self._out, self._err = out, err

    @property
    def lines(self) -> list[str]:
        return self._out.read_text().splitlines()

    @property
    def errors(self) -> list[str]:
        return self._err.read_text().splitlines()

    def end(self, number: signal.Signals | None = None) -> int:
        """Give its exit status, after a signal perhaps."""
        if number is not None:
            self.process.send_signal(number)
        return self.process.wait(TIMEOUT)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """The server of all tests that leave it running; each has flows of its own."""
    with running_daemon(tmp_path_factory.mktemp("daemon")) as running:
        yield running


@pytest.fixture
def cli(daemon: Daemon, tmp_path: Path) -> Cli:
    return Cli(tmp_path, f"http://{daemon.address}")


@pytest.fixture
def nobody(tmp_path: Path) -> Cli:
    """Its server isn't there."""
    return Cli(tmp_path, f"http://127.0.0.1:{free_port()}")


def make(daemon: Daemon, flow_id: str, **members: Any) -> None:
    rest(daemon, "POST", "/flows", {"id": flow_id, "document": members})


# what all commands have in common


def refused(*arguments: str) -> str:
    """What is told of arguments that are not understood: nothing is begun, so no process needed."""
    ended = CliRunner().invoke(main, arguments, prog_name="helix")
    assert ended.exit_code == 2
    assert ended.stdout == ""
    assert ended.stderr.startswith(f"Usage: helix {arguments[0]} ")
    return ended.stderr.splitlines()[-1]


def test_cli1_every_command_explains_itself(nobody: Cli) -> None:
    _, _, listed = nobody.out("--help").partition("Commands:\n")
    lines = listed.splitlines()
    names = [line.split()[0] for line in lines]
    assert names == [
        "access",
        "export",
        "flows",
        "import",
        "keys",
        "new-epoch",
        "patch",
        "serve",
        "tail",
        "verify",
        "versions",
    ]
    assert not [line for line in lines if line.endswith("...")]
    for name in set(names) - {"serve"}:
        ended = CliRunner().invoke(main, [name, "-h"], prog_name="helix")
        assert ended.exit_code == 0
        assert ended.output.startswith(f"Usage: helix {name} ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["flows"],
        ["versions", "f"],
        ["export", "f"],
        ["export", "--all", "-o", "out"],
        ["import", "-"],
        ["patch", "f", "{}", "--timeout", "0.5"],
        ["tail", "f", "--timeout", "0.5"],
    ],
    ids=lambda arguments: " ".join(arguments),
)
def test_cli2_server_that_isnt_there(nobody: Cli, arguments: list[str]) -> None:
    error = nobody.error(*arguments).splitlines()
    assert error[-1].startswith("Error: ")
    assert "can't be reached: Connection was refused" in error[-1]
    waits = arguments[0] in ("patch", "tail")
    assert len(error) == 1 + waits
    assert error[0].startswith("Not connected, trying again: ") is waits


@pytest.mark.parametrize("command", [["flows"], ["patch", "f", "{}"]], ids=["rest", "socket"])
def test_cli2_what_is_no_server(cli: Cli, command: list[str]) -> None:
    error = cli.error(*command, "--server", "localhost:4000")
    assert error == (
        "Error: 'localhost:4000' is not the URL of a server, as http://127.0.0.1:4000 is\n"
    )


def test_cli2_every_way_to_write_the_server(cli: Cli, daemon: Daemon) -> None:
    make(daemon, "ways")
    for url in (f"ws://{daemon.address}/socket", f"http://{daemon.address}/"):
        assert "ways\t" in cli.out("flows", "ways", "--server", url)
        assert cli.run("patch", "ways", "{}", "--server", url).stdout == "0\n"


def test_cli2_acc213_server_below_a_path(cli: Cli, start_daemon: Callable[..., Daemon]) -> None:
    below = start_daemon("--store", "memory:", "--base-path", "/some/helix")
    make(below, "under")
    for url in (f"http://{below.address}/some/helix", f"ws://{below.address}/some/helix/socket"):
        assert "under\t" in cli.out("flows", "under", "--server", url)
        assert cli.run("patch", "under", "{}", "--server", url).stdout == "0\n"
        assert '"id":"under"' in cli.out("export", "under", "--server", url).replace(": ", ":")
    error = cli.error("flows", "--server", f"http://{below.address}/other")
    assert error.startswith("Error: ")


@pytest.mark.parametrize(
    ("command", "flow_id"),
    [("export", ""), ("tail", "x" * 256), ("tail", "a\nb"), ("export", os.fsdecode(b"\xff"))],
)
def test_cli2_what_is_no_flow(cli: Cli, command: str, flow_id: str) -> None:
    assert cli.error(command, flow_id) == "Error: Invalid flow identifier\n"


# flows


def test_cli3_flows_are_listed_the_newest_change_first(cli: Cli, daemon: Daemon) -> None:
    make(daemon, "list-1", title="First", nodes={"n": node("n")})
    make(daemon, "list-2", description="Second", nodes={"a": node("a"), "b": node("b")})
    rest(daemon, "PATCH", "/flows/list-2", {"edges": {"e": edge("e", "a", "b")}})
    rows = [line.split("\t") for line in cli.out("flows", "LIST-").splitlines()]
    assert [(*row[:4], row[5]) for row in rows] == [
        ("list-2", "2", "2", "1", ""),
        ("list-1", "1", "1", "0", "First"),
    ]
    assert all(row[4].endswith("+00:00") for row in rows)
    listed = [json.loads(line) for line in cli.out("flows", "list-", "--json").splitlines()]
    assert [flow["id"] for flow in listed] == ["list-2", "list-1"]
    assert listed[0]["description"] == "Second"
    assert cli.out("flows", "list-nothing") == ""


def test_cli3_more_flows_than_a_page(cli: Cli, daemon: Daemon) -> None:
    for number in range(101):
        make(daemon, f"many-{number}")
    names = [line.partition("\t")[0] for line in cli.out("flows", "many-").splitlines()]
    assert names == [f"many-{number}" for number in reversed(range(101))]


def test_cli11_versions_that_have_names_are_listed(cli: Cli, daemon: Daemon) -> None:
    make(daemon, "named/1", title="First")
    for version, name in ((0, "Empty"), (1, "Before\n the launch")):
        rest(daemon, "PUT", f"/flows/named%2F1/versions/{version}?by=Ada", {"name": name})
    rows = [line.split("\t") for line in cli.out("versions", "named/1").splitlines()]
    assert [(row[0], *row[2:]) for row in rows] == [
        ("1", "Ada", r"Before\n the launch"),
        ("0", "Ada", "Empty"),
    ]
    assert all(row[1].endswith("+00:00") for row in rows)
    listed = [json.loads(line) for line in cli.out("versions", "named/1", "--json").splitlines()]
    assert [(one["version"], one["name"]) for one in listed] == [
        (1, "Before\n the launch"),
        (0, "Empty"),
    ]
    assert cli.error("versions", "nowhere") == "Error: There is no such flow\n"


def test_cli8_what_would_move_the_cursor_is_escaped(cli: Cli, daemon: Daemon) -> None:
    title = "two\nlines\tand \x1b[31mred \u202eback"
    make(daemon, ODD_ID, title=title)
    (line,) = cli.out("flows", ODD_ID).splitlines()
    cells = line.split("\t")
    assert cells[0] == ODD_ID
    assert cells[5] == r"two\nlines\tand \x1b[31mred \u202eback"
    assert json.loads(cli.out("flows", ODD_ID, "--json"))["title"] == title


# export and import


def test_cli4_export_is_what_import_takes(cli: Cli, daemon: Daemon) -> None:
    make(daemon, "one", title="Triage", nodes={"n": node("n")})
    text = cli.out("export", "one")
    assert text.endswith("}\n")
    exported = json.loads(text)
    assert (exported["format"], exported["id"]) == ("helix-flow", "one")
    assert cli.out("export", "one", "-o", "one.json") == ""
    assert json.loads((cli.directory / "one.json").read_text())["id"] == "one"
    imported = cli.out("import", "-", stdin=text).strip()
    again = rest(daemon, "GET", f"/flows/{imported}")
    assert imported != "one"
    assert again["document"] == exported["document"]


def test_cli4_export_of_what_isnt_there(cli: Cli, daemon: Daemon) -> None:
    assert cli.error("export", "nothing", "-o", "f") == "Error: There is no such flow\n"
    make(daemon, "gone")
    rest(daemon, "DELETE", "/flows/gone")
    assert cli.error("export", "gone", "-o", "f") == "Error: The flow was deleted\n"
    assert not (cli.directory / "f").exists()


def test_cli4_file_that_cant_be_written(cli: Cli, daemon: Daemon) -> None:
    make(daemon, "unwritten")
    error = cli.error("export", "unwritten", "-o", "no/where")
    assert error.startswith("Error: [Errno 2] No such file or directory: ")


def test_cli4_export_that_is_not_understood(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for arguments in ([], ["f", "--all"]):
        assert refused("export", *arguments) == "Error: Give a FLOW, or --all."
    for arguments in (["--all"], ["--all", "-o", str(tmp_path / "file")]):
        error = refused("export", *arguments)
        assert error == "Error: --all needs a directory: --output DIRECTORY."


def test_cli4_all_flows_move_to_another_server(
    start_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    old, new = start_daemon(), start_daemon()
    names = ["plain", ODD_ID, "...", "x" * 255, "é" * 120, "é" * 120 + "2", "%2e%2e"]
    for name in names:
        make(old, name, title=f"T {name[:20]}")
    make(old, "deleted")
    rest(old, "DELETE", "/flows/deleted")
    cli = Cli(tmp_path, f"http://{old.address}")
    assert cli.out("export", "--all", "-o", "out") == ""
    files = sorted((tmp_path / "out").iterdir())
    assert len(files) == len(names)
    there = Cli(tmp_path, f"http://{new.address}")
    ids = there.out("import", "--keep-ids", *files).splitlines()
    assert sorted(ids) == sorted(names)
    for name in names:
        documents = [
            rest(one, "GET", f"/flows/{quote(name, safe='')}")["document"] for one in (old, new)
        ]
        assert documents[0] == documents[1]


class BusyServer(BaseHTTPRequestHandler):
    """
    A server whose flows change while they are exported.

    The flow ``moved`` is behind the reader's back when the list is read first, ``gone`` is deleted
    between the list and its export.
    """

    lists = 0

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/api/flows":
            type(self).lists += 1
            names = ["gone", "stays"] if self.lists == 1 else ["moved", "stays"]
            flows = [{"id": name, "version": 1} for name in names]
            self.answer(200, {"flows": flows, "next": None})
        elif path == "/api/flows/gone/export":
            self.answer(410, {"detail": "The flow was deleted", "code": "flow_deleted"})
        else:
            self.answer(200, {"id": path.split("/")[3]})

    def answer(self, status: int, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def test_cli4_flows_that_change_meanwhile_are_not_left_out(cli: Cli) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BusyServer) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            url = f"http://127.0.0.1:{server.server_port}"
            ended = cli.run("export", "--all", "-o", "out", "--server", url)
        finally:
            server.shutdown()
    assert ended.stderr == "gone: The flow was deleted\n"
    files = {path.name: json.loads(path.read_text()) for path in (cli.directory / "out").iterdir()}
    assert files == {"moved.json": {"id": "moved"}, "stays.json": {"id": "stays"}}


def test_cli5_id_that_is_taken_is_told_of(cli: Cli, daemon: Daemon) -> None:
    make(daemon, "taken")
    text = cli.out("export", "taken")
    error = cli.error("import", "--keep-ids", "-", stdin=text)
    assert error == "Error: -: There is a flow with that id already\n"


def test_cli5_browser_data_is_imported_and_what_is_dropped_told(cli: Cli, daemon: Daemon) -> None:
    (cli.directory / "browser.json").write_text(json.dumps(BROWSER))
    ended = cli.run("import", "--keep-ids", "browser.json")
    assert ended.stderr == "browser.json: 1 node and 2 edges could not be kept\n"
    flow = f"/flows/{ended.stdout.strip()}"
    assert rest(daemon, "GET", flow)["document"]["nodes"].keys() == {"n"}
    assert [one["by"] for one in rest(daemon, "GET", f"{flow}/entries")["entries"]] == ["ada"]


def test_cli5_the_others_are_imported_all_the_same(cli: Cli, daemon: Daemon) -> None:
    make(daemon, "good")
    good = cli.out("export", "good")
    texts = {"bad.json": "{", "wrong.json": "[]", "good.json": good, "bin\n.json": "\x00"}
    for name, text in texts.items():
        (cli.directory / name).write_text(text)
    ended = cli.run("import", *texts, status=1)
    assert len(ended.stdout.splitlines()) == 1
    errors = ended.stderr.splitlines()
    assert [line.partition(".json: ")[0] for line in errors] == [
        "Error: bad",
        "Error: wrong",
        "Error: bin\\n",
    ]
    assert "The whole is neither an export of a flow nor browser data" in errors[1]


def test_cli5_file_that_isnt_there() -> None:
    assert "'nowhere.json' does not exist" in refused("import", "nowhere.json")


# patch


def test_cli7_patch_is_confirmed_with_its_version(cli: Cli, daemon: Daemon) -> None:
    assert cli.out("patch", "p", '{"title": "One"}') == "1\n"
    assert cli.out("patch", "p", "-", stdin='{"title": "Two"}') == "2\n"
    (cli.directory / "patch.json").write_text('{"title": "Three \N{SNOWMAN}"}')
    assert cli.out("patch", "p", "@patch.json") == "3\n"
    assert rest(daemon, "GET", "/flows/p")["title"] == "Three \N{SNOWMAN}"
    entries = rest(daemon, "GET", "/flows/p/entries")["entries"]
    assert {entry["by"] for entry in entries} == {"ada"}


def test_cli7_patch_that_changes_nothing_says_so(cli: Cli) -> None:
    cli.run("patch", "idle", '{"title": "t"}')
    ended = cli.run("patch", "idle", '{"nodes": {"ghost": {"position": {"x": 1}}}}')
    said = "The patch changes nothing.\nDropped: /nodes/ghost\n"
    assert (ended.stdout, ended.stderr) == ("1\n", said)


@pytest.mark.parametrize(
    ("patch", "why"),
    [
        ("[1]", "The patch is not a JSON object: Expected `object`, got `array`"),
        ("{", "The patch is not a JSON object: "),
        ("@nowhere", "The patch can't be read: "),
        ("@/", "The patch can't be read: "),
    ],
)
def test_cli7_what_is_no_patch(patch: str, why: str) -> None:
    assert refused("patch", "f", patch).startswith(f"Error: {why}")


@pytest.mark.parametrize(
    ("patch", "why"),
    [
        ('{"nodes": {"n": {"id": "n"}}}', "/nodes/n/position: is missing"),
        ('{"nodes": 3}', "/nodes: "),
        (json.dumps({"title": "x" * 300_000}), "The patch takes 300012 bytes; at most"),
    ],
    ids=["incomplete", "wrong", "large"],
)
def test_cli7_patch_that_is_refused(cli: Cli, daemon: Daemon, patch: str, why: str) -> None:
    (cli.directory / "patch.json").write_text(patch)
    assert cli.error("patch", "refused", "@patch.json").startswith(f"Error: {why}")


def test_cli7_patch_of_a_deleted_flow(cli: Cli, daemon: Daemon) -> None:
    make(daemon, "patched-late")
    rest(daemon, "DELETE", "/flows/patched-late")
    error = cli.error("patch", "patched-late", '{"title": "t"}')
    assert error == "Error: The flow was deleted\n"


def test_cli7_server_that_never_answers(cli: Cli, tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        error = cli.error("patch", "f", "{}", "--timeout", "0.5", "--server", url)
    assert error == "Error: There is no connection to the server\n"


# tail


def test_cli6_entries_are_shown_as_they_come(cli: Cli, daemon: Daemon) -> None:
    make(daemon, "t", title="before")
    with cli.running("tail", "t") as plain, cli.running("tail", "--json", "t") as as_json:
        for one in (plain, as_json):
            eventually(lambda one=one: one.errors != [], "the tail has joined")
            assert one.errors == ["The flow is at version 1. Waiting for the next."]
        rest(daemon, "PATCH", "/flows/t", {"title": "a\n\x1b"})
        cli.run("patch", "t", '{"title": "b"}')
        eventually(lambda: len(plain.lines) == len(as_json.lines) == 2, "the entries are shown")
        versions = [line.split("\t")[0] for line in plain.lines]
        assert versions == ["2", "3"]
        assert plain.lines[0].endswith('\t{"title":"a\\n\\u001b"}')
        assert plain.lines[1].endswith('\tada\t{"title":"b"}')
        shown = [json.loads(line) for line in as_json.lines]
        assert [(one["version"], one["patch"]["title"]) for one in shown] == [
            (2, "a\n\x1b"),
            (3, "b"),
        ]
        assert plain.end(signal.SIGINT) == 130
        assert as_json.end(signal.SIGTERM) == 130
        assert plain.errors == ["The flow is at version 1. Waiting for the next."]


def test_cli6_flow_that_isnt_there_is_waited_for(cli: Cli) -> None:
    with cli.running("tail", "to-come") as tail:
        eventually(lambda: tail.errors != [], "the tail has joined")
        assert tail.errors == ["The flow has no entries yet. Waiting for the first."]
        cli.run("patch", "to-come", '{"title": "t"}')
        eventually(lambda: len(tail.lines) == 1, "the entry is shown")


def test_cli6_flow_that_is_deleted_ends_it(cli: Cli, daemon: Daemon) -> None:
    make(daemon, "ends")
    with cli.running("tail", "ends") as tail:
        eventually(lambda: tail.errors != [], "the tail has joined")
        rest(daemon, "DELETE", "/flows/ends?by=Ada%1B")
        assert tail.end() == 1
        assert tail.errors[-1] == r"Error: The flow was deleted by Ada\x1b"
    assert cli.error("tail", "ends") == "Error: The flow was deleted\n"


def test_cli6_server_that_restarts_is_waited_for(
    start_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = start_daemon()
    cli = Cli(tmp_path, f"http://{daemon.address}")
    cli.run("patch", "f", '{"title": "a", "description": "' + "x" * 2000 + '"}')
    with cli.running("tail", "f") as tail:
        eventually(lambda: tail.errors != [], "the tail has joined")
        daemon.kill()
        eventually(lambda: len(tail.errors) > 1, "the outage is told")
        daemon.start()
        rest(daemon, "PATCH", "/flows/f", {"title": "b"})
        eventually(lambda: tail.errors[-1] == "Connected.", "the tail is back", TIMEOUT)
        eventually(lambda: len(tail.lines) == 1, "what came meanwhile is shown")
        rest(daemon, "PATCH", "/flows/f", {"title": "c"})
        eventually(lambda: len(tail.lines) == 2, "what comes then is shown")
        outage = [line for line in tail.errors if line.startswith("Not connected, trying again: ")]
        assert len(outage) == len(set(outage)) >= 1
        assert tail.end(signal.SIGINT) == 130


def test_cli6_what_could_not_be_shown_is_told(
    start_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = start_daemon()
    cli = Cli(tmp_path, f"http://{daemon.address}")
    cli.run("patch", "f", '{"title": "a"}')
    with cli.running("tail", "f") as tail:
        eventually(lambda: tail.errors != [], "the tail has joined")
        tail.process.send_signal(signal.SIGSTOP)
        daemon.kill()
        daemon.start()
        for number in range(20):  # more bytes than the document has
            rest(daemon, "PATCH", "/flows/f", {"title": str(number) * 50})
        tail.process.send_signal(signal.SIGCONT)
        eventually(lambda: tail.errors[-1] == "Connected.", "the tail is back", TIMEOUT)
        assert "Not shown, because they arrived during the outage: 2 to 21" in tail.errors
        assert tail.lines == []


def test_cli6_ctrl_c_while_there_is_no_server(nobody: Cli) -> None:
    with nobody.running("tail", "f") as tail:
        eventually(lambda: tail.errors != [], "it has tried")
        assert tail.end(signal.SIGINT) == 130


def test_cli6_reader_that_goes_away_ends_it(cli: Cli, daemon: Daemon) -> None:
    make(daemon, "piped")
    tail = subprocess.Popen(
        [HELIX, "tail", "piped"],
        env=environment(f"http://{daemon.address}"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert tail.stdout is not None
        assert tail.stderr is not None
        watchdog = threading.Timer(TIMEOUT, tail.kill)
        watchdog.start()
        assert b"no entries yet" in tail.stderr.readline()
        tail.stdout.close()
        rest(daemon, "PATCH", "/flows/piped", {"title": "t"})
        assert tail.wait(TIMEOUT) == 1
        assert tail.stderr.read() == b""
    finally:
        watchdog.cancel()
        tail.kill()
        tail.wait()
        tail.stderr.close()


# bars


def on_terminal(cli: Cli, *arguments: str | Path) -> str:
    """What a terminal of 80 columns is sent."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(
        [HELIX, *arguments],
        cwd=cli.directory,
        env=cli.environment | {"TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    watchdog = threading.Timer(TIMEOUT, process.kill)
    watchdog.start()
    sent = b""
    try:
        while block := os.read(ours, 4096):
            sent += block
    except OSError:  # Linux says so when nobody has the other side open
        pass
    finally:
        assert process.wait(TIMEOUT) == 0
        watchdog.cancel()
        os.close(ours)
    return sent.decode()


def lines_on_screen(sent: str) -> list[str]:
    """What is left to see on each line of a terminal."""
    lines = [line.rpartition("\x1b[K")[2].split("\r") for line in sent.split("\r\n")]
    return [next((part for part in reversed(parts) if part), "") for parts in lines]


def test_cli9_bar_and_lines_leave_each_other_alone(cli: Cli, daemon: Daemon) -> None:
    for number in range(3):
        make(daemon, f"bar-{number}")
        cli.run("export", f"bar-{number}", "-o", f"bar-{number}.json")
    rest(daemon, "DELETE", "/flows/bar-1")
    sent = on_terminal(cli, "import", "--keep-ids", "bar-1.json")
    assert lines_on_screen(sent) == ["bar-1", ""]  # of one thing there is no bar
    files = [f"bar-{number}.json" for number in range(3)]
    sent = on_terminal(cli, "import", *files)
    *ids, bar = lines_on_screen(sent)[:4]
    assert all(len(one) == 22 for one in ids)
    assert "Importing" in bar
    assert "100%" in bar


def test_cli9_verify_and_export_have_bars(
    start_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = start_daemon()
    cli = Cli(tmp_path, f"http://{daemon.address}")
    for number in range(2):
        make(daemon, f"f{number}", title="t")
    store = f"sqlite:{tmp_path / 'daemon0' / 'helix-data' / 'flows.db'}"
    assert "Verifying" in (sent := on_terminal(cli, "verify", "--store", store))
    assert lines_on_screen(sent)[-2] == "2 flows, 2 entries: no difference"
    assert "Exporting" in on_terminal(cli, "export", "--all", "-o", "out")


# verify


def test_ver3_store_that_isnt_there_is_not_made(nobody: Cli) -> None:
    for arguments in ([], ["--store", "sqlite:data/flows.db"]):
        error = nobody.error("verify", *arguments)
        assert error.endswith("flows.db can't be used: No such file or directory\n")
    url = shared_server().make_schema()
    assert "start the server on it once" in nobody.error("verify", "--store", url)
    assert list(nobody.directory.iterdir()) == []


def test_ver3_what_is_no_store(nobody: Cli) -> None:
    assert "sqlite:PATH" in refused("verify", "--store", "memory:")
    for store in ("sqlite:", "what"):
        assert "sqlite:PATH" in nobody.error("verify", "--store", store)


def test_ver3_another_program_s_file_is_left_alone(nobody: Cli) -> None:
    path = nobody.directory / "other.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE t (x)")
    before = path.read_bytes()
    assert "another program" in nobody.error("verify", "--store", f"sqlite:{path}")
    path.write_bytes(b"no database at all" * 100)
    assert "can't be used" in nobody.error("verify", "--store", f"sqlite:{path}")
    assert before != path.read_bytes() == b"no database at all" * 100


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_ver2_ver4_first_difference_ends_it(
    start_daemon: Callable[..., Daemon], tmp_path: Path, kind: str
) -> None:
    store = f"sqlite:{tmp_path / 'flows.db'}"
    if kind == "postgresql":
        store = shared_server().make_schema()
    daemon = start_daemon("--store", store)
    cli = Cli(tmp_path, None)
    assert cli.out("verify", "--store", store) == "0 flows, 0 entries: no difference\n"
    make(daemon, "whole", title="t")
    make(daemon, "odd\u202e", title="t")
    make(daemon, "deleted", title="t")
    rest(daemon, "DELETE", "/flows/deleted")
    assert cli.out("verify", "--store", store) == "3 flows, 3 entries: no difference\n"
    if kind == "sqlite":
        with closing(sqlite3.connect(tmp_path / "flows.db", isolation_level=None)) as database:
            database.execute("UPDATE entries SET patch = 'x' WHERE flow = 2")
    else:
        with closing(psycopg2.connect(store)) as database, database, database.cursor() as one:
            one.execute("UPDATE helix_entries SET patch = 'x' WHERE flow = 2")
    error = cli.error("verify", "--store", store)
    assert error == (
        "Error: odd\\u202e: version 1: the entry, or its chain, is not what was stored\n"
    )


def test_ver4_server_writes_meanwhile(start_daemon: Callable[..., Daemon], tmp_path: Path) -> None:
    daemon = start_daemon("--store", f"sqlite:{tmp_path / 'flows.db'}")
    cli = Cli(tmp_path, None)
    over = threading.Event()
    written: list[int] = []

    def write() -> None:
        while not over.is_set():
            number = len(written)
            written.append(
                rest(daemon, "PATCH", f"/flows/f{number % 7}", {"data": {"n": number}})["version"]
            )
            if number % 50 == 49:
                rest(daemon, "DELETE", f"/flows/f{number % 7}")
                make(daemon, f"f{number % 7}")

    for number in range(7):
        make(daemon, f"f{number}")
    writer = threading.Thread(target=write)
    writer.start()
    try:
        eventually(lambda: len(written) > 20, "the writer writes")
        for _ in range(2):
            before = len(written)
            assert "7 flows, " in cli.out("verify", "--store", f"sqlite:{tmp_path / 'flows.db'}")
            assert len(written) > before
    finally:
        over.set()
        writer.join(TIMEOUT)


ODD_TEXT = "a\x1b]0;title\x07\N{RIGHT-TO-LEFT OVERRIDE}b\x9bc"


def test_cli8_json_has_nothing_for_a_terminal_to_act_upon(cli: Cli, daemon: Daemon) -> None:
    """It is the same JSON; in a file or a pipe it is as it was."""
    flow_id = "odd\N{RIGHT-TO-LEFT OVERRIDE}\N{LINE SEPARATOR}id"
    made = {"id": flow_id, "document": {"title": ODD_TEXT}}
    rest(daemon, "POST", "/flows", made)
    exported = cli.directory / "odd.json"
    exported.write_text(cli.out("export", flow_id))
    for arguments in (["export", flow_id], ["flows", "--json", "odd"], ["flows", "odd"]):
        seen = stdout_on_terminal(cli, *arguments)
        assert "title" in seen
        assert all(c.isprintable() or c in "\r\n\t" for c in seen), arguments
    assert json.loads(stdout_on_terminal(cli, "export", flow_id))["document"]["title"] == ODD_TEXT
    rest(daemon, "DELETE", f"/flows/{quote(flow_id)}")
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in stdout_on_terminal(
        cli, "import", "--keep-ids", exported
    )
    rest(daemon, "DELETE", f"/flows/{quote(flow_id)}")
    assert cli.out("import", "--keep-ids", exported) == flow_id + "\n"


def stdout_on_terminal(cli: Cli, *arguments: str | Path) -> str:
    """What a command writes to stdout, where that is a terminal."""
    ours, theirs = pty.openpty()
    try:
        process = subprocess.Popen(
            [HELIX, *arguments],
            cwd=cli.directory,
            env=cli.environment,
            stdin=subprocess.DEVNULL,
            stdout=theirs,
        )
        os.close(theirs)
        written = b""
        while True:
            try:
                read = os.read(ours, 65536)
            except OSError:  # nobody writes any more
                break
            if not read:
                break
            written += read
        assert process.wait(TIMEOUT) == 0
    finally:
        os.close(ours)
    return written.decode()


@pytest.mark.parametrize(
    "server", ["htp://ada:{}@127.0.0.1:4000", "ada:{}@127.0.0.1", "http//ada:{}@127.0.0.1",
               "http://ada:{}@127.0.0.1:1"],
)  # fmt: skip
def test_sec1_mistyped_server_shows_no_password(tmp_path: Path, server: str) -> None:
    password = "s3cret-pa55word"
    ended = Cli(tmp_path, server.format(password)).run("flows", status=1)
    assert password not in ended.stderr
    assert "127.0.0.1" in ended.stderr


@pytest.mark.parametrize("command", ["verify", "new-epoch"])
def test_sec1_mistyped_store_shows_no_password_here_either(tmp_path: Path, command: str) -> None:
    password = "s3cret-pa55word"
    for store in (
        "postgresq://ada:{}@db/x",
        "sqlite:postgres://ada:{}@db/x",
        "postgres://ada:{}@db:p/x",
    ):
        ended = Cli(tmp_path, None).run(command, "--store", store.format(password), status=1)
        assert password not in ended.stderr + ended.stdout


# CLI12: the server


def test_cli12_serve_takes_the_options_of_twistd_helix(nobody: Cli, tmp_path: Path) -> None:
    for flag in ("--help", "-h"):
        helped = nobody.out("serve", flag)
        assert helped.startswith("Usage: helix serve [options]")
    ended = subprocess.run(
        [*twistd(), "--help"], cwd=tmp_path, capture_output=True, text=True, timeout=TIMEOUT
    )
    assert ended.stdout.startswith("Usage: twistd helix [options]")
    assert helped.partition("\n")[2] == ended.stdout.partition("\n")[2]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--nope"], "helix serve: option --nope not recognized"),
        (["--log-format", "xml"], "helix serve: --log-format: one of text, json is wanted"),
        (["--listen", "odd:endpoint"], "helix serve: --listen: 'odd:endpoint': "),
    ],
)
def test_cli12_what_cant_be_is_told_in_one_line(nobody: Cli, options: list[str], told: str) -> None:
    error = nobody.error("serve", *options)
    assert error.startswith(told)
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, -signal.SIGINT)]
)
def test_cli12_serve_serves_until_it_is_told_to_end(
    nobody: Cli, number: signal.Signals, status: int
) -> None:
    port = free_port()
    options = ["--store", "memory:", "--listen", f"tcp:{port}:interface=127.0.0.1"]
    with nobody.running("serve", *options) as running:
        eventually(lambda: any("Helix " in line for line in running.lines), "it has started")
        flows = Cli(nobody.directory, f"http://127.0.0.1:{port}")
        assert flows.out("patch", "f", '{"title": "T"}') == "1\n"
        assert running.end(number) == status
    assert running.errors == []
    assert not (nobody.directory / "twistd.pid").exists()


# CLI13: who asks


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A server that wants to know who asks."""
    directory = tmp_path_factory.mktemp("guarded")
    with running_daemon(directory, "--auth", f"jwt:hmac:{secret_file(directory)}") as running:
        yield running


def token_for(role: str, **more: object) -> str:
    claims = {"sub": "ada", "exp": int(time.time()) + 3600, "flows": {"team/*": role}, **more}
    return sign(claims)


def asking(guarded: Daemon, directory: Path, **variables: str) -> Cli:
    """Runs ``helix`` with variables."""
    return Cli(directory, f"http://{guarded.address}", variables)


def test_cli13_a_token_comes_from_a_file(guarded: Daemon, tmp_path: Path) -> None:
    cli = asking(guarded, tmp_path)
    file = tmp_path / "token"
    file.write_text(token_for("owner", create=["*"]) + "\n")
    shown = ("--token-file", file)
    assert cli.out("patch", *shown, "team/f", '{"title": "T"}') == "1\n"
    assert cli.out("flows", *shown).startswith("team/f\t1\t")
    assert cli.out("versions", *shown, "team/f") == ""
    cli.run("export", *shown, "team/f", "-o", "f.json")
    cli.run("import", *shown, "f.json")
    with cli.running("tail", "--json", *map(str, shown), "team/f") as tail:
        eventually(lambda: bool(tail.errors), "it watches")
        assert cli.out("patch", *shown, "team/f", '{"title": "U"}') == "2\n"
        eventually(lambda: bool(tail.lines), "an entry is shown")
        assert json.loads(tail.lines[0])["version"] == 2


def test_acc110_the_command_line_shows_who_made_entries_and_gives_tags(
    guarded: Daemon, tmp_path: Path
) -> None:
    agent = {"team/*": {"role": "owner", "tags": {"source": "ai"}}}
    token = token_for("owner", create=["*"], flows=agent, name="Ada")
    cli = asking(guarded, tmp_path, HELIX_TOKEN=token)
    assert cli.out("patch", "team/g", '{"title": "T"}') == "1\n"
    with (
        cli.running("tail", "team/g") as plain,
        cli.running("tail", "--json", "team/g") as as_json,
    ):
        for one in (plain, as_json):
            eventually(lambda one=one: one.errors != [], "it watches")
        marks = '{"run": 7, "source": "human"}'
        assert cli.out("patch", "--tags", marks, "team/g", '{"title": "U"}') == "2\n"
        eventually(lambda: bool(plain.lines and as_json.lines), "an entry is shown")
        shown = plain.lines[0].split("\t")
        assert shown[2:4] == ["Ada", '{"title":"U"}']
        assert json.loads(shown[4]) == {"run": 7, "source": "ai"}
        told = json.loads(as_json.lines[0])
        assert told["actor"] == {"id": "ada", "kind": "person", "name": "Ada"}
        assert told["tags"] == {"run": 7, "source": "ai"}


def test_acc110_what_nobody_is_known_of_is_not_told(cli: Cli, daemon: Daemon) -> None:
    make(daemon, "unknown", title="before")
    rest(daemon, "PUT", "/flows/unknown/versions/1", {"name": "First"})
    assert set(json.loads(cli.out("versions", "--json", "unknown"))) == {
        "version",
        "name",
        "by",
        "at",
    }


@pytest.mark.parametrize("tags", ["[]", "{", "x"])
def test_acc110_what_is_no_tags(tags: str) -> None:
    assert refused("patch", "--tags", tags, "f", "{}").startswith("Error: --tags is not a JSON obj")


def test_cli13_or_from_a_variable(guarded: Daemon, tmp_path: Path) -> None:
    viewer = token_for("viewer")
    cli = asking(guarded, tmp_path, HELIX_TOKEN=viewer)
    assert cli.out("flows", "nowhere") == ""
    other = tmp_path / "token"
    other.write_text("none")
    for error in (
        cli.error("flows", "--token-file", other),
        asking(guarded, tmp_path).error("flows"),
    ):
        assert error.startswith("Error: ")
        assert viewer not in error
    refused = cli.error("patch", "team/none", "{}")
    assert "no such flow" in refused
    assert viewer not in refused


@pytest.mark.parametrize("text", ["", "two words", "\u00e4", "s3cret\nX-Evil: 1"])
def test_cli13_a_file_without_a_token_is_wrong_usage(
    nobody: Cli, tmp_path: Path, text: str
) -> None:
    file = tmp_path / "token"
    file.write_text(text, encoding="utf-8")
    error = nobody.error("flows", "--token-file", file, status=2)
    assert "There is no token in" in error
    assert not text or text not in error
    assert "can't be read" in nobody.error("flows", "--token-file", tmp_path / "none", status=2)


def test_cli13_a_variable_without_a_token_is_an_error(tmp_path: Path) -> None:
    cli = Cli(tmp_path, "http://127.0.0.1:9", {"HELIX_TOKEN": "two words"})
    error = cli.error("flows")
    assert "A token is" in error
    assert "two words" not in error
