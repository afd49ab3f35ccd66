"""`FlowClient` on a `Clock`, with a server in memory. (PYC)"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure

from helix.client import (
    Actor,
    DocumentReplaced,
    Dropped,
    EntriesArrived,
    FlowClient,
    FlowEvent,
    PatchRefused,
    Status,
    StatusChanged,
)
from helix.client.backoff import BASE, CAP, Backoff
from helix.client.keeping import MemoryKeeper
from helix.client.membership import JOIN_TIMEOUT, PUSH_TIMEOUT, STABLE
from helix.client.outgoing import FRAME_ROOM
from helix.client.sending import WINDOW
from helix.client.socket import CONNECT_TIMEOUT, HEARTBEAT, Address
from helix.delivery.protocol import encode_json
from helix.documents.ids import public_id
from helix.errors import (
    ClientStopped,
    Disconnected,
    FlowDeleted,
    HelixError,
    InvalidFlowId,
    InvalidParameters,
    InvalidPatch,
    OutboxUnusable,
    PatchTooLarge,
    Refused,
)
from tests.support.flowdata import FLOW_PATCHES, by_id, edge, node
from tests.support.flowserver import FLOW, URL, Connection, FlowEndpoint, FlowServer

ADD_N1 = {"nodes": {"n1": node("n1")}}


def title(text: str) -> dict[str, Any]:
    return {"title": text}


class Desk:
    """A clock, a server, and clients of it."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.server = FlowServer(self.clock)
        self.endpoint = FlowEndpoint(self.server)
        self.clients: list[FlowClient] = []
        self.told: list[FlowEvent] = []
        self.failures: list[Any] = []
        globalLogPublisher.addObserver(self._note)

    def _note(self, event: Any) -> None:
        if "log_failure" in event:
            self.failures.append(event["log_failure"].value)

    def client(self, **settings: Any) -> FlowClient:
        """A client that is started, whose events are noted."""
        settings = {"client_id": f"c{len(self.clients)}", "random": Random(1)} | settings
        client = FlowClient(self.clock, URL, FLOW, endpoint=self.endpoint, **settings)
        client.listen(self.told.append)
        self.clients.append(client)
        client.start().addErrback(lambda failure: failure.trap(HelixError) and None)
        return client

    def joined(self, **settings: Any) -> FlowClient:
        client = self.client(**settings)
        self.server.settle()
        assert client.status is Status.JOINED
        return client

    @property
    def connection(self) -> Connection:
        """The newest connection."""
        return self.server.connections[-1]

    @property
    def moves(self) -> list[str]:
        return [event.status.value for event in self.told if isinstance(event, StatusChanged)]

    def until(self, client: FlowClient, status: Status, seconds: float = 60.0) -> None:
        self.server.settle()
        for _ in range(round(seconds / 0.05)):
            if client.status is status:
                return
            self.server.run(0.05)
        raise AssertionError(f"the client is {client.status}")

    def close(self) -> None:
        """Stop all clients, and see that nothing is left of them."""
        stopped = [client.stop() for client in self.clients]
        self.server.run(3)
        globalLogPublisher.removeObserver(self._note)
        assert all(one.called for one in stopped)
        assert not self.server.open_connections
        assert not self.clock.getDelayedCalls()
        assert self.failures == []


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    yield made
    made.close()


def result(deferred: Deferred[Any]) -> Any:
    """What a Deferred has fired with; the error, when it failed, ``None`` when it hasn't."""
    out: list[Any] = []
    deferred.addCallbacks(out.append, lambda failure: out.append(failure.value))
    return out[0] if out else None


def op_ids(connection: Connection) -> list[int]:
    return [payload["op_id"] for payload in connection.events("patch")]


def dropped(desk: Desk) -> list[tuple[int, tuple[str, ...]]]:
    """What listeners were told to be dropped: of which operation, and the paths."""
    return [(event.op_id, event.paths) for event in desk.told if isinstance(event, Dropped)]


# joining and patching


def test_pyc14_client_with_an_id_of_its_own_counts_on(desk: Desk) -> None:
    """A script that runs again under its ``client_id`` edits anew, also before it has joined."""
    first = desk.joined(client_id="nightly")
    for text in ("one", "two"):
        first.patch(title(text))
    desk.server.settle()
    first.stop()
    desk.server.run(3)
    second = desk.client(client_id="nightly")
    early = [second.patch(title(text)) for text in ("early", "earlier")]
    desk.server.settle()
    later = second.patch(title("later"))
    desk.server.settle()
    assert [result(done) for done in (*early, later)] == [3, 4, 5]
    assert op_ids(desk.connection) == [3, 4, 5]
    assert second.document is not None
    assert second.document["title"] == desk.server.document.content["title"] == "later"


def test_pyc14_what_may_have_been_sent_keeps_its_number(desk: Desk) -> None:
    client = desk.joined(client_id="me")
    desk.server.acknowledges = False
    done = client.patch(title("sent"))
    desk.server.carry()
    assert desk.connection.arrived
    desk.connection.cut()
    desk.server.carry()
    desk.server.take("me", 5, title("by another process"))
    later = client.patch(title("not sent"))
    desk.server.acknowledges = True
    desk.until(client, Status.JOINED)
    assert [one["op_id"] for one in desk.server.log] == [5, 1, 6]
    assert (result(done), result(later)) == (2, 3)


def test_pyc15_dropped_parts_are_told_by_the_answer_or_the_entry(desk: Desk) -> None:
    client = desk.joined()
    client.patch({"title": "t", "nodes": {"gone": {"position": {"x": 1}}}})
    client.patch({"nodes": {"gone": {"position": {"x": 2}}}})
    desk.server.settle()
    assert dropped(desk) == [(1, ("/nodes/gone",)), (2, ("/nodes/gone",))]
    desk.server.acknowledges = False
    client.patch({"title": "u", "nodes": {"gone": {"position": {"x": 3}}}})
    desk.server.settle()
    assert dropped(desk)[2:] == [(3, ("/nodes/gone",))]
    assert client.pending == 0


