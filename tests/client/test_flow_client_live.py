"""`FlowClient` against the real daemon, through kills and restarts, on real sockets. (PYC)"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from helix.client import FlowClient, FlowEvent, Status, StatusChanged
from helix.errors import ClientStopped, FlowDeleted, OutboxUnusable
from tests.support.daemon import Daemon, free_port, start_daemon
from tests.support.flowdata import node
from tests.support.tokens import secret_file, sign
from tests.support.watched import get

__all__ = ["start_daemon"]

TIMEOUT = 30.0
PAGE = Path(__file__).resolve().parents[2] / "docs" / "python.md"


def within(deferred: Deferred[Any]) -> Deferred[Any]:
    return deferred.addTimeout(TIMEOUT, reactor)


def event_of(client: FlowClient, wanted: Callable[[FlowEvent], bool]) -> Deferred[FlowEvent]:
    """Fires with the next event that is wanted."""
    came: Deferred[FlowEvent] = Deferred()

    def listener(event: FlowEvent) -> None:
        if wanted(event) and not came.called:
            came.callback(event)

    client.listen(listener)
    return within(came)


def status_of(client: FlowClient, status: Status) -> Deferred[FlowEvent]:
    """Fires when the client comes to stand so."""
    return event_of(
        client, lambda event: isinstance(event, StatusChanged) and event.status is status
    )


def entries(daemon: Daemon, flow_id: str) -> list[dict[str, Any]]:
    """The log, as REST tells it."""
    status, body = get(daemon, f"/api/flows/{flow_id}/entries?limit=1000")
    assert status == 200
    listed: list[dict[str, Any]] = json.loads(body)["entries"]
    return listed


async def caught_up(client: FlowClient, version: int) -> None:
    if client.version < version:
        await event_of(client, lambda _: client.version >= version)


@ensureDeferred
async def test_pyc3_patches_survive_a_killed_server(start_daemon: Callable[..., Daemon]) -> None:
    daemon = start_daemon()
    url = f"http://{daemon.address}"
    ann, bob = (FlowClient(reactor, url, "f", user={"name": name}) for name in ("Ann", "Bob"))
    try:
        await within(ann.start())
        await within(bob.start())
        assert await within(ann.patch({"nodes": {"n": node("n")}})) == 1
        lost = status_of(bob, Status.OFFLINE)
        under_way = [ann.patch({"data": {"n": n}}) for n in range(100)]
        daemon.kill()
        await lost
        away = [ann.patch({"title": f"{n}"}) for n in range(5)]
        assert ann.document is not None
        assert ann.document["title"] == "4"
        daemon.start()
        versions = [await within(done) for done in (*under_way, *away)]
        assert versions == list(range(2, 107))
        await caught_up(bob, 106)
        assert bob.document == ann.document
    finally:
        await within(ann.stop())
        await within(bob.stop())
    log = entries(daemon, "f")
    assert [(one["client_id"], one["op_id"]) for one in log] == [
        (ann.client_id, op_id) for op_id in range(1, 107)
    ]
    assert {one["by"] for one in log} == {"Ann"}


@ensureDeferred
async def test_acc213_server_below_a_path(start_daemon: Callable[..., Daemon]) -> None:
    daemon = start_daemon("--store", "memory:", "--base-path", "/some/helix")
    client = FlowClient(reactor, f"http://{daemon.address}/some/helix/", "f")
    client.start()
    try:
        await within(client.patch({"title": "Below"}))
    finally:
        await within(client.stop())
    assert [one["patch"]["title"] for one in entries(daemon, "f")] == ["Below"]


WRITER = """
import os, signal, sys
from pathlib import Path
from twisted.internet.task import deferLater, react
from helix.client import FlowClient

url, outbox = sys.argv[1:]

