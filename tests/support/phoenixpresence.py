"""A model of the `Presence` of phoenix.js 1.7 and 1.8: its algorithm, a function at a time."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

State = dict[str, dict[str, list[dict[str, Any]]]]

Call = tuple[str, str, int]
"""``"join"`` or ``"leave"``, the key, and how many metas the person has before or after."""


def refs(presence: dict[str, list[dict[str, Any]]]) -> list[str]:
    return [meta["phx_ref"] for meta in presence["metas"]]


class PhoenixPresence:
    """
    One client's view.

    :ivar calls: of ``onJoin`` and ``onLeave``, as far as users of it tell by them who came or went.
    """

    def __init__(self) -> None:
        self.state: State = {}
        self.calls: list[Call] = []
        self._has_state = False
        self._pending: list[Any] = []

    def rejoin(self) -> None:
        """The channel is joined again: a diff waits for its state."""
        self._has_state = False

    def receive(self, event: str, payload: bytes | dict[str, Any]) -> None:
        """Take an event as the channel hands it over."""
        given = json.loads(payload) if isinstance(payload, bytes) else deepcopy(payload)
        if event == "presence_state":
            self._has_state = True
            self._sync_state(given)
            pending, self._pending = self._pending, []
            for diff in pending:
                self._sync_diff(diff)
        elif event == "presence_diff":
            if self._has_state:
                self._sync_diff(given)
            else:
                self._pending.append(given)

    def _sync_state(self, new: State) -> None:
        joins: State = {}
        leaves: State = {key: one for key, one in self.state.items() if key not in new}
        for key, one in new.items():
            current = self.state.get(key)
            if current is None:
                joins[key] = one
                continue
            joined = [meta for meta in one["metas"] if meta["phx_ref"] not in refs(current)]
            left = [meta for meta in current["metas"] if meta["phx_ref"] not in refs(one)]
            if joined:
                joins[key] = {"metas": joined}
            if left:
                leaves[key] = {"metas": left}
        self._sync_diff({"joins": joins, "leaves": leaves})

    def _sync_diff(self, diff: dict[str, Any]) -> None:
        diff = deepcopy(diff)
        for key, one in diff["joins"].items():
            current = self.state.get(key)
            self.state[key] = {"metas": list(one["metas"])}
            if current is not None:
                kept = [meta for meta in current["metas"] if meta["phx_ref"] not in refs(one)]
                self.state[key]["metas"][:0] = kept
            self.calls.append(("join", key, len(current["metas"]) if current else 0))
        for key, one in diff["leaves"].items():
            current = self.state.get(key)
            if current is None:
                continue
            kept = [meta for meta in current["metas"] if meta["phx_ref"] not in refs(one)]
            current["metas"] = kept
            self.calls.append(("leave", key, len(kept)))
            if not kept:
                del self.state[key]
