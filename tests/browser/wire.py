"""What a page is connected by, to be cut and mended."""

from __future__ import annotations

from playwright.sync_api import Page, WebSocketRoute

LOST = 4100
"""A close code that says nothing about coming again."""


class Wire:
    """The connections of one page's flows. Make it before the page opens one."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._sockets: list[WebSocketRoute] = []
        self._is_cut = False
        page.route_web_socket("**/socket/websocket*", self._connect)

    def cut(self) -> None:
        """Let nothing through any more."""
        self._is_cut = True
        for socket in self._sockets:
            socket.close(code=LOST)

    def let(self) -> None:
        """Let everything through again."""
        self._is_cut = False

    def mend(self) -> None:
        """Let everything through again, and have the browser say so."""
        self.let()
        self.say_online()

    def say_online(self) -> None:
        """Have the browser say that there is a network: pages try at once."""
        self._page.evaluate("dispatchEvent(new Event('online'))")

    def _connect(self, socket: WebSocketRoute) -> None:
        if self._is_cut:
            socket.close(code=LOST)
        else:
            socket.connect_to_server()
            self._sockets.append(socket)