def test_pyc3_resume_names_the_past_that_the_client_has(desk: Desk) -> None:
    client = desk.joined()
    client.patch(title("t"))
    desk.server.settle()
    desk.connection.cut()
    desk.until(client, Status.JOINED)
    desk.server.take(None, None, title("u"))
    desk.server.settle()
    desk.connection.cut()
    desk.until(client, Status.JOINED)
    joins = [one.events("phx_join")[0] for one in desk.server.connections]
    assert [one.get("chain") for one in joins] == [None, "e1/1", "e1/2"]
    desk.server.replace("e2")
    desk.server.settle()
    desk.connection.cut()
    desk.until(client, Status.JOINED)
    (join,) = desk.connection.events("phx_join")
    assert (join["epoch"], join["version"], join["chain"]) == ("e2", 0, "e2/0")


def test_pyc3_what_changed_nothing_undoes_nothing_when_its_answer_is_lost(desk: Desk) -> None:
    """Its own client's later edit is in the log: sent again it would go before that."""
    client = desk.joined()
    desk.server.acknowledges = False
    outcomes = [client.patch(title(text)) for text in ("a", "a", "b")]
    desk.server.carry()
    while desk.connection.look():
        pass
    desk.connection.cut()
    desk.server.acknowledges = True
    desk.until(client, Status.JOINED)
    desk.server.run(1)
    assert [result(done) for done in outcomes] == [1, 1, 2]
    assert desk.server.document.content["title"] == "b"
    assert client.document == desk.server.document.content
    assert len(desk.server.log) == 2


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 2**53 + 1])
def test_pyc9_numbers_that_no_document_holds_are_never_sent(desk: Desk, value: float) -> None:
    client = desk.joined()
    error = result(client.patch({"data": {"x": [1, value]}}))
    assert isinstance(error, InvalidPatch)
    assert "/data/x" in str(error)
    desk.server.settle()
    assert op_ids(desk.connection) == []


def test_pyc1_start_fires_with_the_document(desk: Desk) -> None:
    desk.server.take(None, None, ADD_N1)
    client = FlowClient(
        desk.clock,
        URL,
        f" {FLOW} ",
        endpoint=desk.endpoint,
        client_id="me",
        user={"name": "Ann", "color": "#123456"},
    )
    desk.clients.append(client)
    assert client.document is None
    assert client.epoch is None
    assert client.status is Status.OFFLINE
    started = client.start()
    assert client.status is Status.CONNECTING
    desk.server.settle()
    assert result(started) is client
    assert client.document == desk.server.document.content
    assert (client.epoch, client.version) == ("e1", 1)
    (parameters,) = desk.connection.events("phx_join")
    assert parameters == {
        "mode": "document",
        "client_id": "me",
        "user": {"name": "Ann", "color": "#123456"},
    }


def test_pyc1_patch_shows_before_the_server_knows(desk: Desk) -> None:
    client = desk.joined()
    done = client.patch(ADD_N1)
    assert client.document is not None
    assert client.document["nodes"].keys() == {"n1"}
    assert (client.version, client.pending) == (0, 1)
    assert result(done) is None
    desk.server.settle()
    assert client.pending == 0
    assert client.version == 1
    assert desk.server.log[0]["client_id"] == public_id("c0")


def test_pyc1_patch_before_the_first_join(desk: Desk) -> None:
    desk.server.refuses = True
    client = desk.client()
    done = client.patch(title("early"))
    assert client.document is None
    desk.server.refuses = False
    desk.until(client, Status.JOINED)
    assert result(done) == 1
    assert client.document is not None
    assert client.document["title"] == "early"


def test_pyc1_patch_of_a_client_that_is_not_started(desk: Desk) -> None:
    client = FlowClient(desk.clock, URL, FLOW, endpoint=desk.endpoint)
    assert isinstance(result(client.patch(title("t"))), Disconnected)


@pytest.mark.parametrize("first", ["acknowledgement", "entry"])
def test_pyc2_patch_is_settled_by_what_comes_first(desk: Desk, first: str) -> None:
    client = desk.joined()
    done = client.patch(title("t"))
    desk.server.carry()
    desk.connection.look()
    entry, acknowledgement = desk.connection.leaving
    desk.connection.leaving.clear()
    desk.connection.leaving.append(entry if first == "entry" else acknowledgement)
    desk.server.settle()
    assert result(done) == 1
    assert client.pending == 0
    assert client.document is not None
    assert client.document["title"] == "t"


def test_pyc2_patch_that_changes_nothing(desk: Desk) -> None:
    client = desk.joined()
    done = client.patch({"title": ""})
    desk.server.settle()
    assert result(done) == 0
    assert client.pending == 0


def test_pyc2_cancelled_patch_goes_its_way(desk: Desk) -> None:
    client = desk.joined()
    done = client.patch(title("t"))
    done.cancel()
    desk.server.settle()
    assert isinstance(result(done), CancelledError)
    assert desk.server.document.content["title"] == "t"


# sending again


def test_pyc3_lost_acknowledgement_is_asked_for_again(desk: Desk) -> None:
    client = desk.joined()
    dones = [client.patch(title(str(n))) for n in range(3)]
    desk.server.carry()
    while desk.connection.look():
        pass
    desk.connection.cut()
    assert len(desk.server.log) == 3
    desk.until(client, Status.JOINED)
    assert [result(done) for done in dones] == [1, 2, 3]
    assert len(desk.server.log) == 3


def test_pyc3_unacknowledged_patches_are_sent_again_in_order(desk: Desk) -> None:
    client = desk.joined()
    dones = [client.patch(title(str(n))) for n in range(5)]
    desk.server.carry()
    desk.connection.look()
    desk.connection.cut()
    dones.append(client.patch(title("newer")))
    desk.server.resumes = False
    desk.until(client, Status.JOINED)
    assert [result(done) for done in dones] == [1, 2, 3, 4, 5, 6]
    assert op_ids(desk.connection) == [1, 2, 3, 4, 5, 6]
    assert [entry["op_id"] for entry in desk.server.log] == [1, 2, 3, 4, 5, 6]


def test_pyc3_resumes_from_what_it_has(desk: Desk) -> None:
    client = desk.joined()
    desk.server.take(None, None, ADD_N1)
    desk.server.settle()
    desk.connection.cut()
    desk.server.take(None, None, title("meanwhile"))
    desk.told.clear()
    desk.until(client, Status.JOINED)
    (parameters,) = desk.connection.events("phx_join")
    assert (parameters["epoch"], parameters["version"]) == ("e1", 1)
    assert not [event for event in desk.told if isinstance(event, DocumentReplaced)]
    assert client.document == desk.server.document.content


