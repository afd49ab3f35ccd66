"""One place for each client, on whatever node it is; with no I/O."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from helix.members.presence import Presence
from helix.members.roster import Shown


@attrs.define(eq=False)
class Place:
    """
    A client's place in a flow: that of its newest join, among all nodes.

    :ivar node: where it is; empty for here.
    :ivar is_shown: whether the members see it: not if the client has a newer one.
    """

    shown: Shown
    node: str = ""
    is_shown: bool = False

    @property
    def order(self) -> tuple[int, str]:
        """The larger it is, the later the client joined; all nodes say the same."""
        return self.shown.stamp, self.node

    def is_newer(self, other: Place) -> bool:
        """Whether the client joined here later than there."""
        return self.order > other.order


class Places:
    """
    The places of a flow's clients on all nodes, of which each client has one.

    An older place is shown only if the newer one goes first: that may have been a wrong guess, by
    nodes whose clocks had not heard of each other.

    :param presence: shows them.
    """

    __slots__ = ("_newest", "_older", "_presence")

    def __init__(self, presence: Presence) -> None:
        self._presence = presence
        self._newest: dict[str, Place] = {}
        self._older: dict[str, list[Place]] = {}

    @property
    def clients(self) -> Iterable[str]:
        """Their ids."""
        return self._newest

    def take(self, place: Place) -> Place | None:
        """
        Show a new place, unless its client has a newer one.

        :return: the older of two places, which isn't shown.
        """
        client_id = place.shown.client_id
        other = self._newest.get(client_id)
        if other is not None and other.is_newer(place):
            self._older.setdefault(client_id, []).append(place)
            return place
        self._show(place)
        if other is not None:
            self._hide(other)
            self._older.setdefault(client_id, []).append(other)
        return other

    def change(self, place: Place, shown: Shown) -> bool:
        """
        Show a place otherwise.

        :param shown: of the same client and person.
        :return: whether members see a change.
        """
        place.shown = shown
        return place.is_shown and self._presence.update(place, shown.meta)

    def leave(self, place: Place) -> None:
        """Show a place no more."""
        client_id = place.shown.client_id
        older = self._older.pop(client_id, [])
        if place.is_shown:
            del self._newest[client_id]
            self._hide(place)
            if older:
                self._show(max(older, key=lambda one: one.order))
        rest = [one for one in older if one is not place and not one.is_shown]
        if rest:
            self._older[client_id] = rest

    def _show(self, place: Place) -> None:
        self._newest[place.shown.client_id] = place
        place.is_shown = True
        self._presence.put(place, place.shown.key, place.shown.meta)

    def _hide(self, place: Place) -> None:
        place.is_shown = False
        self._presence.leave(place)
