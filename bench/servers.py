"""The programs that a benchmark needs: built, started on a core of their own, always stopped."""

from __future__ import annotations

import contextlib
import filecmp
import http.client
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import databases
from admission import Admission, RequestRefused
from scenarios import TITLES

SOURCE_DIRECTORY = Path(__file__).resolve().parent
BUILD_DIRECTORY = SOURCE_DIRECTORY / "_build"
PEER_FILES = ("package.json", "package-lock.json", ".npmrc", "ws_peer.js")

START_TIMEOUT = 30.0  # seconds, until a server answers
STOP_TIMEOUT = 10.0  # seconds, until it is killed
GENERATOR_TIMEOUT = 210.0  # seconds beyond the duration: joins and coming to rest may take 180
BUILD_TIMEOUT = 180.0
LOG_TAIL_CHARACTERS = 1000


class BenchError(Exception):
    """Something that a measurement needs is not there, or failed; says what, for a person."""


class UnavailableError(BenchError):
    """A server can't be run on this machine."""


@dataclass(frozen=True)
class Cores:
    """The core of the server, and the core of the generator."""

    server: int
    generator: int

    @classmethod
    def choose(cls) -> Cores:
        """The first and the last that this process may use: farthest apart, if there are two."""
        allowed = sorted(os.sched_getaffinity(0))
        return cls(server=allowed[0], generator=allowed[-1])

    @property
    def are_shared(self) -> bool:
        return self.server == self.generator


@dataclass(frozen=True)
class Server:
    """
    A program to measure.

    :param command: what starts it, given a port and how many connections it must take.
    :param health_path: answers 200 once it serves; ``None``: it serves once it listens.
    :param make_store: makes the store that ``--store`` names; ``None`` where it has no such option.
    """

    name: str
    command: Callable[[int, int], list[str]]
    health_path: str | None = None
    make_store: databases.MakeStore | None = None

    @property
    def title(self) -> str:
        return TITLES[self.name]


def find_compiler() -> str | None:
    """The C compiler: ``$CC``, or the first usual name that is there."""
    names = [os.environ.get("CC", ""), "cc", "gcc", "clang"]
    return next((path for name in names if name and (path := shutil.which(name))), None)


def compile_program(
    name: str, directory: Path = BUILD_DIRECTORY, more_flags: Sequence[str] = ()
) -> Path:
    """
    Compile ``name``.c into ``directory``.

    :raises BenchError: if there is no compiler, or it refuses.
    """
    compiler = find_compiler()
    if compiler is None:
        raise BenchError("no C compiler: the load generator and the limit are written in C")
    directory.mkdir(parents=True, exist_ok=True)
    program = directory / name
    source = SOURCE_DIRECTORY / f"{name}.c"
    flags = ["-O2", "-Wall", "-Wextra", *more_flags]
    run_build([compiler, *flags, "-o", str(program), str(source)])
    return program


