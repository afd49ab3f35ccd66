"""Members of one flow on two daemons, with a real broker. (docs/spec.md, NOD43, NOD44)"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from helix.documents.ids import public_id
from tests.daemon.test_nodes import BROKERS
from tests.support.daemon import Daemon, start_daemon
from tests.support.nodes import TOPIC, wait_until_heard
from tests.support.phoenixpresence import PhoenixPresence
from tests.support.postgres import PostgresServer, postgres_server, url
from tests.support.rawsocket import EndOfStream, RawWebSocket
from tests.support.watched import eventually, faults_in, rest

__all__ = ["postgres_server", "start_daemon", "url"]

StartDaemon = Callable[..., Daemon]

MakePerson = Callable[[Daemon, str], "Person"]


class Person:
    """A member in document mode with the stock Presence, which a thread reads."""

    def __init__(self, daemon: Daemon, name: str) -> None:
        self.presence = PhoenixPresence()
        self.cursors: dict[str, Any] = {}
        self.events: list[str] = []
        self.seen = threading.Lock()
        self._socket = RawWebSocket(daemon.port)
        self._socket.send_json(self._frame("phx_join", {"mode": "document", "client_id": name}))
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @staticmethod
    def _frame(event: str, payload: object) -> list[object]:
        return ["1", "1", TOPIC, event, payload]

    def push(self, event: str, payload: object) -> None:
        self._socket.send_json(self._frame(event, payload))

    def _read(self) -> None:
        while True:
            try:
                message: Any = self._socket.read_json()
            except TimeoutError:
                continue
            except (AssertionError, EndOfStream, OSError):
                return
            with self.seen:
                self.events.append(message[3])
                self.presence.receive(message[3], message[4])
                if message[3] == "cursors":
                    self.cursors.update(message[4])

    def sees(self, *names: str) -> bool:
        """Whether just these are in its list."""
        with self.seen:
            return set(self.presence.state) == {public_id(name) for name in names}

    def close(self) -> None:
        self._socket.close()
        self._reader.join(10)


@pytest.fixture
def nodes(start_daemon: StartDaemon, url: str) -> Iterator[tuple[Daemon, Daemon]]:
    nodes = start_daemon("--store", url), start_daemon("--store", url)
    wait_until_heard(nodes)
    rest(nodes[0], "POST", "/flows", {"id": "f", "document": {"title": "Orders"}})
    yield nodes
    for node in nodes:
        assert not faults_in(node.log)


@pytest.fixture
def make_person() -> Iterator[MakePerson]:
    with ExitStack() as stack:

        def make(daemon: Daemon, name: str) -> Person:
            person = Person(daemon, name)
            stack.callback(person.close)
            return person

        yield make


def test_nod43_members_and_cursors_of_two_daemons_are_seen_on_both(
    nodes: tuple[Daemon, Daemon], make_person: MakePerson
) -> None:
    here, there = nodes
    ada, bob = make_person(here, "ada"), make_person(there, "bob")
    for person in (ada, bob):
        eventually(lambda person=person: person.sees("ada", "bob"), "both are seen")  # type: ignore[misc]
    began = time.monotonic()
    bob.push("cursor", {"x": 1, "y": 2})
    eventually(lambda: ada.cursors.get(public_id("bob")) == {"x": 1, "y": 2}, "Bob's cursor")
    print(f"a cursor took {time.monotonic() - began:.3f} s")
    bob.close()
    eventually(lambda: ada.sees("ada"), "Bob has left", 2)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP])
def test_nod44_members_of_a_daemon_that_ends_vanish(
    nodes: tuple[Daemon, Daemon], make_person: MakePerson, how: signal.Signals
) -> None:
    here, there = nodes
    ada = make_person(here, "ada")
    names = [f"p{number}" for number in range(5)]
    for name in names:
        make_person(there, name)
    eventually(lambda: ada.sees("ada", *names), "all are seen")
    before = len(ada.events)
    began = time.monotonic()
    os.kill(there.process_id, how)
    eventually(lambda: ada.sees("ada"), "they are gone", 25)
    took = time.monotonic() - began
    print(f"gone after {took:.2f} s")
    assert took < (2 if how is signal.SIGTERM else 17)
    if how is signal.SIGTERM:
        there.wait(20)
    else:
        assert took > 8  # a pause of some seconds is none
        assert ada.events[before:].count("presence_diff") == 1
    if how is signal.SIGSTOP:
        os.kill(there.process_id, signal.SIGCONT)
        eventually(lambda: ada.sees("ada", *names), "they are back")
    there.kill()


def test_nod44_while_the_brokers_connections_are_cut_nobody_vanishes_or_stays(
    nodes: tuple[Daemon, Daemon], make_person: MakePerson, postgres_server: PostgresServer
) -> None:
    here, there = nodes
    ada = make_person(here, "ada")
    make_person(there, "bob")
    eventually(lambda: ada.sees("ada", "bob"), "both are seen")
    for number in range(3):
        ends = f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {BROKERS}"
        assert len(postgres_server.execute(ends)) >= 2
        cy = make_person(there, f"c{number}")
        eventually(lambda number=number: ada.sees("ada", "bob", f"c{number}"), "it is seen")  # type: ignore[misc]
        cy.close()
        eventually(lambda: ada.sees("ada", "bob"), "it is gone")
    assert ("leave", public_id("bob"), 0) not in ada.presence.calls
