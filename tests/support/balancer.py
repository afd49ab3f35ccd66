"""A proxy without sticky sessions: each HTTP request goes to the next of several servers."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle

from tests.support.daemon import Daemon

PATIENCE = 30.0
"""Seconds in which a server must answer."""


@contextmanager
def balancer(servers: Sequence[Daemon]) -> Iterator[int]:
    """Start one, and give its port; it ends with the context."""
    turns, lock = cycle(servers), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def pass_on(self) -> None:
            with lock:
                server = next(turns)
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            connection = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
            headers = dict(self.headers.items())
            connection.request(self.command, self.path, body, headers | {"connection": "close"})
            answer = connection.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            for name in ("content-type", "access-control-allow-origin"):
                if (value := answer.getheader(name)) is not None:
                    self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_OPTIONS = pass_on

        def log_message(self, *_: object) -> None:
            """Nothing is logged."""

    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    proxy.daemon_threads = True
    thread = threading.Thread(target=proxy.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy.server_port
    finally:
        proxy.shutdown()
        proxy.server_close()
        thread.join()
