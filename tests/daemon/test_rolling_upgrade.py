"""Nodes of this version beside one of the version before. (docs/spec.md, NOD7, NOD19)"""

from __future__ import annotations

import subprocess
import tarfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest

from tests.support.archives import extract
from tests.support.daemon import Daemon, start_daemon
from tests.support.nodes import join, read_title
from tests.support.postgres import postgres_server, url
from tests.support.watched import eventually, faults_in, get, metric, rest

__all__ = ["postgres_server", "start_daemon", "url"]

BEFORE = "426df41"
"""The revision that stands for the version before: the last one whose nodes say less."""


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source of the version before."""
    root = Path(__file__).parents[2]
    command = ["git", "archive", BEFORE, "helix", "twisted"]
    try:
        archive = subprocess.run(command, cwd=root, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"the history of the source is not here: {error}")
    directory = tmp_path_factory.mktemp("before")
    with tarfile.open(fileobj=BytesIO(archive)) as source:
        extract(source, directory)
    return directory


def wait_until_it_hears(node: Daemon) -> None:
    heard = "helix_node_messages_received_total{"
    eventually(lambda: heard in get(node, "/metrics")[1].decode(), "it knows of the other")


def edit_on_both(nodes: list[Daemon], title: str) -> None:
    """Edit on each node, and see it on both."""
    for node in nodes:
        wait_until_it_hears(node)
    with join(nodes[0], "ada") as ada, join(nodes[1], "bob") as bob:
        for number in range(10):
            expected = f"{title} {number}"
            rest(nodes[number % 2], "PATCH", "/flows/f", {"title": expected})
            assert read_title(ada) == read_title(bob) == expected
    answers = [rest(node, "GET", "/flows/f") for node in nodes]
    assert answers[0]["document"] == answers[1]["document"]
    for node in nodes:
        assert not faults_in(node.log)
        assert metric(node, "helix_broker_up") == 1


def test_nod19_nodes_are_replaced_one_after_another(
    before: Path, start_daemon: Callable[..., Daemon], url: str
) -> None:
    """Of two old nodes one becomes new, then the other, while both have members that edit."""
    old = ["env", f"PYTHONPATH={before}"]
    nodes = [start_daemon("--store", url, before=old) for _ in range(2)]
    rest(nodes[0], "POST", "/flows", {"id": "f", "document": {"title": "Old"}})
    edit_on_both(nodes, "both are old")
    for replaced in (0, 1):
        nodes[replaced].stop()
        nodes[replaced] = start_daemon("--store", url)
        edit_on_both(nodes, f"{replaced} is new")
