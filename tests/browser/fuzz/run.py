"""A run of the fuzz: what its plan says is done, then all come to rest, and the model judges."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from helix.documents.document import diff
from tests.browser.fuzz.model import Log, Model
from tests.browser.fuzz.plan import Step
from tests.browser.fuzz.stage import Stage, Tab
from tests.support.watched import rest

REST = 60.0
"""Seconds within which all come to rest, those included who take up what others left."""


Act = Callable[[Step, Tab], dict[str, Any] | None]


class Run:
    """
    One run.

    :ivar model: what was done.
    """

    def __init__(self, stage: Stage, flow_id: str, act: Act, model: Model) -> None:
        """:param act: does a step in a tab; gives what the model takes, or nothing."""
        self.model = model
        self._act = act
        self._stage = stage
        self._flow_id = flow_id

    def play(self, plan: Iterable[Step]) -> Counter[str]:
        """Do what the plan says, come to rest, and judge; gives what became of how many edits."""
        for step in plan:
            self._do(step, self._stage.tabs[step.page])
            if step.wait:
                self._pass(step.wait)
        self._come_to_rest()
        return self._check()

    def _do(self, step: Step, tab: Tab) -> None:
        if step.act in ("stop", "start", "restart"):
            if tab.is_awake and tab.is_stopped == (step.act == "start"):
                tab.is_stopped = step.act == "stop"
                tab.ask("act(given)", step.asked)
        elif step.kind != "fault":
            if tab.is_awake and (told := self._act(step, tab)) is not None:
                self.model.did(step, told)
        elif step.act == "look":
            self._look(tab)
        else:
            self._stage.befall(step.act, tab)

    def _look(self, tab: Tab) -> None:
        """What is shown as saved is."""
        if tab.is_awake and self._stage.is_up:
            seen = tab.ask("look()")
            if seen["kind"] == "saved":
                self.model.check_saved(seen["life"], self._log())

    def _pass(self, milliseconds: float) -> None:
        """Let the browsers have their turn."""
        self._stage.houses[0].bystander.wait_for_timeout(milliseconds)

    def _come_to_rest(self) -> None:
        self._stage.ease()
        deadline = time.monotonic() + REST
        while unrest := self._unrest():
            assert time.monotonic() < deadline, f"no rest: {unrest}"
            self._pass(20)

    def _unrest(self) -> Any:
        seen = [tab.ask("look()") for tab in self._stage.tabs]
        if any(one["kind"] != "saved" for one in seen):
            return seen
        if left := [house.unsent() for house in self._stage.houses if house.unsent()]:
            return left
        version = self._flow()["version"]
        return [one for one in seen if one["version"] != version]

    def _flow(self) -> dict[str, Any]:
        flow: dict[str, Any] = rest(self._stage.daemon, "GET", f"/flows/{self._flow_id}")
        return flow

    def _log(self) -> Log:
        entries: list[dict[str, Any]] = []
        after: int | None = 0
        while after is not None:
            asked = f"/flows/{self._flow_id}/entries?after={after}&limit=1000"
            page = rest(self._stage.daemon, "GET", asked)
            entries += page["entries"]
            after = page["next"]
        return self.model.make_log(entries, [house.stored() for house in self._stage.houses])

    def _check(self) -> Counter[str]:
        log = self._log()
        shown = {tab.name: tab.ask("document()") for tab in self._stage.tabs}
        shown["the server"] = self._flow()["document"]
        wrong = {who: diff(log.document, one) for who, one in shown.items()}
        assert not any(wrong.values()), f"who shows another document than the log's: {wrong}"
        assert self._stage.complaints == []
        assert log.closed == [], log.closed
        return self.model.check(log)
