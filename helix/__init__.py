"""Helix: a multiplayer server for node graphs."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("helix-flows")
except PackageNotFoundError:  # a checkout that was never installed
    __version__ = "0+unknown"
