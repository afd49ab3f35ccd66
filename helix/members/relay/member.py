"""What the server knows of each member in relay mode, and of the updates it was sent."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import attrs
from twisted.internet.interfaces import IDelayedCall

from helix.interfaces import IMember
from helix.members.relay.bridge import RelayState
from helix.members.relay.repeats import Hearing
from helix.members.relay.view import RelayView


@attrs.frozen
class SentUpdate:
    """
    An update that all members were sent.

    :ivar number: counts the updates.
    :ivar author: the member whose unchanged message it was, if any.
    """

    number: int
    state: RelayState
    at: float
    author: IMember | None


@attrs.define(eq=False)
class RelayMember:
    """
    A member.

    :ivar noted: the number of the last update that the view knows of.
    :ivar joined_at: when it joined, seconds of the reactor.
    :ivar view: what the member may show; made when it first edits or is greeted.
    :ivar hearing: the updates that it may have missed.
    :ivar greeting: the call that will send it the flow.
    :ivar is_back: whether it is a page that has just left, and still shows its old state.
    :ivar takes_echoes: whether it is a page that applies its own messages when they come back.
    :ivar is_heard: whether something that it sent is being read: it isn't greeted meanwhile.
    :ivar _noted_later: what its view is told when the thread that uses it has ended; ``None``
        without one.
    """

    noted: int
    joined_at: float
    view: RelayView | None = None
    hearing: Hearing = attrs.field(factory=Hearing)
    greeting: IDelayedCall | None = None
    is_back: bool = False
    takes_echoes: bool = False
    is_heard: bool = False
    _noted_later: list[Callable[[], None]] | None = None

    def note(self, call: Callable[..., None], *args: Any) -> None:
        """Call a method of the view; later, in order, while a thread uses that."""
        if self._noted_later is None:
            call(*args)
        else:
            self._noted_later.append(partial(call, *args))

    def lend_view(self) -> None:
        """Leave the view to a thread, until `take_view_back`."""
        self._noted_later = []

    def take_view_back(self) -> None:
        """Tell the view what has happened meanwhile."""
        noted, self._noted_later = self._noted_later, None
        for call in noted or ():
            call()

    def end_wait(self) -> None:
        """Don't send it the flow."""
        if self.greeting is not None and self.greeting.active():
            self.greeting.cancel()
        self.greeting = None
