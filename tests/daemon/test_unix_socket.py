"""Unix sockets of the real daemon: who may connect, and what a daemon that was killed leaves."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.daemon import Daemon, run_twistd, start_daemon, twistd
from tests.support.rawsocket import RawConnection

__all__ = ["start_daemon"]

StartDaemon = Callable[..., Daemon]


def answers(path: Path) -> bool:
    """Whether somebody serves at ``path``."""
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(path))
    with RawConnection(client) as connection:
        connection.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return connection.read_response().status == 200


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    ("more", "wanted"), [("", 0o660), (":mode=600", 0o600), (":mode=666", 0o666)]
)
def test_sec8_who_may_connect(
    start_daemon: StartDaemon, tmp_path: Path, more: str, wanted: int
) -> None:
    path = tmp_path / "helix.sock"
    start_daemon("--store", "memory:", "--listen", f"unix:{path}{more}")
    assert mode(path) == wanted
    assert answers(path)


def test_sec8_daemon_that_was_killed_starts_again(
    start_daemon: StartDaemon, tmp_path: Path
) -> None:
    path = tmp_path / "helix.sock"
    daemon = start_daemon("--store", "memory:", "--listen", f"unix:{path}")
    for _ in range(2):
        daemon.kill()
        assert path.exists(), "it had no time to take it away"
        daemon.start()
        assert answers(path)


def test_sec8_process_ids_that_live_again_are_nobody(
    start_daemon: StartDaemon, tmp_path: Path
) -> None:
    """A socket and a lock as Twisted leaves them, which name a process that lives."""
    path = tmp_path / "helix.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    Path(f"{path}.lock").symlink_to(str(os.getpid()))
    start_daemon("--store", "memory:", "--listen", f"unix:{path}")
    assert answers(path)


def test_sec8_second_daemon_is_refused_and_takes_nothing(
    start_daemon: StartDaemon, tmp_path: Path
) -> None:
    path = tmp_path / "helix.sock"
    start_daemon("--store", "memory:", "--listen", f"unix:{path}")
    second = run_twistd(tmp_path, "--store", "memory:", "--listen", f"unix:{path}")
    assert second.returncode == 1
    assert "another process listens there" in second.stdout
    assert answers(path)


def test_sec8_socket_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        refused = run_twistd(tmp_path, "--store", "memory:", "--listen", f"unix:{path}")
        assert refused.returncode == 1
        assert "another process listens there" in refused.stdout
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


def test_sec8_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("mine")
    refused = run_twistd(tmp_path, "--store", "memory:", "--listen", f"unix:{path}")
    assert refused.returncode == 1
    assert "no socket" in refused.stdout
    assert path.read_text() == "mine"


def test_sec8_process_id_of_twistd_refuses_no_start_in_the_foreground(
    start_daemon: StartDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a kill in a container: the id is another process's now."""
    plain = [part for part in twistd() if not part.startswith("--pidfile")]
    monkeypatch.setattr("tests.support.daemon.twistd", lambda: plain)
    daemon = start_daemon("--store", "memory:")
    directory = Path(f"/proc/{daemon.pid}/cwd").resolve()
    assert not (directory / "twistd.pid").exists()
    daemon.kill()
    (directory / "twistd.pid").write_text(str(os.getpid()))
    daemon.start()
