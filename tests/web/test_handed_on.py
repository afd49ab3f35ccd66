"""Long polling that reaches another node than the session's. (docs/spec.md, NOD70, NOD71)"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed

from helix.limits.rate_limit import BURST_SECONDS
from helix.nodes.asking import TWICE_SECONDS
from helix.nodes.messages import Question, decode
from helix.store.memory import MemoryStore
from helix.web import handed_on
from helix.web.handed_on import (
    BURST_BYTES,
    FIRST_BYTES,
    PATIENCE,
    PIECE_BYTES,
    TAKEN_BACK_SECONDS,
    WRITING_SECONDS,
)
from helix.web.long_poll import MAX_LINES, POLL_TIMEOUT, SESSION_TIMEOUT, PollingClient
from tests.support.bus import Bus
from tests.support.logs import logged
from tests.support.memory_clients import Answer, MemoryConnection, Poller
from tests.support.stack import Stack
from tests.support.world import open_memory_store

__all__ = ["logged"]

pytestmark = pytest.mark.usefixtures("logged")

TYPE = ("Content-Type", "application/x-ndjson")


class Two:
    """
    Two nodes, and a member that polls whose session is on the first.

    :param options: of the nodes.
    :ivar member: sends its requests to the first node.
    """

    def __init__(self, **options: Any) -> None:
        self.bus = Bus()
        store: MemoryStore = open_memory_store()
        self.nodes = [
            Stack(lambda _: store, bus=self.bus, seed=seed, max_frame_bytes=4_000_000, **options)
            for seed in (1, 2)
        ]
        self.settle()
        self.member = Poller(self.nodes[0])
        self.member.join("a")

    def settle(self) -> None:
        for _ in range(12):
            for node in self.nodes:
                node.settle()

    def advance(self, seconds: float) -> None:
        for node in self.nodes:
            node.clock.advance(seconds)
        self.settle()

    def pass_until(self, condition: Callable[[], bool], seconds: float = 4.0) -> None:
        """Let time pass, of which there is a bound."""
        began = self.nodes[0].clock.seconds()
        while not condition():
            assert self.nodes[0].clock.seconds() - began < seconds
            self.advance(0.02)

    def poll(self, node: int) -> MemoryConnection:
        """A poll of the member that reaches a node."""
        connection = self.nodes[node].connect()
        connection.request("GET", f"/socket/longpoll?{self.member.query}")
        self.settle()
        return connection

    def post(self, node: int, *frames: list[Any]) -> MemoryConnection:
        """A POST of the member that reaches a node."""
        body = b"\n".join(json.dumps(frame).encode() for frame in frames)
        connection = self.nodes[node].connect()
        connection.request("POST", f"/socket/longpoll?{self.member.query}", [TYPE], body)
        self.settle()
        return connection

    def poll_with_messages(self, node: int, ref: int) -> str:
        """Poll, and have it answered with messages; the token that the answer gives."""
        poll = self.poll(node)
        self.post(node, ping(ref))
        token: str = poll.answer.json["token"]
        return token

    def asked(self, what: str) -> int:
        """How often nodes asked each other something."""
        said = [decode(message)[2] for _, message in self.bus.sent]
        return len([one for one in said if isinstance(one, Question) and one.what == what])


def ping(ref: int) -> list[Any]:
    return ["1", f"{ref}", "flow:a", "ping", {}]


def change(ref: int, changes: object) -> list[Any]:
    return ["1", f"{ref}", "flow:a", "flow_change", {"changes": changes}]


def messages(answer: Answer) -> list[list[Any]]:
    assert answer.json["status"] == 200
    return [json.loads(message) for message in answer.json["messages"]]


@pytest.fixture
def two() -> Two:
    return Two()


# NOD70: what comes to the wrong node


def test_nod70_polls_and_posts_may_go_to_any_node(two: Two) -> None:
    for number in range(6):
        poll = two.poll(number % 2)
        assert not poll.answers
        posted = two.post((number + number // 2) % 2, ping(number), ping(100 + number))
        assert posted.answer.json == {"status": 200}
        assert [message[1] for message in messages(poll.answer)] == [f"{number}", f"{100 + number}"]
        assert poll.answer.json["token"] == f"{two.member.token}~{number + 2}"
    assert two.asked("poll") == two.asked("post") == 3
    assert len(two.nodes[0].clients) == 1
    assert len(two.nodes[1].clients) == 0


def test_nod70_a_poll_elsewhere_waits_as_long(two: Two) -> None:
    poll = two.poll(1)
    two.advance(POLL_TIMEOUT - 0.5)
    assert not poll.answers
    two.advance(0.5)
    assert poll.answer.json == {"status": 204, "token": f"{two.member.token}~1"}


def test_nod70_the_poll_of_one_node_takes_the_place_of_that_of_another(two: Two) -> None:
    first = two.poll(1)
    second = two.poll(0)
    assert first.answer.json["status"] == 204
    third = two.poll(1)
    assert second.answer.json["status"] == 204
    two.post(1, ping(1))
    assert len(messages(third.answer)) == 1


@pytest.mark.parametrize("size", [PIECE_BYTES - 200, PIECE_BYTES + 1, 1_500_000])
def test_nod70_what_is_large_comes_in_pieces(two: Two, size: int) -> None:
    changes = "é\n" * (size // 4)
    posted = two.post(1, change(1, changes))
    two.pass_until(lambda: bool(posted.answers))
    assert posted.answer.json == {"status": 200}
    poll = two.poll(1)
    two.pass_until(lambda: bool(poll.answers))
    told = messages(poll.answer)
    updates = [one[4]["changes"] for one in told if one[3] == "flow_update"]
    assert updates == [changes]
    for node in two.nodes:
        two.advance(POLL_TIMEOUT)
        assert not [call for call in node.clock.getDelayedCalls() if "_held" in str(call)]


def test_nod70_what_is_large_does_not_flood_the_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which would take its connection for too slow, and lose what all others say."""
    monkeypatch.setattr(handed_on, "BYTES_PER_SECOND", 1_000_000)
    two = Two()
    two.post(0, change(1, "x" * 3_900_000))
    began = two.nodes[0].clock.seconds()
    poll = two.poll(1)
    two.pass_until(lambda: bool(poll.answers))
    assert len(messages(poll.answer)) == 2
    seconds = two.nodes[0].clock.seconds() - began
    assert (3_900_000 - BURST_BYTES) / 1_000_000 < seconds < 4.0