def test_pyc3_at_most_so_many_are_unanswered(desk: Desk) -> None:
    client = desk.joined()
    desk.server.acknowledges = False
    for n in range(WINDOW + 10):
        client.patch({"data": {str(n): n}}).addErrback(lambda _: None)
    desk.server.carry()
    assert len(desk.connection.arrived) == WINDOW
    desk.server.acknowledges = True
    desk.server.settle()
    assert client.pending == 0


# refusals


def test_pyc4_patch_that_fails_for_now_is_sent_again_with_those_behind(desk: Desk) -> None:
    client = desk.joined()
    desk.server.refuse_for_now = 1
    dones = [client.patch(title(str(n))) for n in range(3)]
    desk.server.settle()
    assert op_ids(desk.connection) == [1, 2, 3]
    assert client.pending == 3
    assert client.document is not None
    assert client.document["title"] == "2"
    late = client.patch(title("late"))
    desk.server.settle()
    assert op_ids(desk.connection) == [1, 2, 3]  # nothing overtakes
    desk.server.run(0.2)
    assert op_ids(desk.connection) == [1, 2, 3, 1, 2, 3, 4]
    assert [result(done) for done in (*dones, late)] == [1, 2, 3, 4]


def test_pyc4_waits_grow_while_it_fails(desk: Desk) -> None:
    client = desk.joined()
    desk.server.refuse_for_now = 8
    done = client.patch(title("t"))
    desk.server.run(1)
    assert 2 <= len(op_ids(desk.connection)) <= 6
    desk.server.run(60)
    assert result(done) == 1
    assert len(op_ids(desk.connection)) == 9
    assert client.status is Status.JOINED


def test_pyc4_refusal_of_an_earlier_attempt_counts_no_more(desk: Desk) -> None:
    client = desk.joined()
    desk.server.refuse_for_now = 1
    first, second = client.patch(title("1")), client.patch(title("2"))
    desk.server.carry()
    desk.connection.look()
    desk.connection.look()
    refusal, overtaking = desk.connection.leaving
    desk.connection.leaving.clear()
    desk.connection.leaving.append(refusal)
    desk.server.run(0.3)
    desk.connection.leaving.append(overtaking)
    desk.server.settle()
    assert [result(first), result(second)] == [1, 2]
    assert op_ids(desk.connection) == [1, 2, 1, 2]


def test_pyc4_a_new_channel_needs_no_wait(desk: Desk) -> None:
    client = desk.joined()
    desk.server.refuse_for_now = 1
    done = client.patch(title("t"))
    desk.server.settle()
    desk.connection.cut()
    desk.until(client, Status.JOINED)
    assert result(done) == 1


def test_pyc5_refused_patch_is_shown_no_more(desk: Desk) -> None:
    client = desk.joined()
    first = client.patch(title("kept"))
    bad = client.patch({"nodes": {"n1": {"id": "n1"}}, "title": "gone"})
    last = client.patch({"description": "kept"})
    desk.server.settle()
    assert (result(first), result(last)) == (1, 2)
    error = result(bad)
    assert isinstance(error, Refused)
    assert (error.code, error.retry) == ("invalid_patch", False)
    assert "position" in str(error)
    assert client.document == desk.server.document.content
    assert [event for event in desk.told if isinstance(event, PatchRefused)] == [
        PatchRefused(2, error)
    ]


def test_pyc9_patch_over_the_frame_limit_is_not_sent(desk: Desk) -> None:
    desk.server.limits = {"max_frame_bytes": 4096}
    client = desk.joined()
    large, small = client.patch({"data": {"text": "x" * 4000}}), client.patch(title("y"))
    desk.server.settle()
    assert isinstance(result(large), PatchTooLarge)
    assert result(small) == 1
    assert op_ids(desk.connection) == [2]


# patches that are larger than one may be


def crowd(count: int) -> Any:
    """A patch that makes a line of nodes, each in the next, and edges between them."""
    ids = [f"n{n}" for n in range(count)]
    nodes = [node(a, parentId=b) for a, b in itertools.pairwise(ids)] + [node(ids[-1])]
    edges = [edge(f"{a}-{b}", a, b) for a, b in itertools.pairwise(ids)]
    return {"title": "crowd", "nodes": by_id(*nodes), "edges": by_id(*edges)}


def test_pyc16_a_large_patch_goes_in_parts(desk: Desk) -> None:
    """In the order of the calls, and so that no part lacks what it leads to."""
    desk.server.limits = {"max_patch_bytes": 2000}
    client = desk.joined()
    patches = [title("a"), crowd(60), title("b")]
    done = [client.patch(patch) for patch in patches]
    assert client.document is not None
    shown = copy.deepcopy(client.document)
    desk.server.settle()
    log = desk.server.log
    assert max(len(encode_json(entry["patch"])) for entry in log) <= 2000
    assert [result(one) for one in done] == [1, len(log) - 1, len(log)]
    assert not [entry for entry in log if entry.get("dropped")]
    assert client.document == desk.server.document.content == shown


def test_pyc16_parts_that_make_room_for_what_goes(desk: Desk) -> None:
    desk.server.limits = {"max_patch_bytes": 2000}
    client = desk.joined()
    client.patch(crowd(60))
    new = by_id(*(node(f"new{n}") for n in range(60)))
    gone = dict.fromkeys(f"n{n}" for n in range(60))
    led = {f"n{n}-n{n + 1}": {"source": f"new{n}", "target": f"new{n + 1}"} for n in range(59)}
    client.patch({"nodes": gone | new, "edges": led})
    desk.server.settle()
    assert client.document == desk.server.document.content
    assert client.document["nodes"].keys() == new.keys()
    assert client.document["edges"].keys() == led.keys()


def test_pyc16_a_part_that_is_refused_fails_the_patch(desk: Desk) -> None:
    desk.server.limits = {"max_patch_bytes": 1500}
    client = desk.joined()
    patch = crowd(30)
    del patch["nodes"]["n20"]["position"]
    done, after = client.patch(patch), client.patch(title("after"))
    desk.server.settle()
    assert isinstance(result(done), Refused)
    assert result(after) == len(desk.server.log)
    assert client.document == desk.server.document.content


