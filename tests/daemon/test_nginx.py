"""nginx before two nodes, by the example of the documentation. (docs/spec.md, NOD91)"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import attrs
import pytest

from tests.support.daemon import Daemon, free_port, start_daemon
from tests.support.nodes import wait_until_heard
from tests.support.postgres import postgres_server, url
from tests.support.rawsocket import RawConnection, RawWebSocket, upgrade_request
from tests.support.watched import eventually, get

__all__ = ["postgres_server", "start_daemon", "url"]

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "nginx-nodes.conf"

MAIN = """
daemon off;
worker_processes 1;
pid {directory}/pid;
error_log {directory}/errors;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {directory}/bodies;
    proxy_temp_path {directory}/answers;
    fastcgi_temp_path {directory}/f;
    uwsgi_temp_path {directory}/u;
    scgi_temp_path {directory}/s;
    include {directory}/helix.conf;
}}
"""


@attrs.frozen
class Site:
    """
    Two nodes behind nginx.

    :ivar port: nginx's.
    """

    port: int
    nodes: tuple[Daemon, Daemon]

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """A request, and its answer."""
        request = Request(
            f"http://127.0.0.1:{self.port}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urlopen(request, timeout=30.0) as answer:
            return json.load(answer)

    def post_text(self, path: str, text: bytes) -> Any:
        request = Request(f"http://127.0.0.1:{self.port}{path}", method="POST", data=text)
        with urlopen(request, timeout=30.0) as answer:
            return json.load(answer)

    def connect(self, address: str) -> int:
        """The status of the answer to a WebSocket's upgrade of somebody with that address."""
        with RawConnection(self.port) as connection:
            connection.send(upgrade_request(headers=[("X-Forwarded-For", address)]))
            return connection.read_response().status


@pytest.fixture
def site(start_daemon: Callable[..., Daemon], url: str, tmp_path: Path) -> Iterator[Site]:
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if nginx is None:
        pytest.skip("there is no nginx on this machine (Debian: apt-get install nginx-light)")
    options = ("--store", url, "--trusted-proxy", "127.0.0.1", "--auth", "anyone")
    nodes = tuple(start_daemon(*options, "--max-connections-per-address", "1") for _ in range(2))
    wait_until_heard(nodes)
    port = free_port()
    text = EXAMPLE.read_text("utf-8")
    for number, node in enumerate(nodes, 1):
        assert text.count(f"10.0.0.{number}:4000") == 1
        text = text.replace(f"10.0.0.{number}:4000", node.address)
    text = text.replace("listen 8080;", f"listen 127.0.0.1:{port};")
    directory = tmp_path / "nginx"
    directory.mkdir()
    (directory / "helix.conf").write_text(text)
    (directory / "nginx.conf").write_text(MAIN.format(directory=directory))
    with (directory / "output").open("wb") as output:
        process = subprocess.Popen(
            [nginx, "-p", str(directory), "-c", str(directory / "nginx.conf")],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        one = Site(port, (nodes[0], nodes[1]))
        eventually(lambda: _answers(one), "nginx answers")
        yield one
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        for name in ("output", "errors"):
            print((directory / name).read_text(errors="replace"))


def _answers(site: Site) -> bool:
    try:
        return bool(site.ask("GET", "/healthz"))
    except OSError:
        return False


def join(site: Site, client_id: str) -> RawWebSocket:
    """A member in document mode, of this machine's own address."""
    member = RawWebSocket(site.port)
    reply: Any = member.ask("flow:f", "phx_join", {"mode": "document", "client_id": client_id})
    assert reply[4]["status"] == "ok", reply
    return member


def connections(site: Site) -> list[float]:
    """How many clients each node has."""
    return [node.metric("helix_connections") for node in site.nodes]


def test_nod91_clients_are_spread_and_edit_one_flow(site: Site) -> None:
    site.ask("POST", "/api/flows", {"id": "f", "document": {"title": "Old"}})
    with ExitStack() as opened:
        members = [opened.enter_context(join(site, f"{number}")) for number in range(6)]
        assert connections(site) == [3, 3]
        for number, member in enumerate(members):
            reply: Any = member.ask(
                "flow:f", "patch", {"op_id": 1, "patch": {"data": {f"{number}": number}}}
            )
            assert reply[4]["status"] == "ok", reply
        document = site.ask("GET", "/api/flows/f")["document"]
        assert document["data"] == {f"{number}": number for number in range(6)}


def test_nod91_long_polling_needs_no_sticky_sessions(site: Site) -> None:
    for node in site.nodes:
        eventually(lambda node=node: node.metric("helix_nodes") == 2, "it knows of the other")  # type: ignore[misc]
    path = "/socket/longpoll?vsn=2.0.0"
    token = site.ask("GET", path)["token"]
    session = f"{path}&token={token}"
    for number in range(10):
        message = [f"{number}", f"{number}", f"flow:{number}", "phx_join", {}]
        assert site.post_text(session, json.dumps(message).encode())["status"] == 200
        answers: list[Any] = []
        while not any(answer[3] == "phx_reply" for answer in answers):
            polled = site.ask("GET", session)
            assert polled["status"] == 200
            answers += [
                json.loads(one) if isinstance(one, str) else one for one in polled["messages"]
            ]


def test_nod91_limits_are_those_of_the_client_that_nginx_names(site: Site) -> None:
    with ExitStack() as opened:
        for _ in range(2):  # one at each node
            connection = opened.enter_context(RawConnection(site.port))
            connection.send(upgrade_request(headers=[("X-Forwarded-For", "203.0.113.9")]))
            assert connection.read_response().status == 101
        for _ in range(5):
            assert site.connect("203.0.113.9") == 503
            assert site.connect("203.0.113.10") == 101, "nginx leaves no node out for that"


def test_nod91_a_node_that_goes_away_is_left_out_until_it_is_back(site: Site) -> None:
    site.ask("POST", "/api/flows", {"id": "f", "document": {"title": "Old"}})
    one, other = site.nodes
    one.kill()
    for number in range(20):
        site.ask("PATCH", "/api/flows/f", {"data": {f"{number}": number}})
        assert site.ask("GET", "/readyz")["status"] == "ready"
    with join(site, "ada"):
        assert other.metric("helix_connections") == 1
    assert len(site.ask("GET", "/api/flows/f")["document"]["data"]) == 20
    one.start()
    eventually(lambda: get(one, "/readyz")[0] == 200, "it is ready")

    def gets_clients() -> bool:
        with join(site, "ada"), join(site, "bob"):
            return min(connections(site)) >= 1

    eventually(gets_clients, "it gets clients again")