def test_nod71_who_waits_behind_others_is_not_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else all would begin anew, and so wait for as much again."""
    monkeypatch.setattr(handed_on, "BYTES_PER_SECOND", 100_000)
    two = Two()
    handed = two.nodes[0].nodes._telling.asking.responds["poll"].__self__  # type: ignore[union-attr]
    handed._bucket.owe(two.nodes[0].clock.seconds(), BURST_BYTES + 900_000)  # 9 s of others
    poll = two.poll(1)
    two.advance(POLL_TIMEOUT - 1)
    handed._bucket.owe(two.nodes[0].clock.seconds(), 900_000)
    two.post(0, change(1, "x" * 100_000))
    two.pass_until(lambda: bool(poll.answers), PATIENCE)
    assert len(messages(poll.answer)) == 2


def test_nod70_who_took_too_much_time_waits_for_the_answer_to_a_post(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As at the session's own node: it isn't given up for that."""
    seconds = float(BURST_SECONDS)

    def publish(client: PollingClient, lines: list[bytes], answer: Callable[[int], object]) -> None:
        client._clock.callLater(seconds, answer, 200)

    monkeypatch.setattr(PollingClient, "publish", publish)
    posted = two.post(1, ping(1))
    two.advance(seconds - 0.5)
    assert not posted.answers
    two.advance(0.5)
    assert posted.answer.json == {"status": 200}


def test_nod70_nothing_large_is_sent_for_a_session_that_is_not_there(two: Two) -> None:
    connection = two.nodes[1].connect()
    body = json.dumps(change(1, "x" * 1_000_000)).encode()
    connection.request("POST", f"/socket/longpoll?{two.member.query}x", [TYPE], body)
    two.settle()
    assert connection.answer.json == {"status": 410}
    assert sum(len(message) for _, message in two.bus.sent) < 10 * FIRST_BYTES


def test_nod70_the_sessions_node_refuses_as_ever(two: Two) -> None:
    assert two.post(1, *map(ping, range(MAX_LINES + 1))).answer.json == {"status": 413}
    for node in (0, 1):
        connection = two.nodes[node].connect()
        query = two.member.query + "x"
        connection.request("GET", f"/socket/longpoll?{query}")
        two.settle()
        assert connection.answer.json == {"status": 500}
        connection = two.nodes[node].connect()
        connection.request("POST", f"/socket/longpoll?{query}", [TYPE], b"[]")
        two.settle()
        assert connection.answer.json == {"status": 410}


def test_nod70_an_unknown_node_is_not_asked(two: Two) -> None:
    connection = two.nodes[1].connect()
    two.bus.sent.clear()
    connection.request("GET", "/socket/longpoll?vsn=2.0.0&token=longpoll.other.secret")
    assert connection.answer.json == {"status": 500}
    assert not two.bus.sent


