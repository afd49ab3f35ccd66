"""The client library in one file, as pages have it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

NPM = Path(__file__).resolve().parents[2] / "build_backend" / "npm.py"

TIMEOUT = 110.0
"""Seconds, the installation of npm's packages included."""


def bundle(path: Path, form: str, platform: str, name: str = "") -> None:
    """
    Bundle the client library into a file.

    :param form: ``esm``, or ``iife`` for a script.
    :param platform: ``browser`` or ``neutral``.
    :param name: of the global that a script makes.
    """
    options = ["--format", form, "--platform", platform, "--file", str(path)]
    options += ["--name", name] if name else []
    done = subprocess.run(
        [sys.executable, NPM, "exec", "--", "rolldown", "client/src/index.ts", *options],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