def test_pyc16_one_node_that_is_too_large_is_sent_as_it_is(desk: Desk) -> None:
    """The server says no, and how much it may be."""
    desk.server.limits = {"max_patch_bytes": 500}
    client = desk.joined()
    done = client.patch({"nodes": by_id(node("n", data={"long": "x" * 900}))})
    desk.server.settle()
    assert result(done) == 1  # this server takes it
    assert op_ids(desk.connection) == [1]


def test_pyc16_what_was_sent_is_not_split(desk: Desk) -> None:
    """The log may hold it, as one."""
    client = desk.joined()
    done = client.patch(crowd(30))
    desk.connection.cut()
    desk.server.limits = {"max_patch_bytes": 1500}
    desk.until(client, Status.JOINED)
    desk.server.settle()
    assert result(done) == 1
    assert op_ids(desk.connection) == [1]


def test_pyc17_text_is_merged_with_what_others_wrote(desk: Desk) -> None:
    """What is shown before the answer is what the log will hold."""
    desk.server.take(None, None, title("sort the mail"))
    client = desk.joined()
    done = client.patch(title("sort the mail twice"), is_text=True)
    assert client.document is not None
    assert client.document["title"] == "sort the mail twice"
    desk.server.take(None, None, title("please sort the mail"))
    desk.connection.send()
    desk.connection.carry()
    assert client.document["title"] == "please sort the mail twice"
    desk.server.settle()
    assert result(done) == 3
    assert client.document["title"] == desk.server.document.content["title"]
    assert desk.server.log[-1]["patch"] == title("please sort the mail twice")


def test_pyc17_else_the_last_text_counts(desk: Desk) -> None:
    client = desk.joined()
    client.patch(title("mine"))
    desk.server.take(None, None, title("theirs"))
    desk.server.settle()
    assert client.document == desk.server.document.content
    assert client.document["title"] == "mine"


def test_pyc17_text_whose_answer_was_lost_shows_once(desk: Desk) -> None:
    """The document comes whole, and may hold it."""
    desk.server.acknowledges = desk.server.resumes = False
    client = desk.joined()
    client.patch(title("mine"), is_text=True)
    desk.server.carry()
    desk.connection.look()
    desk.server.take(None, None, title("mine and theirs"))
    desk.connection.cut()
    desk.until(client, Status.JOINED)
    assert client.pending == 1
    assert client.document is not None
    assert client.document["title"] == "mine and theirs"
    desk.server.acknowledges = True
    desk.connection.cut()
    desk.until(client, Status.JOINED)
    desk.server.settle()
    assert client.pending == 0
    assert client.document["title"] == desk.server.document.content["title"] == "mine and theirs"


def test_pyc17_parts_say_of_what_their_texts_were_made(desk: Desk) -> None:
    desk.server.take(None, None, crowd(60))
    desk.server.limits = {"max_patch_bytes": 2000}
    client = desk.joined()
    nodes = {f"n{n}": {"data": {"label": f"n{n} {'x' * 40}"}} for n in range(60)}
    client.patch({"nodes": nodes}, is_text=True)
    desk.server.settle()
    parts = desk.connection.events("patch")
    said = [part["bases"].keys() for part in parts]
    assert len(parts) > 1
    assert said == [{f"/nodes/{one}/data/label" for one in p["patch"]["nodes"]} for p in parts]


def test_pyc17_texts_go_without_where_the_frame_has_no_room(desk: Desk) -> None:
    desk.server.take(None, None, title("x" * 400))
    desk.server.limits = {"max_frame_bytes": FRAME_ROOM + 300}
    client = desk.joined()
    done = client.patch(title("y" * 200), is_text=True)
    desk.server.settle()
    assert result(done) == 2
    assert "bases" not in desk.connection.events("patch")[0]


# who it is by (ACC109)


def test_acc109_a_patch_may_be_marked_with_tags(desk: Desk) -> None:
    client = desk.joined()
    marks: dict[str, object] = {"run": 7}
    done = client.patch(title("a"), tags=marks)
    marks["run"] = 8
    client.patch(title("b"))
    client.patch(title("c"), tags={})
    desk.server.settle()
    assert result(done) == 1
    assert [one.get("tags") for one in desk.connection.events("patch")] == [{"run": 7}, None, None]
    arrived = [event for event in desk.told if isinstance(event, EntriesArrived)]
    assert [one.tags for event in arrived for one in event.entries] == [{"run": 7}, {}, {}]


def test_acc109_entries_tell_who_made_them(desk: Desk) -> None:
    desk.joined()
    actor = {"id": "ada@example.com", "kind": "guest", "name": "Ada"}
    entry = {"version": 1, "patch": title("a"), "by": "Ada", "at": 0.5, "actor": actor}
    desk.server.broadcast("entries", {"entries": [entry]})
    desk.server.settle()
    (event,) = [event for event in desk.told if isinstance(event, EntriesArrived)]
    assert [one.actor for one in event.entries] == [Actor("ada@example.com", "guest", "Ada")]


def test_acc109_parts_of_a_patch_have_its_tags(desk: Desk) -> None:
    desk.server.limits = {"max_patch_bytes": 2000}
    client = desk.joined()
    client.patch(crowd(60), tags={"run": 7})
    desk.server.settle()
    tags = [one["tags"] for one in desk.connection.events("patch")]
    assert len(tags) > 1
    assert all(one == {"run": 7} for one in tags)


def test_acc109_tags_leave_room_in_the_frame(desk: Desk) -> None:
    desk.server.limits = {"max_frame_bytes": FRAME_ROOM + 300}
    client = desk.joined()
    marks = {"run": "x" * 200}
    refused = client.patch(title("y" * 200), tags=marks)
    fits = client.patch(title("y" * 40), tags=marks)
    desk.server.settle()
    assert isinstance(result(refused), PatchTooLarge)
    assert result(fits) == 1


@pytest.mark.parametrize("tags", [[], "x", {"a": "x" * 1024}, {"a": object()}])
def test_acc109_what_cannot_be_tags_is_refused_at_once(desk: Desk, tags: Any) -> None:
    client = desk.joined()
    assert isinstance(result(client.patch(title("a"), tags=tags)), InvalidParameters)
    assert client.pending == 0
    desk.server.settle()
    assert desk.connection.events("patch") == []