def test_nod70_what_is_handed_on_counts_as_messages_and_not_as_requests() -> None:
    """As at the session's own node: else who has many colleagues could not poll."""
    two = Two(max_requests_per_second=1, max_pushes_per_second=3, address_allowance=1)

    def poll() -> MemoryConnection:
        connection = two.nodes[1].connect("10.1.2.3")
        connection.request("GET", f"/socket/longpoll?{two.member.query}")
        return connection

    polls = [poll() for _ in range(30)]
    two.settle()
    assert {one.answer.json["status"] for one in polls[:-1]} == {204}
    assert not polls[-1].answers
    assert poll().answer.json == {"status": 403}


# NOD71: nothing is lost unnoticed


def test_nod71_a_client_that_hangs_up_before_the_answer_loses_nothing(two: Two) -> None:
    poll = two.poll(1)
    poll.lose()
    two.settle()
    two.post(0, ping(1))
    two.advance(PATIENCE)
    assert [message[1] for message in messages(two.poll(1).answer)] == ["1"]


def test_nod71_one_that_hung_up_while_it_was_answered_begins_anew(two: Two) -> None:
    poll = two.poll(1)
    two.nodes[0].connect().request(
        "POST", f"/socket/longpoll?{two.member.query}", [TYPE], json.dumps(ping(1)).encode()
    )
    poll.lose()  # in the turn in which it is answered
    two.settle()
    assert two.poll(0).answer.json == {"status": 500}
    assert len(two.nodes[0].clients) == 0


@pytest.mark.parametrize("lost", ["question", "answer"])
def test_nod71_without_an_answer_in_time_the_client_begins_anew(two: Two, lost: str) -> None:
    if lost == "question":
        two.nodes[0].nodes.stopService()  # type: ignore[union-attr]  # unheard, as in a crash
        two.nodes[1].nodes._telling.neighbours.hear(two.nodes[0].nodes._telling.node)  # type: ignore[union-attr]
        poll = two.poll(1)
    else:
        poll = two.poll(1)
        two.nodes[1].nodes._broker.unsubscribe(  # type: ignore[union-attr]
            f"\0{two.nodes[1].nodes._telling.node}"  # type: ignore[union-attr]
        )
        two.post(0, ping(1))
    two.advance(PATIENCE)
    two.advance(SESSION_TIMEOUT)
    assert poll.answer.json == {"status": 500}


def test_nod71_a_piece_that_does_not_come_ends_the_session(two: Two) -> None:
    two.post(0, change(1, "x" * (2 * PIECE_BYTES)))
    respond = two.nodes[0].nodes._telling.asking.responds  # type: ignore[union-attr]
    del respond["poll_rest"]
    poll = two.poll(1)
    assert not poll.answers
    two.advance(PATIENCE)
    assert poll.answer.json == {"status": 500}
    assert len(two.nodes[0].clients) == 0


def test_nod71_while_no_node_is_heard_the_client_begins_anew(two: Two) -> None:
    two.bus.set_up(False)
    assert two.poll(1).answer.json == {"status": 500}
    assert two.post(1, ping(1)).answer.json == {"status": 410}
    assert two.poll(0).answers == []


def test_nod71_a_session_that_is_sent_away_says_so_elsewhere(two: Two) -> None:
    poll = two.poll(1)
    Deferred.fromCoroutine(two.nodes[0].clients.drain())
    two.advance(1)
    assert poll.answer.json == {"status": 500, "token": f"{two.member.token}~1"}


# NOD137: answers that are lost


