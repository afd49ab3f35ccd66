"""An answer is true: what is acknowledged is there, and what was refused is told."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.cases.network import Network
from tests.cases.pages import Pages
from tests.support.daemon import Daemon
from tests.support.flowdata import node
from tests.support.rawsocket import TEXT, RawWebSocket
from tests.support.watched import eventually, get, rest

pytestmark = pytest.mark.case

JOB = """
import sys
from twisted.internet.task import react
from helix.client import FlowClient

async def main(reactor):
    client = FlowClient(reactor, sys.argv[1], "demo", client_id="nightly-job")
    await client.start()
    await client.patch({"title": sys.argv[2]})
    await client.stop()

react(main)
"""
"""A program that is run again and again under one name, and keeps nothing."""


def test_jsc4_refusal_whose_answer_is_lost_is_told_all_the_same(
    daemon: Daemon, pages: Pages, net: Network
) -> None:
    """It is sent again behind a later one; and is refused again, not taken for a resend."""
    far = net.link(daemon.port, 0.15)
    page = pages.open(far.url, "demo")
    page.saved()
    page.patch({"nodes": {"n1": node("n1")}})
    page.saved()
    page.patch({"nodes": {"n1": {"data": {"picture": "x" * 300_000}}}})
    page.patch({"title": "later"})
    eventually(lambda: rest(daemon, "GET", "/flows/demo")["version"] == 2, "the later edit")
    far.cut()
    page.run("await sleep(50)")
    page.saved(60)
    page.until("page.state.refusals.length > 0")
    assert page.refusals == ["patch_too_large"]
    assert page.document["nodes"]["n1"]["data"] == {}
    assert page.document["title"] == "later"


def test_pyc14_program_that_is_run_again_under_its_name_edits_again(daemon: Daemon) -> None:
    for title in ("Monday", "Tuesday", "Wednesday"):
        program = [sys.executable, "-c", JOB, f"http://{daemon.address}", title]
        done = subprocess.run(program, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr
        assert rest(daemon, "GET", "/flows/demo")["document"]["title"] == title


@pytest.mark.parametrize("number", ["9007199254740993", "-9007199254740993"])
def test_doc7_number_that_no_page_can_hold_is_refused(
    daemon: Daemon, pages: Pages, number: str
) -> None:
    made = json.dumps(node("n1", data={"order": "N"})).replace('"N"', number)
    with RawWebSocket(daemon.port) as program:
        params = {"mode": "document", "client_id": "program"}
        join_ref = str(program.ask("flow:demo", "phx_join", params)[0])
        frame = f'["{join_ref}","p","flow:demo","patch",{{"op_id":1,"patch":{{"nodes":{{"n1":'
        program.send_frame(TEXT, f"{frame}{made}}}}}}}]".encode())
        status, response = reply_of(program)
    assert status == "error"
    assert "/nodes/n1/data/order" in response["reason"]
    assert get(daemon, "/api/flows/demo")[0] == 404
    page = pages.open(f"http://{daemon.address}", "demo")
    page.saved()
    assert page.document["nodes"] == {}


def reply_of(program: RawWebSocket) -> tuple[str, dict[str, str]]:
    """The answer to the push ``p``."""
    payload = program.read_until_reply("p")[-1][4]
    assert isinstance(payload, dict)
    return payload["status"], payload["response"]
