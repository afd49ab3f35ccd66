"""The lock of a unix socket's path; it ends with the process."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
from contextlib import suppress

SUFFIX = ".lock"
"""The suffix of the lock's file, after the socket's path."""

CONNECT_TIMEOUT = 1.0
"""Seconds after which the owner of the socket counts as alive."""


class SocketInUse(Exception):
    """Somebody else listens at the path, or means to."""


class SocketLock:
    """
    Keeps the path of a unix socket for this process.

    The kernel releases the lock when the process ends, in any way. A stored process id could belong
    to another process by then, as in a container.

    :param path: of the socket. A socket that nobody listens on is taken away.
    :raises SocketInUse: when somebody else has it, or what is there is no socket.
    :raises OSError: when the file can't be made.
    """

    def __init__(self, path: str) -> None:
        lock_path = path + SUFFIX
        with suppress(OSError):
            os.readlink(lock_path)  # left by Twisted's own: a link to a process id
            os.unlink(lock_path)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = os.open(lock_path, flags, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _clear(path)
        except BlockingIOError:
            os.close(self._descriptor)
            raise SocketInUse("another process listens there") from None
        except BaseException:
            os.close(self._descriptor)
            raise

    def release(self) -> None:
        """Let others have the path. (The file stays: who waits for it may have it open.)"""
        os.close(self._descriptor)


def _clear(path: str) -> None:
    """Take a socket away on which nobody listens."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise SocketInUse("there is a file that is no socket")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(CONNECT_TIMEOUT)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            with suppress(FileNotFoundError):
                os.unlink(path)
            return
        except OSError:
            pass  # full, or not ours to reach: somebody is there
    raise SocketInUse("another process listens there")