@pytest.mark.parametrize("nodes", [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_nod137_a_client_whose_answer_was_lost_begins_anew(
    two: Two, nodes: tuple[int, int]
) -> None:
    """A proxy has repeated its poll: the node that had answered it died, or the line was cut."""
    first, second = nodes
    two.member.token = two.poll_with_messages(first, 1)  # came
    two.poll_with_messages(first, 2)  # is lost
    again = two.poll(second)
    assert again.answer.json == {"status": 500}
    assert len(two.nodes[0].clients) == 0


@pytest.mark.parametrize("node", [0, 1])
def test_nod137_one_that_has_had_all_goes_on(two: Two, node: int) -> None:
    """Also where polls take each other's place, or wait for nothing; and posts may be late."""
    for number in range(3):
        token = two.poll_with_messages(node, number)
        late = two.post(node, ping(10 + number))
        assert late.answer.json == {"status": 200}
        two.member.token = token
        assert len(messages(two.poll(node).answer)) == 1
        two.member.token = token = f"{token.partition('~')[0]}~{2 * number + 3}"
        polls = [two.poll(node), two.poll(1 - node)]
        assert polls[0].answer.json == {"status": 204, "token": token}
        two.advance(POLL_TIMEOUT)
        assert polls[1].answer.json == {"status": 204, "token": token}


def test_nod137_who_keeps_the_first_token_is_not_checked(two: Two) -> None:
    for number in range(3):
        two.poll_with_messages(1, number)
    assert len(two.nodes[0].clients) == 1


# NOD135: the node at which polls wait ends


def take_back(two: Two) -> Deferred[None]:
    """The second node ends."""
    return Deferred.fromCoroutine(two.nodes[1].polls.take_back())


def test_nod135_polls_that_wait_at_a_node_that_ends_come_again(two: Two) -> None:
    poll = two.poll(1)
    over = take_back(two)
    two.settle()
    assert over.called
    assert poll.answer.json == {"status": 204, "token": two.member.token}
    two.post(0, ping(1))
    assert [message[1] for message in messages(two.poll(0).answer)] == ["1"]
    late = two.poll(1)
    assert late.answer.json == {"status": 204, "token": two.member.token}


def test_nod135_a_node_goes_on_to_end_once_the_answers_are_written(two: Two) -> None:
    """The reactor writes an answer in a later turn, and nothing more once the node has ended."""
    poll = two.poll(1)
    over = take_back(two)
    for _ in range(1000):
        if poll.answers:
            break
        for node in two.nodes:
            node.clock.advance(0.001)
    assert poll.answer.json == {"status": 204, "token": two.member.token}
    assert not over.called
    two.nodes[1].clock.advance(WRITING_SECONDS)
    assert over.called


def test_nod135_a_node_at_which_no_poll_of_another_waits_ends_at_once(two: Two) -> None:
    two.poll(0)
    assert take_back(two).called


@pytest.mark.parametrize("size", [1, 3 * PIECE_BYTES])
def test_nod135_what_was_sent_at_that_moment_comes(two: Two, size: int) -> None:
    poll = two.poll(1)
    two.nodes[0].connect().request(
        "POST",
        f"/socket/longpoll?{two.member.query}",
        [TYPE],
        json.dumps(change(1, "x" * size)).encode(),
    )
    two.nodes[0].settle()
    over = take_back(two)
    assert not over.called
    two.pass_until(lambda: over.called)
    assert {message[3] for message in messages(poll.answer)} == {"phx_reply", "flow_update"}
    assert not two.poll(0).answers


def test_nod135_what_is_not_given_back_holds_up_no_end(two: Two) -> None:
    poll = two.poll(1)
    del two.nodes[0].nodes._telling.asking.responds["poll_lost"]  # type: ignore[union-attr]
    over = take_back(two)
    two.advance(TAKEN_BACK_SECONDS)
    assert over.called
    assert not poll.answers
    two.nodes[1].nodes.stopService()  # type: ignore[union-attr]
    two.settle()
    assert poll.answer.json == {"status": 500}


def test_nod71_a_question_that_comes_twice_is_taken_once(two: Two) -> None:
    """Else what the session sends would go where nobody waits for it any more."""
    poll = two.poll(1)
    (question,) = [one for one in two.bus.sent if b'"poll"' in one[1]]
    two.bus.carry(None, *question)
    two.settle()
    assert not poll.answers
    posted = two.post(1, ping(1))
    assert posted.answer.json == {"status": 200}
    (post,) = [one for one in two.bus.sent if b'"post"' in one[1]]
    two.bus.carry(None, *post)
    two.settle()
    assert [message[1] for message in messages(poll.answer)] == ["1"]
    next_poll = two.poll(1)
    two.bus.carry(None, *question)
    two.settle()
    assert not next_poll.answers
    two.post(0, ping(2))
    assert [message[1] for message in messages(next_poll.answer)] == ["2"]
    asking = two.nodes[0].nodes._telling.asking  # type: ignore[union-attr]
    two.advance(TWICE_SECONDS)
    two.post(1, ping(3))
    assert len(asking._taken) == 1


def test_nod71_what_another_version_asks_or_answers_is_no_fault(two: Two) -> None:
    asking = two.nodes[0].nodes._telling.asking  # type: ignore[union-attr]
    respond = dict(asking.responds)
    for what in ("poll", "post"):
        asking.responds[what] = lambda _: succeed(b'{"of": "another version"}')
    assert two.poll(1).answer.json == {"status": 500}
    assert two.post(1, ping(1)).answer.json == {"status": 410}
    asking.responds.update(respond)
    asked = Deferred.fromCoroutine(answer_of(two, "poll", b'{"of": "another version"}'))
    two.advance(PATIENCE)
    assert asked.result is None


async def answer_of(two: Two, what: str, body: bytes) -> bytes | None:
    asking, node = (one.nodes._telling.asking for one in two.nodes)  # type: ignore[union-attr]
    return await node.ask_one(asking.node, what, body, PATIENCE)