async def main(reactor):
    client = FlowClient(reactor, url, "f", outbox=outbox)
    client.start()
    while client.patch({"title": "early"}).called:  # it is refused until the outbox is open
        await deferLater(reactor, 0.01)
    for n in range(20):
        client.patch({"data": {str(n): n}})
    while not Path(outbox).exists() or '"op_id":21,' not in Path(outbox).read_text():
        await deferLater(reactor, 0.01)
    print(client.client_id, client.pending, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

react(main)
"""


@ensureDeferred
async def test_pyc10_what_a_killed_process_left_is_sent_by_the_next(
    start_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    outbox = tmp_path / "outbox.json"
    nobody = f"http://127.0.0.1:{free_port()}"
    killed = subprocess.run(
        [sys.executable, "-c", WRITER, nobody, str(outbox)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert killed.returncode == -9, killed.stderr
    name, pending = killed.stdout.split()
    assert int(pending) == 21

    daemon = start_daemon()
    for _ in range(2):  # the second time there is nothing left to send
        client = FlowClient(reactor, f"http://{daemon.address}", "f", outbox=outbox)
        try:
            await within(client.start())
            assert client.client_id == name
            await caught_up(client, 21)
            assert client.document is not None
            assert client.document["data"] == {str(n): n for n in range(20)}
            assert (client.pending, client.version) == (0, 21)
        finally:
            await within(client.stop())
    assert [one["op_id"] for one in entries(daemon, "f")] == list(range(1, 22))


@ensureDeferred
async def test_pyc14_what_was_never_sent_is_kept_under_its_new_number_before_it_is_sent(
    start_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    outbox = tmp_path / "outbox.json"
    daemon = start_daemon()
    url = f"http://{daemon.address}"
    first = FlowClient(reactor, url, "f", client_id="job")
    await within(first.start())
    for number in range(3):
        await within(first.patch({"data": {f"first {number}": 1}}))
    await within(first.stop())
    daemon.kill()
    second = FlowClient(reactor, url, "f", client_id="job", outbox=outbox)
    try:
        started = second.start()
        while not second._is_open:
            await deferLater(reactor, 0.01)
        done = [second.patch({"data": {f"second {number}": 1}}) for number in range(3)]
        while not outbox.exists() or json.loads(outbox.read_text())["newest_op"] < 3:
            await deferLater(reactor, 0.01)
        daemon.start()
        await within(started)
        assert [await within(one) for one in done] == [4, 5, 6]
        await within(second.patch({"title": "t"}))
    finally:
        await within(second.stop())
    assert [one["op_id"] for one in entries(daemon, "f")] == [1, 2, 3, 4, 5, 6, 7]
    saved = json.loads(outbox.read_text())
    assert (saved["newest_op"], saved["operations"]) == (7, [])


@ensureDeferred
async def test_pyc10_outbox_of_another_client_is_refused(tmp_path: Path) -> None:
    outbox = tmp_path / "outbox.json"
    outbox.write_text('{"flow_id":"f","client_id":"me","newest_op":1,"operations":[],"format":1}')
    client = FlowClient(reactor, "http://127.0.0.1:1", "f", outbox=outbox, client_id="you")
    with pytest.raises(OutboxUnusable, match="belongs to another client_id"):
        await within(client.start())
    await within(client.stop())


@ensureDeferred
async def test_pyc8_deleted_flow_is_the_end(start_daemon: Callable[..., Daemon]) -> None:
    daemon = start_daemon()
    url = f"http://{daemon.address}"
    client = FlowClient(reactor, url, "f")
    await within(client.start())
    await within(client.patch({"title": "t"}))
    closed = status_of(client, Status.CLOSED)
    subprocess.run(["curl", "-fsS", "-X", "DELETE", f"{url}/api/flows/f"], check=True, timeout=10)
    event = await closed
    assert isinstance(event, StatusChanged)
    assert isinstance(event.reason, FlowDeleted)
    await within(client.stop())


@pytest.mark.parametrize("after", [0.0, 0.02, 0.2, 0.5])
@ensureDeferred
async def test_pyc12_stop_while_nobody_listens(after: float) -> None:
    client = FlowClient(reactor, f"http://localhost:{free_port()}", "f")
    started = client.start()
    await deferLater(reactor, after)
    await within(client.stop())
    with pytest.raises(ClientStopped):
        await started


def test_pyc1_example_of_the_documentation(
    start_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    """It runs as it is written, but for the port."""
    daemon = start_daemon()
    (example,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    program = tmp_path / "example.py"
    program.write_text(example.replace("127.0.0.1:4000", daemon.address))
    for expected in ("joined at version 0", "joined at version 2"):
        ran = subprocess.run(
            [sys.executable, program],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        assert ran.stderr == ""
        assert expected in ran.stdout
    log = entries(daemon, "demo")
    assert log[0]["by"] == "a script"


@ensureDeferred
async def test_pyc18_a_token_is_renewed_before_it_is_over(
    start_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = start_daemon("--auth", f"jwt:hmac:{secret_file(tmp_path)}")
    asked: list[float] = []

    def give() -> str:
        asked.append(time.time())
        lasts = 10 if len(asked) == 1 else 3600  # the server warns of less than a minute at once
        flows = {"f": "editor"}
        return sign({"sub": "a", "exp": int(time.time()) + lasts, "flows": flows, "create": ["f"]})

    client = FlowClient(reactor, f"http://{daemon.address}", "f", token=give)
    try:
        await within(client.start())
        assert await within(client.patch({"title": "T"})) == 1
        for _ in range(100):
            if len(asked) == 2:
                break
            await deferLater(reactor, 0.05)
        assert len(asked) == 2
        assert await within(client.patch({"title": "U"})) == 2
        assert client.status is Status.JOINED
    finally:
        await within(client.stop())
