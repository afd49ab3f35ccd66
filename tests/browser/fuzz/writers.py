"""The model of a run in the editor: what is typed is looked for in the texts themselves."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import attrs

from tests.browser.fuzz.model import TOKEN, Edit, Log, Model
from tests.browser.fuzz.plan import Step

TAKES_BACK = {"undo", "redo"}


class TextLog(Log):
    """A log whose texts hold the tokens."""

    @staticmethod
    def tokens_in(patch: dict[str, Any]) -> list[str]:
        return TOKEN.findall(json.dumps(patch))

    def nodes_with(self, token: str) -> list[str]:
        """The nodes in whose texts a token was when it first came; none for the flow's title."""
        entry, _ = self.steps[self.first[token] - 1]
        nodes = entry["patch"].get("nodes", {}).items()
        return [node_id for node_id, node in nodes if token in json.dumps(node)]


@attrs.define(eq=False)
class Writers(Model):
    """What people have done in the editor, and what has to have come of it."""

    _changed_their_mind: set[str] = attrs.field(factory=set)

    def did(self, step: Step, told: dict[str, Any]) -> None:
        """Likewise; Escape takes back what was typed, too, whatever it was pressed for."""
        if step.kind == "edit" and told["done"]:
            self.edits[step.token] = Edit(step, told["life"])
        if step.act in TAKES_BACK:
            self._changed_their_mind.add(told["life"])
        before, after = set(told["before"]), set(told["after"])
        for token in before ^ after:
            edit = self.edits.get(token)
            if edit is not None and edit.life == told["life"]:
                edit.is_meant = token in after
                edit.was_undone |= not edit.is_meant

    def make_log(self, entries: list[dict[str, Any]], noted: Iterable[dict[str, Any]]) -> TextLog:
        return TextLog(entries, noted)

    def check_saved(self, life: str, log: Log) -> None:
        """See that what a page that shows that all is saved has done is in the log."""
        for token, edit in self.edits.items():
            if edit.life == life and edit.is_meant:
                is_there = token in log.first or token in log.dropped | log.refused
                self._expect(is_there, f"saved, it says, but {edit} is not in the log")

    def _end_of(self, token: str, edit: Edit, log: Log) -> str:
        assert isinstance(log, TextLog)
        if token in log.refused:
            return "refused"
        if not edit.is_meant:
            return "undone"
        if token not in log.first:
            self._expect(token in log.dropped, f"{edit} is lost, and nobody was told")
            return "dropped"
        nodes = log.nodes_with(token)
        there = [log.document["nodes"][one] for one in nodes if one in log.document["nodes"]]
        texts = there if nodes else [log.document["title"]]
        is_there = not texts or any(token in json.dumps(one) for one in texts)
        self._expect(is_there, f"{edit} is lost from {texts}")
        return "logged"

    def _check_entries(self, log: Log) -> None:
        super()._check_entries(log)
        names = {(entry["client_id"], entry["op_id"]) for entry, _ in log.steps}
        documents = [before for _, before in log.steps]
        for name, operation in log.operations.items():
            is_settled = name in names or not operation.is_decided
            if is_settled or operation.life in self._changed_their_mind:
                continue
            is_nothing = any(operation.stage_on(one)[0] == {} for one in documents)
            is_told = any(token in log.refused for token in TOKEN.findall(str(operation.patch)))
            self._expect(is_nothing or is_told, f"{operation} is lost")

    def _check_order(self, log: Log) -> None:
        """Tokens of texts that are typed at once may come in one entry, or be told of later."""