class HeldKeeper(MemoryKeeper):
    """Keeps when it is told to."""

    def __init__(self) -> None:
        self.saving: list[Deferred[None]] = []

    def save(self) -> Deferred[None]:
        saved: Deferred[None] = Deferred()
        self.saving.append(saved)
        return saved

    def finish(self, result: Failure | None = None) -> None:
        saving, self.saving = self.saving, []
        for saved in saving:
            saved.callback(result)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> HeldKeeper:
    keeper = HeldKeeper()
    monkeypatch.setattr("helix.client.flow.MemoryKeeper", lambda: keeper)
    return keeper


def test_pyc16_pyc10_parts_are_kept_before_they_are_sent(desk: Desk, held: HeldKeeper) -> None:
    """Else they would be sent under other numbers by whoever finds the whole in the outbox."""
    desk.server.limits = {"max_patch_bytes": 1500}
    client = desk.joined()
    done = [client.patch(crowd(30)), client.patch(title("after"))]
    held.finish()
    desk.server.settle()
    assert op_ids(desk.connection) == []
    held.finish()
    desk.server.settle()
    held.finish()
    assert [result(one) for one in done] == [len(desk.server.log) - 1, len(desk.server.log)]
    assert desk.server.log[-1]["patch"] == title("after")


def test_pyc16_parts_that_cannot_be_kept_are_refused(desk: Desk, held: HeldKeeper) -> None:
    desk.server.limits = {"max_patch_bytes": 1500}
    client = desk.joined()
    done = [client.patch(crowd(30)), client.patch(title("after"))]
    held.finish()
    held.finish(Failure(OutboxUnusable()))
    desk.server.settle()
    held.finish()
    assert isinstance(result(done[0]), OutboxUnusable)
    assert result(done[1]) == 1
    assert client.document == desk.server.document.content


# what the server tells


def test_pyc6_gap_leads_to_a_resume(desk: Desk) -> None:
    client = desk.joined()
    for n in range(3):
        desk.server.take(None, None, title(str(n)))
    del desk.connection.leaving[0]
    desk.server.settle()
    desk.until(client, Status.JOINED)
    assert client.version == 3
    assert len(desk.server.connections) == 1
    assert [one.get("version") for one in desk.connection.events("phx_join")] == [None, 0]
    assert client.document == desk.server.document.content


def test_pyc6_reset_forgets_what_there_was(desk: Desk) -> None:
    client = desk.joined()
    client.patch(ADD_N1)
    desk.server.settle()
    mine = client.patch(title("mine"))
    desk.server.replace("e2")
    desk.server.settle()
    assert client.epoch == "e2"
    assert client.document is not None
    assert client.document["nodes"] == {}
    assert client.document["title"] == "mine"
    assert result(mine) == 1
    assert DocumentReplaced("e2", 0) in desk.told


def test_pyc6_what_cant_be_taken_leads_to_the_whole_document(desk: Desk) -> None:
    client = desk.joined()
    desk.server.take(None, None, title("t"))
    desk.connection.leaving.clear()
    bad = {"version": 1, "patch": {"nodes": 3}, "client_id": None, "op_id": None}
    desk.server.broadcast("entries", {"entries": [bad]})
    desk.server.settle()
    desk.until(client, Status.JOINED)
    assert client.document == desk.server.document.content
    assert "version" not in desk.connection.events("phx_join")[-1]
    assert len(desk.failures) == 1
    desk.failures.clear()


def test_pyc6_message_that_is_none_ends_the_connection(desk: Desk) -> None:
    client = desk.joined()
    desk.connection.protocol.sendMessage(b"[1, 2")
    desk.server.settle()
    assert client.status is not Status.JOINED
    desk.until(client, Status.JOINED)
    assert len(desk.server.connections) == 2


def test_pyc6_events_that_it_doesnt_know_are_nothing(desk: Desk) -> None:
    client = desk.joined()
    desk.server.broadcast("cursors", {"x": {}})
    desk.server.broadcast("presence_diff", {"joins": {}, "leaves": {}})
    desk.server.settle()
    assert client.status is Status.JOINED
    assert len(desk.server.connections) == 1


# connecting


@given(st.integers(0, 2**32), st.integers(1, 40))
def test_pyc7_waits_are_drawn_from_zero_to_a_bound_that_doubles(seed: int, count: int) -> None:
    backoff = Backoff(Random(seed))
    waits = [backoff.next() for _ in range(count)]
    assert all(0 <= wait <= min(CAP, BASE * 2**n) for n, wait in enumerate(waits))
    backoff.reset()
    assert backoff.next() <= BASE


def test_pyc7_waits_are_spread() -> None:
    backoffs = [Backoff(Random(seed)) for seed in range(200)]
    waits = sorted(backoff.next() for backoff in backoffs)
    assert waits[20] < 0.25 * BASE
    assert waits[180] > 0.75 * BASE


def test_pyc7_server_that_is_away_is_tried_less_and_less_often(desk: Desk) -> None:
    desk.server.refuses = True
    client = desk.client()
    desk.server.run(300, 0.5)
    attempts = desk.endpoint.attempts
    assert 15 < len(attempts) < 80
    gaps = [b - a for a, b in itertools.pairwise(attempts)]
    assert max(gaps) <= CAP + 0.5
    assert max(gaps[-10:]) > 1
    assert client.status in (Status.OFFLINE, Status.CONNECTING)
    desk.server.refuses = False
    desk.until(client, Status.JOINED)
    reasons = [event.reason for event in desk.told if isinstance(event, StatusChanged)]
    assert any("nobody listens" in str(reason) for reason in reasons)


class Latest(Random):
    """Draws the longest wait each time."""

    def uniform(self, a: float, b: float) -> float:
        return b


def test_pyc7_a_join_that_lasted_begins_anew(desk: Desk) -> None:
    client = desk.joined(random=Latest())
    waits = []
    for stays in (0.1, 0.1, 0.1, 0.1, STABLE + 0.1, 0.1):
        desk.server.run(stays)
        desk.connection.cut()
        desk.server.settle()
        lost = desk.clock.seconds()
        desk.until(client, Status.JOINED)
        waits.append(round(desk.clock.seconds() - lost, 1))
    assert waits == [0.1, 0.2, 0.4, 0.8, 0.1, 0.2]


