"""The Python client `phoenix-channels-python-client`, unchanged, as a member of a flow."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.stock_clients.phoenix import WAIT, PhoenixProcess
from tests.support.daemon import Daemon


class PythonClient:
    """A process of python_client.py."""

    def __init__(self, url: str, version: str, topic: str) -> None:
        script = Path(__file__).with_name("python_client.py")
        self._messages: queue.Queue[tuple[str, Any]] = queue.Queue()
        self._process = subprocess.Popen(
            [sys.executable, script, url, version, topic],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def push(self, event: str, payload: object) -> None:
        """Push an event."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([event, payload]) + "\n")
        self._process.stdin.flush()

    def message(self, event: str) -> Any:
        """Wait for the next message of this event, passing over others; return its payload."""
        while True:
            name, payload = self._messages.get(timeout=WAIT)
            if name == event:
                return payload

    def leave(self) -> int:
        """Have the client leave, and return its exit status."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self._process.wait(WAIT)

    def end(self) -> None:
        """Kill the process, if it is still there."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            event, payload = json.loads(line)
            self._messages.put((event, payload))


@pytest.fixture
def start_python_client(daemon: Daemon) -> Iterator[Callable[[str, str], PythonClient]]:
    """A function that starts a client of a protocol version on a topic; all end with the test."""
    clients: list[PythonClient] = []

    def start(version: str, topic: str) -> PythonClient:
        client = PythonClient(f"{daemon.websocket_url}/websocket", version, topic)
        clients.append(client)
        return client

    yield start
    for client in clients:
        client.end()


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_con1_python_client_subscribes_pushes_and_leaves(
    start_python_client: Callable[[str, str], PythonClient],
    phoenix: PhoenixProcess,
    daemon: Daemon,
    flow_id: str,
    version: str,
) -> None:
    """Its join, push and leave are answered, and a member with phoenix.js sees each of them."""
    topic = f"flow:{flow_id}"
    member = phoenix.connect(daemon.websocket_url, "websocket").joined(topic)
    client = start_python_client(version, topic)
    client.message("subscribed")
    assert member.event("client_joined") == {"client_count": 2, "flow_id": flow_id}

    client.push("flow_change", {"changes": {"from": "Python"}})
    broadcasted = {"status": "ok", "response": {"status": "broadcasted"}}
    assert client.message("phx_reply") == broadcasted
    assert member.event("flow_update")["changes"] == {"from": "Python"}

    assert client.leave() == 0
    assert member.event("client_left") == {"client_count": 1, "flow_id": flow_id}


def test_frm2_python_client_gets_updates(
    start_python_client: Callable[[str, str], PythonClient],
    phoenix: PhoenixProcess,
    daemon: Daemon,
    flow_id: str,
) -> None:
    """
    With version 1.0 of the protocol it gets everybody's changes and its own. (With 2.0 this client
    drops every broadcast, of any Phoenix server: it wants its own join_ref on them.)
    """
    topic = f"flow:{flow_id}"
    member = phoenix.connect(daemon.websocket_url, "websocket").joined(topic)
    client = start_python_client("1.0", topic)
    client.message("subscribed")

    client.push("flow_change", {"changes": "from Python"})
    assert client.message("flow_update")["changes"] == "from Python"
    member.push("flow_change", {"changes": "from phoenix.js"}).reply()
    assert client.message("flow_update")["changes"] == "from phoenix.js"