def run_build(
    command: Sequence[str],
    directory: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> None:
    """
    Run what makes something that a measurement needs.

    :param environment: its variables; without, this process's.
    :raises BenchError: if it fails, with what it said.
    """
    try:
        subprocess.run(
            command,
            cwd=directory,
            env=environment,
            check=True,
            timeout=BUILD_TIMEOUT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    except subprocess.TimeoutExpired:
        raise BenchError(f"{command[0]} took over {BUILD_TIMEOUT:g} s") from None
    except subprocess.CalledProcessError as error:
        raise BenchError(f"{' '.join(command)} failed:\n{error.stdout}") from None


def make_limit() -> Server:
    """The C send loop: one send() for each member."""
    program = compile_program("climit")
    return Server("limit", lambda port, connections: [str(program), str(port)])


def make_helix(
    name: str = "helix", make_store: databases.MakeStore = databases.memory_store
) -> Server:
    """
    Helix as this Python has it installed.

    :param name: by which it is known here: it is measured on several stores.
    :raises UnavailableError: if it is not installed.
    """
    twistd = Path(sysconfig.get_path("scripts")) / "twistd"
    if importlib.util.find_spec("helix") is None or not twistd.exists():
        raise UnavailableError(f"Helix is not installed for {sys.executable}")

    def command(port: int, connections: int) -> list[str]:
        listen = f"tcp:{port}:interface=127.0.0.1"
        limits = ["--max-clients-per-flow", str(connections)]
        limits += ["--max-connections", str(connections + 10)]  # and those that ask for its health
        limits += ["--max-pushes-per-second", "1e7", "--max-bytes-per-second", "1e12"]
        limits += ["--max-work-share", "1"]
        return [str(twistd), "-n", "--pidfile=", "helix", "--listen", listen, *limits]

    return Server(name, command, health_path="/readyz", make_store=make_store)


def make_helix_on_postgresql() -> Server:
    """
    Helix on a PostgreSQL that is started here.

    :raises UnavailableError: if there is none.
    """
    try:
        return make_helix("postgresql", databases.postgresql_store())
    except (ImportError, OSError, AssertionError) as error:
        raise UnavailableError(f"PostgreSQL can't be started: {error}") from None


def make_peer() -> Server:
    """
    Node with `ws`, which npm installs into the build directory if it isn't there yet.

    :raises UnavailableError: if there is no Node, or npm can't install.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise UnavailableError("node and npm are not both installed")
    directory = BUILD_DIRECTORY / "ws_peer"
    try:
        _install_peer(npm, directory)
    except BenchError as error:
        raise UnavailableError(str(error)) from None
    program = directory / "ws_peer.js"
    return Server("ws", lambda port, connections: [node, str(program), str(port)])


def peer_version() -> str:
    """The version of `ws` that the lock file names."""
    lock = json.loads((SOURCE_DIRECTORY / "package-lock.json").read_text(encoding="utf-8"))
    version: str = lock["packages"]["node_modules/ws"]["version"]
    return version


def _install_peer(npm: str, directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    lock = "package-lock.json"
    is_installed = (directory / "node_modules" / "ws").is_dir() and filecmp.cmp(
        SOURCE_DIRECTORY / lock, directory / lock, shallow=False
    )
    for name in PEER_FILES:
        shutil.copyfile(SOURCE_DIRECTORY / name, directory / name)
    if not is_installed:
        run_build([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], directory)


#: In the order in which a report shows them; each makes a server or raises ``UnavailableError``.
MAKERS: dict[str, Callable[[], Server]] = {
    "limit": make_limit,
    "helix": make_helix,
    "ws": make_peer,
    "memory": lambda: make_helix("memory"),
    "sqlite": lambda: make_helix("sqlite", databases.sqlite_store),
    "postgresql": make_helix_on_postgresql,
}

#: May be left out of a run.
OPTIONAL = ("ws", "postgresql")


def _environment() -> dict[str, str]:
    """This process's, without the variables that would set Helix's options."""
    return {name: value for name, value in os.environ.items() if not name.startswith("HELIX_")}


def _start(command: Sequence[str], cores: Collection[int], **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
        **options,
    )


def stop(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _serves(port: int, health_path: str | None) -> bool:
    try:
        if health_path is None:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return True
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
        with contextlib.closing(connection):
            connection.request("GET", health_path)
            return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False


def _wait_until_it_serves(
    process: subprocess.Popen[str], port: int, health_path: str | None
) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while not _serves(port, health_path):
        if process.poll() is not None:
            raise BenchError(f"it ended with code {process.returncode}")
        if time.monotonic() > deadline:
            raise BenchError(f"it does not serve after {START_TIMEOUT:g} s")
        time.sleep(0.02)


def generate(command: Sequence[str], core: int, timeout: float) -> Any:
    """
    Run a generator on a core, for so many seconds at most.

    :return: what it printed, which is JSON.
    :raises BenchError: if it fails, or takes longer.
    """
    process = _start(command, {core}, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        output, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        raise BenchError(f"the generator took over {timeout:g} s") from None
    finally:
        stop(process)
    if process.returncode != 0:
        raise BenchError(f"the generator failed: {errors.strip()}")
    return json.loads(output)


@contextlib.contextmanager
def working_directory() -> Iterator[Path]:
    """A directory for one measurement, on the disk of the build directory."""
    BUILD_DIRECTORY.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="run-", dir=BUILD_DIRECTORY) as directory:
        yield Path(directory)


@contextlib.contextmanager
def running(
    server: Server, connections: int, cores: Collection[int], directory: Path, options: list[str]
) -> Iterator[list[str]]:
    """
    Run a server.

    :return: what tells a generator where it is: its port and its process.
    :raises BenchError: when it fails, or what is done meanwhile; with the end of its log.
    """
    port = _free_port()
    with open(directory / "server.log", "w+", errors="replace") as log:
        process = _start(
            [*server.command(port, connections), *options],
            cores,
            cwd=directory,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_until_it_serves(process, port, server.health_path)
            yield ["--port", str(port), "--pid", str(process.pid)]
        except BenchError as error:
            log.seek(0)
            tail = log.read()[-LOG_TAIL_CHARACTERS:]
            raise BenchError(f"{server.title}: {error}\n{tail}".rstrip()) from None
        finally:
            stop(process)


def _prepare(admission: Admission, port: int) -> None:
    try:
        admission.prepare(port)
    except RequestRefused as error:
        raise BenchError(str(error)) from None


def measure(
    server: Server,
    generator: Path,
    arguments: Sequence[str],
    *,
    connections: int,
    duration: float,
    cores: Cores,
    fill: Sequence[str] = (),
    shares_cores: bool = False,
    admission: Admission | None = None,
) -> dict[str, Any]:
    """
    Start ``server`` afresh, in a directory of its own, load it once, and stop it.

    :param arguments: of the generator, besides the port and the process.
    :param connections: how many the server must take.
    :param duration: seconds for which the generator was told to measure.
    :param fill: arguments of a run of the generator beforehand, between which and the measurement
        the server is stopped and started.
    :param shares_cores: whether the server may use all cores: for its store, which works beside it.
    :param admission: how the generator's members come in; without, nobody is asked.
    :return: what the generator printed; after a fill also ``bytes_per_entry``.
    :raises BenchError: if either of them fails, with the end of the server's log.
    """
    its_cores = os.sched_getaffinity(0) if shares_cores else {cores.server}
    timeout = duration + GENERATOR_TIMEOUT
    door = admission or Admission(connections)

    def run(options: list[str], arguments: Sequence[str]) -> Any:
        options = [*options, *door.server_options(directory)]
        with running(server, connections, its_cores, directory, options) as where:
            _prepare(door, int(where[1]))
            arguments = [*where, *arguments, *door.generator_arguments(directory)]
            return generate([str(generator), *arguments], cores.generator, timeout)

    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(working_directory())
        if server.make_store is None:
            figures: dict[str, Any] = run([], arguments)
            return figures
        store = stack.enter_context(server.make_store(directory))
        options = ["--store", store.url]
        extra = {}
        if fill:
            before = store.size_bytes()
            filled = run(options, fill)
            if filled["entries"]:
                extra["bytes_per_entry"] = (store.size_bytes() - before) / filled["entries"]
        return {**run(options, arguments), **extra}


def stop_on_termination() -> None:
    """Let SIGTERM end this process as Ctrl-C does, so that it stops what it has started."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