def test_pyc7_connecting_is_bounded(desk: Desk) -> None:
    desk.server.hangs = True
    client = desk.client()
    desk.server.run(CONNECT_TIMEOUT + 0.1)
    assert client.status is not Status.JOINED
    reasons = [str(event.reason) for event in desk.told if isinstance(event, StatusChanged)]
    assert "the server can't be reached in time" in reasons
    desk.server.hangs = False
    desk.until(client, Status.JOINED)


def test_pyc7_opening_the_websocket_is_bounded(desk: Desk) -> None:
    client = desk.client()
    desk.clock.advance(CONNECT_TIMEOUT - 0.1)
    assert client.status is Status.CONNECTING
    desk.clock.advance(0.2)
    desk.clock.advance(0)
    assert client.status is Status.OFFLINE
    assert desk.connection.there.lost


def test_pyc7_answer_to_a_join_is_bounded(desk: Desk) -> None:
    client = desk.client()
    for _ in range(round(JOIN_TIMEOUT / 0.5) + 1):
        desk.clock.advance(0.5)
        desk.server.carry()
    assert client.status is not Status.JOINED
    assert desk.connection.there.lost or len(desk.server.connections) > 1
    desk.until(client, Status.JOINED)


def test_pyc7_a_large_document_may_come_slowly(desk: Desk) -> None:
    """A byte now and then, for minutes; no heartbeat is answered before all of it is there."""
    desk.server.take(None, None, {"data": {"long": "x" * 3000}})
    client = desk.client()
    desk.server.carry()
    for _ in range(200):
        assert len(desk.server.connections) == 1
        desk.server.room = 20
        desk.server.settle()
        desk.clock.advance(0.9 * JOIN_TIMEOUT)
    assert client.status is Status.JOINED
    assert client.document == desk.server.document.content
    desk.server.room = None


def test_pyc7_a_large_document_that_stops_coming_is_given_up(desk: Desk) -> None:
    desk.server.take(None, None, {"data": {"long": "x" * 3000}})
    client = desk.client()
    desk.server.carry()
    for _ in range(10):
        desk.server.room = 20
        desk.server.settle()
        desk.clock.advance(0.9 * JOIN_TIMEOUT)
    assert len(desk.server.connections) == 1
    desk.clock.advance(0.2 * JOIN_TIMEOUT)
    desk.server.room = None
    desk.until(client, Status.JOINED)
    assert len(desk.server.connections) == 2


def test_pyc7_answer_to_a_patch_is_bounded(desk: Desk) -> None:
    client = desk.joined()
    desk.server.acknowledges = False
    done = client.patch({"title": ""})  # of which there will be no entry
    desk.server.run(PUSH_TIMEOUT - 1, 0.5)
    assert len(desk.server.connections) == 1
    desk.server.acknowledges = True
    desk.server.run(2)
    assert len(desk.server.connections) == 2
    desk.until(client, Status.JOINED)
    assert result(done) == 0


def test_pyc7_heartbeats(desk: Desk) -> None:
    desk.joined()
    desk.server.run(5 * HEARTBEAT + 1, 0.5)
    assert len(desk.connection.events("heartbeat")) == 5
    assert len(desk.server.connections) == 1


def test_pyc7_heartbeat_without_an_answer_ends_the_connection(desk: Desk) -> None:
    client = desk.joined()
    desk.server.answers_heartbeats = False
    desk.server.run(2 * HEARTBEAT - 1, 0.5)
    assert len(desk.server.connections) == 1
    desk.server.answers_heartbeats = True
    desk.server.run(2, 0.5)
    desk.until(client, Status.JOINED)
    assert len(desk.server.connections) == 2


def test_pyc7_never_two_connections(desk: Desk) -> None:
    client = desk.joined()
    random = Random(3)
    for _ in range(60):
        kind = random.choice(["cut", "close", "phx_error", "wait"])
        if desk.server.open_connections and kind != "wait":
            connection = desk.server.open_connections[-1]
            if kind == "cut":
                connection.cut()
            elif kind == "close":
                connection.close(1012)
            elif connection.join_ref is not None:
                connection.end("phx_error")
        desk.server.run(random.choice([0.05, 0.5, 3]))
        assert len(desk.server.open_connections) <= 1
    desk.until(client, Status.JOINED)


# the end


def test_pyc8_crash_of_the_channel_is_no_end_of_the_connection(desk: Desk) -> None:
    client = desk.joined()
    done = client.patch(title("t"))
    desk.connection.end("phx_error")
    desk.server.settle()
    desk.until(client, Status.JOINED)
    assert result(done) == 1
    assert len(desk.server.connections) == 1
    assert len(desk.connection.events("phx_join")) == 2


def test_pyc8_close_of_an_old_channel_is_nothing(desk: Desk) -> None:
    client = desk.joined()
    old = desk.connection.join_ref
    desk.connection.end("phx_error")
    desk.until(client, Status.JOINED)
    desk.connection.push(old, old, "phx_close", {})
    desk.server.settle()
    assert client.status is Status.JOINED


def test_pyc8_session_that_is_ended_is_joined_again(desk: Desk) -> None:
    client = desk.joined()
    done = client.patch(title("t"))
    desk.server.broadcast("session_ended", {"flow_id": FLOW, "timestamp": 1, "by": "Ada"})
    desk.connection.end("phx_error")
    desk.until(client, Status.JOINED)
    desk.server.settle()
    assert result(done) == 1
    reasons = [event.reason for event in desk.told if isinstance(event, StatusChanged)]
    assert [str(reason) for reason in reasons if reason] == ["the session was ended by Ada"]


def test_pyc8_client_that_is_replaced_stays_away(desk: Desk) -> None:
    """Else two with one ``client_id`` would take each other's place for ever."""
    client = desk.joined()
    desk.server.acknowledges = False
    done = client.patch({"title": ""})
    desk.server.settle()
    desk.connection.push(desk.connection.join_ref, None, "replaced", {})
    desk.connection.end("phx_close")
    desk.server.run(60)
    assert client.status is Status.CLOSED
    error = result(done)
    assert isinstance(error, Refused)
    assert error.code == "replaced"
    assert len(desk.server.connections) == 1


