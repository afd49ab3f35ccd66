"""The status page of the server, and the script that updates it."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib.resources import files
from typing import Any

from twisted.internet.defer import Deferred
from twisted.web.iweb import IRequest

from helix.telemetry.figures import Figures
from helix.web.base_path import BasePath
from helix.web.etags import Conditions
from helix.web.routes import write_json, write_known

_PLACE = re.compile(r"\{(\w+)\}")


class StatusPage:
    """
    The page ``/status`` and its script; the page shows all numbers without a script, too.

    :param figures: the numbers to show.
    :param base: the path below which the server is.
    """

    def __init__(self, figures: Figures, base: BasePath) -> None:
        self._figures = figures
        pages = files("helix").joinpath("pages")
        style = pages.joinpath("status.css").read_text("utf-8")
        self._script = pages.joinpath("status.js").read_bytes()
        self._script_tag = f'"{sha256(self._script).hexdigest()[:32]}"'
        page = pages.joinpath("status.html").read_text("utf-8").replace("{base}", base.path)
        before, place, after = page.partition("{style}")
        assert place
        self._head = before + style
        self._body = after
        digest = b64encode(sha256(style.encode()).digest())
        self._policy = (
            b"default-src 'none'; style-src 'sha256-%b'; script-src 'self'; connect-src 'self'; "
            b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'" % digest
        )

    def write(self, request: IRequest) -> Deferred[bytes]:
        """Make ``request`` answer the page, with the numbers of now."""
        request.setHeader(b"content-type", b"text/html; charset=utf-8")
        request.setHeader(b"content-security-policy", self._policy)
        request.setHeader(b"x-frame-options", b"DENY")
        request.setHeader(b"cache-control", b"no-store")
        return self._figures.status().addCallback(self._fill)

    def _fill(self, status: Mapping[str, Any]) -> bytes:
        counted = ("connections", "sessions", "members", "patches")
        shown = {name: f"{status[name]:,.0f}" for name in counted}
        shown["uptime"] = _duration(status["uptime"])
        shown["reactor_lag_max"] = f"{status['reactor_lag_max'] * 1000:,.1f}"
        shown["version"] = status["version"]
        shown["broker"] = _others(status["broker"], status["nodes"])
        shown["workers"] = _tell_workers(status.get("workers", ()))
        return (self._head + _PLACE.sub(lambda place: shown[place[1]], self._body)).encode()

    def write_script(self, request: IRequest) -> bytes:
        """Make ``request`` answer the script."""
        if write_known(request, self._script_tag, Conditions.of(request)):
            return b""
        request.setHeader(b"content-type", b"text/javascript; charset=utf-8")
        return self._script

    def write_numbers(self, request: IRequest) -> Deferred[bytes]:
        """Make ``request`` answer the numbers as JSON."""
        return self._figures.status().addCallback(lambda status: write_json(request, status))


def _tell_workers(workers: Sequence[Mapping[str, Any]]) -> str:
    """Write how many workers there are; nothing of a single process."""
    if not workers:
        return ""
    answering = sum(worker["up"] for worker in workers)
    return f", {answering} of {len(workers)} workers answer"


def _others(broker: str, nodes: float) -> str:
    """Write how many nodes are there, of those that share the store."""
    if broker == "up":
        return ", the only node" if nodes == 1 else f", one of {nodes:.0f} nodes"
    return ", does not hear other nodes" if broker == "away" else ""


def _duration(seconds: float) -> str:
    """Write how long something has lasted, in at most two units."""
    minutes, hours, days = (int(seconds // unit) for unit in (60, 3600, 86400))
    if days:
        return f"{days} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min" if minutes else f"{int(seconds)} s"
