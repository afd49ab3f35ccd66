"""What all tests share: how hypothesis searches, their order, and the core in memory."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import txaio
from hypothesis import settings
from twisted.logger import LogEvent, globalLogPublisher

from tests.support.world import World

# Machines differ in speed, and so do runs: no example is wrong for having been slow.
settings.register_profile("default", deadline=None)
# Where nobody looks on, a run tells of the change that it tests and of nothing else.
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("thorough", deadline=None, max_examples=5000)

settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE", "ci" if "CI" in os.environ else "default")
)


LONGEST = (
    "project/test_package",
    "faults/test_kills",
    "faults/test_partitions",
    "cli/test_cli",
    "seeded/test_simulation",
    "delivery/test_fuzz_protocol",
    "daemon/test_daemon",
    "documents/test_document",
    "faults/test_broker",
    "faults/test_random",
    "daemon/test_leaks",
    "daemon/test_crash_safety",
    "browser/test_together",
    "daemon/test_failover",
    "daemon/test_draining",
    "stock_clients/test_reconnecting",
    "delivery/test_deflate",
    "browser/test_two_in_one_field",
    "documents/test_validation",
    "flows/test_library",
    "project/test_operations",
    "browser/test_groups",
    "daemon/test_store_trouble",
    "delivery/test_fanout",
    "stock_clients/test_presence",
    "members/test_relay_bridge",
    "browser/test_fuzz",
    "test_config",
    "delivery/test_slow_members",
    "client/test_flow_client_live",
    "client/test_replica",
    "log/test_verify",
    "project/test_bench",
    "daemon/test_abuse",
    "flows/test_version_names",
)
"""The modules that take longest, the longest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """
    Begin with what takes longest.

    A module is one process's: one that takes long, and begins last, is waited for by the others.
    """
    here = Path(__file__).parent
    rank = {here / f"{name}.py": number for number, name in enumerate(LONGEST)}
    for path in rank:
        assert path.is_file(), f"LONGEST names {path}, which isn't there"
    items.sort(key=lambda item: rank.get(item.path, len(rank)))


def pytest_collection_finish() -> None:
    """What was collected stays to the end: no collector has to look at it again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def _no_failure_is_dropped() -> Iterator[None]:
    """
    See to it that a module leaves no Deferred behind whose failure nobody has heard of.

    It would be found, and logged, whenever Python looks for garbage: while a test of another module
    sees to it that nothing fails.
    """
    dropped: list[str] = []

    def observe(event: LogEvent) -> None:
        if event.get("log_namespace") == "twisted.internet.defer" and "log_failure" in event:
            dropped.append(event["log_failure"].getTraceback())

    globalLogPublisher.addObserver(observe)
    yield
    gc.collect()
    globalLogPublisher.removeObserver(observe)
    assert not dropped, f"Dropped somewhere in this module, if not in this test: {dropped[0]}"


@pytest.fixture(autouse=True)
def _autobahns_timers_are_the_reactors() -> Iterator[None]:
    """Take Autobahn's timers, which are global, from the clock of the test's last `Stack`."""
    yield
    txaio.config.loop = None


@pytest.fixture
def make_world() -> Iterator[Callable[..., World]]:
    """Makes worlds, and at the end of the test sees that each can be left with nothing behind."""
    worlds: list[World] = []

    def make(**settings: Any) -> World:
        worlds.append(World(**settings))
        return worlds[-1]

    yield make
    for made in worlds:
        made.end()


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """A world as the daemon is by default."""
    return make_world()