def test_pyc8_deleted_flow(desk: Desk) -> None:
    client = desk.joined()
    desk.server.acknowledges = False
    done = client.patch({"title": ""})
    desk.server.settle()
    desk.server.broadcast("flow_deleted", {"flow_id": FLOW, "timestamp": 1})
    desk.connection.end("phx_close")
    desk.server.run(60)
    assert client.status is Status.CLOSED
    assert isinstance(result(done), FlowDeleted)
    assert isinstance(result(client.patch(title("t"))), FlowDeleted)
    assert len(desk.server.connections) == 1
    assert desk.moves == ["connecting", "joined", "closed"]


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({"by": "Ada"}, "The flow was deleted by Ada"),
        ({"by": ""}, "The flow was deleted"),
        ({"by": 5}, "The flow was deleted"),
        ([], "The flow was deleted"),
    ],
)
def test_pyc8_by_whom_a_flow_was_deleted_is_told(desk: Desk, payload: object, message: str) -> None:
    client = desk.joined()
    desk.server.broadcast("flow_deleted", payload)
    desk.connection.end("phx_close")
    desk.server.run(60)
    assert str(result(client.patch(title("t")))) == message


@pytest.mark.parametrize("says", ["retry", "phx_close"])
def test_pyc8_join_that_is_refused_for_good(desk: Desk, says: str) -> None:
    desk.server.join_error = {"reason": "no", "code": "flow_deleted"}
    if says == "retry":
        desk.server.join_error["retry"] = False
    client = FlowClient(desk.clock, URL, FLOW, endpoint=desk.endpoint, random=Latest())
    desk.clients.append(client)
    started = client.start()
    desk.server.settle()
    if says == "phx_close":
        join_ref = desk.connection.seen[-1][0]
        desk.connection.push(join_ref, join_ref, "phx_close", {})
    desk.server.run(60)
    assert client.status is Status.CLOSED
    error = result(started)
    assert isinstance(error, Refused)
    assert error.code == "flow_deleted"
    assert len(desk.connection.events("phx_join")) == 1


def test_pyc8_join_that_is_refused_for_now(desk: Desk) -> None:
    desk.server.join_error = {"reason": "full", "code": "max_clients_reached", "retry": True}
    client = desk.client()
    desk.server.run(3)
    assert len(desk.connection.events("phx_join")) > 2
    desk.server.join_error = None
    desk.until(client, Status.JOINED)
    assert len(desk.server.connections) == 1


@pytest.mark.parametrize(("code", "comes_back"), [(1012, True), (4001, True), (4500, False)])
def test_pyc8_close_codes(desk: Desk, code: int, comes_back: bool) -> None:
    client = desk.joined()
    desk.connection.close(code)
    desk.server.run(5)
    assert client.status is (Status.JOINED if comes_back else Status.CLOSED)
    assert len(desk.server.connections) == 1 + comes_back


def test_pyc8_channel_that_the_server_doesnt_know(desk: Desk) -> None:
    client = desk.joined()
    desk.connection.join_ref = None
    done = client.patch(title("t"))
    desk.server.settle()
    desk.until(client, Status.JOINED)
    assert result(done) == 1
    assert len(desk.server.connections) == 1


# listeners


def test_pyc11_listeners_are_told_what_the_document_shows(desk: Desk) -> None:
    client = desk.joined()
    seen: list[Any] = []

    def listener(event: FlowEvent) -> None:
        assert client.document is not None
        if isinstance(event, EntriesArrived):
            seen.append((client.version, client.document["title"], event.entries))

    forget = client.listen(listener)
    desk.server.take("other", 7, title("t"))
    desk.server.settle()
    ((version, shown, (entry,)),) = seen
    assert (version, shown) == (1, "t")
    assert (entry.version, entry.client_id, entry.op_id) == (1, public_id("other"), 7)
    assert (entry.patch, entry.at) == ({"title": "t"}, 0.5)
    forget()
    desk.server.take("other", 8, title("u"))
    desk.server.settle()
    assert len(seen) == 1
    assert desk.moves == ["connecting", "joined"]


def test_pyc11_listener_that_fails_harms_nobody(desk: Desk) -> None:
    def fail(event: FlowEvent) -> None:
        raise RuntimeError("mine")

    client = desk.client()
    client.listen(fail)
    told: list[FlowEvent] = []
    client.listen(told.append)
    desk.server.settle()
    assert client.status is Status.JOINED
    assert told
    assert {type(failure) for failure in desk.failures} == {RuntimeError}
    assert result(client.stop()) is None
    desk.server.run(1)
    desk.failures.clear()


def test_pyc11_listener_may_patch(desk: Desk) -> None:
    client = desk.joined()

    def answer(event: FlowEvent) -> None:
        if isinstance(event, EntriesArrived) and event.entries[-1].client_id != client.client_id:
            client.patch({"description": f"after {client.version}"})

    client.listen(answer)
    desk.server.take(None, None, title("t"))
    desk.server.settle()
    assert desk.server.document.content["description"] == "after 1"
    assert client.document == desk.server.document.content


# stopping


@pytest.mark.parametrize(
    "when", ["unstarted", "connecting", "opening", "joining", "joined", "away"]
)
def test_pyc12_nothing_is_left_after_a_stop(desk: Desk, when: str) -> None:
    desk.server.hangs = when == "connecting"
    client = FlowClient(desk.clock, URL, FLOW, endpoint=desk.endpoint)
    desk.clients.append(client)
    started = None if when == "unstarted" else client.start()
    if when in ("joined", "away"):
        desk.server.settle()
    if when == "joining":
        desk.server.carry()
    if when == "away":
        desk.server.refuses = True
        desk.connection.cut()
        desk.server.settle()
    stopped = client.stop()
    desk.server.run(3)
    assert stopped.called
    assert client.status is Status.CLOSED
    assert not desk.clock.getDelayedCalls()
    if started is not None and when in ("connecting", "opening", "joining"):
        assert isinstance(result(started), ClientStopped)


STOPPED_AT = ["connecting", "offline", "document", "joined", "entries", "closed"]


@pytest.mark.parametrize("when", STOPPED_AT)
def test_pyc12_listener_may_stop(desk: Desk, when: str) -> None:
    client = FlowClient(desk.clock, URL, FLOW, endpoint=desk.endpoint)
    desk.clients.append(client)
    stopped: list[Deferred[None]] = []

    def listener(event: FlowEvent) -> None:
        kind = "document" if isinstance(event, DocumentReplaced) else "entries"
        if (event.status.value if isinstance(event, StatusChanged) else kind) == when:
            stopped.append(client.stop())

    client.listen(listener)
    desk.server.refuses = when == "offline"
    client.start().addErrback(lambda failure: failure.trap(ClientStopped) and None)
    desk.server.settle()
    if when == "entries":
        desk.server.take(None, None, title("t"))
    if when == "closed" and desk.server.open_connections:
        desk.connection.end("phx_close")
    desk.server.run(3)
    assert [one.called for one in stopped] == [True]
    assert client.status is Status.CLOSED
    assert not desk.clock.getDelayedCalls()


