"""
A machine whose clock can be set: ``wrongclock.py FILE PROGRAM ARGUMENT ...`` runs a Python program
to which it is as many seconds ahead as `MachineClock` says in FILE.
"""

from __future__ import annotations

import runpy
import struct
import sys
import time
from mmap import ACCESS_READ, mmap
from pathlib import Path

_AHEAD = struct.Struct("d")


class MachineClock:
    """
    The clock of a program that is run so.

    :param path: a file, which is made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.write_bytes(_AHEAD.pack(0.0))

    @property
    def command(self) -> list[str]:
        """What to put before the program."""
        return [sys.executable, __file__, str(self._path)]

    def set(self, ahead: float) -> None:
        """Set it: ``ahead`` seconds from what it is in truth."""
        with self._path.open("r+b") as file:
            file.write(_AHEAD.pack(ahead))


def _main() -> None:
    path, *program = sys.argv[1:]
    with open(path, "rb") as file:
        ahead = mmap(file.fileno(), _AHEAD.size, access=ACCESS_READ)
    true_time = time.time
    time.time = lambda: true_time() + _AHEAD.unpack(ahead)[0]
    sys.argv = program
    runpy.run_path(program[0], run_name="__main__")


if __name__ == "__main__":
    _main()