def test_pyc12_stop_as_soon_as_it_has_joined(desk: Desk) -> None:
    client = FlowClient(desk.clock, URL, FLOW, endpoint=desk.endpoint)
    desk.clients.append(client)
    stopped = client.start().addCallback(lambda _: client.stop())
    desk.server.run(3)
    assert stopped.called


def test_pyc12_patches_that_wait_fail(desk: Desk) -> None:
    client = desk.joined()
    done = client.patch(title("t"))
    stopped = client.stop()
    assert isinstance(result(client.patch(title("u"))), ClientStopped)
    desk.server.settle()
    assert stopped.called
    assert isinstance(result(done), ClientStopped)
    assert desk.moves == ["connecting", "joined", "closed"]
    assert desk.connection.protocol.remoteCloseCode == 1000


def test_pyc12_server_that_doesnt_answer_the_close(desk: Desk) -> None:
    client = desk.joined()
    stopped = client.stop()
    desk.clock.advance(2.1)
    desk.clock.advance(0)
    assert stopped.called


# addresses


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://127.0.0.1:4000", "ws://127.0.0.1:4000/socket/websocket?vsn=2.0.0"),
        ("http://h:1/helix/", "ws://h:1/helix/socket/websocket?vsn=2.0.0"),
        ("wss://h", "wss://h:443/socket/websocket?vsn=2.0.0"),
        ("ws://[::1]:5/socket/websocket", "ws://[::1]:5/socket/websocket?vsn=2.0.0"),
        ("ws://h:1/helix/socket", "ws://h:1/helix/socket/websocket?vsn=2.0.0"),
    ],
)
def test_pyc7_addresses(url: str, address: str) -> None:
    assert Address.of(url).url == address


@pytest.mark.parametrize(
    ("url", "site"),
    [
        ("http://127.0.0.1:4000/", "http://127.0.0.1:4000"),
        ("ws://h:1/helix/socket", "http://h:1/helix"),
        ("wss://[::1]", "https://[::1]:443"),
    ],
)
def test_pyc7_rest_is_at_the_same_address(url: str, site: str) -> None:
    assert Address.of(url).site == site


@pytest.mark.parametrize("url", ["", "127.0.0.1:4000", "ftp://h", "http://", "http://h:x"])
def test_pyc7_what_is_no_address(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL|[Pp]ort"):
        FlowClient(Clock(), url, FLOW)


def test_pyc7_what_is_no_flow() -> None:
    with pytest.raises(InvalidFlowId):
        FlowClient(Clock(), URL, "\n")


# everything at once

STEPS = st.lists(
    st.tuples(st.sampled_from("abc"), st.just("patch"), FLOW_PATCHES)
    | st.tuples(
        st.sampled_from("abc"),
        st.just("touch"),
        st.sampled_from(["look", "send", "look", "send", "look", "send", "cut", "crash"]),
    )
    | st.tuples(st.just("a"), st.just("refuse"), st.none())
    | st.tuples(st.just("a"), st.just("wait"), st.sampled_from([0.01, 0.2, 2.0, 31.0])),
    max_size=60,
)


class Storm:
    """Three clients, to whom anything happens."""

    def __init__(self) -> None:
        self.desk = Desk()
        self.clients = {
            name: self.desk.client(client_id=name, random=Random(name)) for name in "abc"
        }
        self.desk.server.settle()
        self.outcomes: dict[tuple[str, int], Any] = {}

    def patch(self, name: str, patch: Any) -> None:
        key = (name, sum(1 for one in self.outcomes if one[0] == name) + 1)
        self.outcomes[key] = None
        self.clients[name].patch(copy.deepcopy(patch)).addBoth(
            lambda outcome: self.outcomes.__setitem__(key, outcome)
        )

    def wait(self, name: str, seconds: float) -> None:
        self.desk.clock.advance(seconds)

    def refuse(self, name: str, _: None) -> None:
        self.desk.server.refuse_for_now += 1

    def touch(self, name: str, what: str) -> None:
        """Do something to the connection of a client."""
        for connection in self.desk.server.open_connections:
            if connection.client_id in (name, ""):
                if what != "crash":
                    getattr(connection, what)()
                elif connection.join_ref is not None:
                    connection.end("phx_error")
                return

    def calm_down(self) -> None:
        for client in self.clients.values():
            self.desk.until(client, Status.JOINED, 200)
        self.desk.server.run(100, 0.5)

    def check(self) -> None:
        server = self.desk.server
        for client in self.clients.values():
            assert client.pending == 0
            assert client.version == len(server.log)
            assert client.document == server.document.content
        named = [(entry["client_id"], entry["op_id"]) for entry in server.log]
        assert len(named) == len(set(named))
        for key, outcome in self.outcomes.items():
            if isinstance(outcome, int):
                held = server.known.get(key[0], {}).get(key[1])
                assert held == outcome if held is not None else key in server.judged
            else:
                assert outcome.check(Refused)
                assert (public_id(key[0]), key[1]) not in named


@given(STEPS)
@settings(max_examples=100)
def test_pyc3_every_patch_is_in_the_log_once_whatever_happens(steps: list[Any]) -> None:
    storm = Storm()
    try:
        for name, what, argument in steps:
            getattr(storm, what)(name, argument)
            storm.desk.server.carry()
        storm.calm_down()
        storm.check()
    finally:
        storm.desk.close()


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"client_id": "toString"}, InvalidParameters),
        ({"client_id": ""}, InvalidParameters),
        ({"user": {"id": "valueOf"}}, InvalidParameters),
        ({"flow_id": ".."}, InvalidFlowId),
    ],
)
def test_pyc9_names_that_no_server_takes_are_refused_at_once(
    given: dict[str, Any], error: type[HelixError]
) -> None:
    with pytest.raises(error):
        FlowClient(Clock(), URL, **{"flow_id": FLOW, **given})
