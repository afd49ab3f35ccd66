"""Long polling, over the whole server in memory, with a clock that the tests turn."""

from __future__ import annotations

import base64
import json
from urllib.parse import urlencode

import pytest
from twisted.internet.defer import Deferred

from helix.channels.clients import DRAIN_INTERVAL
from helix.web.long_poll import LAST_MESSAGES, MAX_LINES, POLL_TIMEOUT, SESSION_TIMEOUT
from tests.support.logs import Log, logged
from tests.support.memory_clients import Answer, MemoryConnection
from tests.support.stack import NOW, Stack

__all__ = ["logged"]

pytestmark = pytest.mark.usefixtures("logged")

TICK = 0.25


@pytest.fixture
def stack() -> Stack:
    return Stack()


def frame(
    ref: int | str, event: str = "ping", topic: str = "flow:a", payload: object = None
) -> bytes:
    """A frame of a client that joined with the ref 1, or joins."""
    join_ref = ref if event == "phx_join" else None
    value = [join_ref, ref, topic, event, {} if payload is None else payload]
    return json.dumps(value).encode()


def assert_waits(poll: MemoryConnection) -> None:
    """``poll`` has not been answered."""
    assert not poll.answers


def assert_answered(poll: MemoryConnection, status: int) -> Answer:
    """``poll`` was answered once, with this status in the body."""
    answer = poll.answer
    assert answer.status == 200
    assert answer.content_type == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json["status"] == status
    return answer


# LPO2: opening


@pytest.mark.parametrize("query", ["", "vsn=2.0.0", "vsn=1.0.0", "vsn=2.0.0&token=", "token=users"])
def test_lpo2_a_get_without_a_session_opens_one(stack: Stack, query: str) -> None:
    connection = stack.connect()
    connection.request("GET", f"/socket/longpoll?{query}")
    answer = assert_answered(connection, 410)
    assert set(answer.json) == {"status", "token"}
    assert len(answer.json["token"]) >= 32
    assert len(stack.clients) == 1


def test_lpo2_tokens_are_never_the_same(stack: Stack) -> None:
    assert len({stack.poller().token for _ in range(50)}) == 50


def test_lpo2_the_clients_own_token_may_stand_beside_the_sessions(stack: Stack) -> None:
    poller = stack.poller("vsn=2.0.0&token=users-own")
    poller.join("a")
    assert len(stack.clients) == 1


def test_lpo2_the_sessions_token_may_be_a_header(stack: Stack) -> None:
    token = stack.poller().token
    header = ("X-Phoenix-Longpoll-Token", token)
    connection = stack.connect()
    connection.request("GET", "/socket/longpoll?vsn=2.0.0", [header])
    assert_waits(connection)
    posted = stack.request("POST", "/socket/longpoll?vsn=2.0.0", [header], frame(1, "phx_join"))
    assert posted.json == {"status": 200}
    stack.clock.advance(0)
    assert_answered(connection, 200)
    assert len(stack.clients) == 1


def test_lpo2_the_vsn_of_the_opening_counts(stack: Stack) -> None:
    poller = stack.poller("vsn=1.0.0")
    poller.post(b'{"topic":"flow:a","event":"phx_join","payload":{},"ref":"1","join_ref":"1"}')
    reply, joined = poller.messages()
    assert reply == {
        "topic": "flow:a",
        "event": "phx_reply",
        "ref": "1",
        "payload": {"status": "ok", "response": {}},
    }
    assert (joined["event"], joined["ref"]) == ("client_joined", None)


# LPO3: polling


def test_lpo3_a_poll_waits_10_seconds_then_says_204(stack: Stack) -> None:
    poll = stack.poller().start_poll()
    stack.clock.advance(POLL_TIMEOUT - TICK)
    assert_waits(poll)
    stack.clock.advance(TICK)
    answer = assert_answered(poll, 204)
    assert POLL_TIMEOUT == 10.0
    assert "messages" not in answer.json


def test_lpo3_messages_that_wait_are_had_at_once(stack: Stack) -> None:
    poller = stack.poller()
    poller.push("flow:a", "phx_join")
    poller.push("flow:a", "ping")
    poll = poller.start_poll()
    answer = assert_answered(poll, 200)
    messages = [json.loads(message) for message in answer.json["messages"]]
    assert [message[3] for message in messages] == ["phx_reply", "client_joined", "phx_reply"]
    assert answer.json["token"] == f"{poller.token}~1"


def test_lpo3_a_poll_that_waits_gets_what_comes_in_a_turn_as_one(stack: Stack) -> None:
    poller, other = stack.member("a"), stack.member("a")
    poller.poll()
    poll = poller.start_poll()
    stack.clock.advance(3)
    other.post(b"\n".join(frame(n, "flow_change", payload={"changes": n}) for n in range(3)))
    assert_waits(poll)
    stack.clock.advance(0)
    first = assert_answered(poll, 200).json["messages"]
    stack.clock.advance(0.1)
    later = poller.start_poll()
    rest = assert_answered(later, 200).json["messages"] if later.answers else []
    changes = [json.loads(message)[4]["changes"] for message in first + rest]
    assert changes == [0, 1, 2]


def test_lpo3_no_message_comes_twice(stack: Stack) -> None:
    poller = stack.member("a")
    poller.push("flow:a", "flow_change", {"changes": 1})
    assert len(poller.messages()) == 2
    assert_waits(poller.start_poll())


def test_lpo3_no_message_is_lost_between_polls(stack: Stack) -> None:
    poller, other = stack.member("a"), stack.member("a")
    seen = []
    poll = poller.start_poll()
    for number in range(60):
        other.push("flow:a", "flow_change", {"changes": number})
        stack.clock.advance(number % 3 * 0.2)
        if poll.answers:
            seen += poll.answer.json.get("messages", [])
            poll = poller.start_poll()
    for _ in range(2):
        stack.clock.advance(1)
        if poll.answers:
            seen += poll.answer.json.get("messages", [])
            poll = poller.start_poll()
    changes = [json.loads(one)[4]["changes"] for one in seen if "flow_update" in one]
    assert changes == list(range(60))


def test_lpo3_a_second_poll_takes_the_place_of_the_first(stack: Stack) -> None:
    poller = stack.member("a")
    first = poller.start_poll()
    stack.clock.advance(6)
    second = poller.start_poll()
    assert_answered(first, 204)
    stack.clock.advance(POLL_TIMEOUT - TICK)
    assert_waits(second)
    poller.push("flow:a", "ping")
    stack.clock.advance(0)
    assert_answered(second, 200)
    assert len(first.answers) == 1


def test_lpo3_polls_share_a_connection(stack: Stack) -> None:
    poller = stack.member("a")
    connection = stack.connect()
    for _ in range(3):
        connection.request("GET", f"/socket/longpoll?{poller.query}")
        stack.clock.advance(POLL_TIMEOUT)
    assert [answer.json["status"] for answer in connection.answers] == [204] * 3


def test_lpo3_a_poll_that_broke_off_takes_nothing(stack: Stack) -> None:
    poller = stack.member("a")
    lost = poller.start_poll()
    stack.clock.advance(1)
    lost.lose()
    poller.push("flow:a", "ping")
    stack.clock.advance(0)
    assert [message[3] for message in poller.messages()] == ["phx_reply"]


def test_lpo3_a_poll_that_broke_off_harms_no_later_one(stack: Stack) -> None:
    poller = stack.member("a")
    lost = poller.start_poll()
    stack.clock.advance(9)
    lost.lose()
    poll = poller.start_poll()
    stack.clock.advance(POLL_TIMEOUT - TICK)
    assert_waits(poll)


# LPO4: gone sessions


def test_lpo4_a_poll_of_an_unknown_session_says_500(stack: Stack) -> None:
    token = stack.poller().token
    restarted = Stack()
    connection = restarted.connect()
    connection.request("GET", f"/socket/longpoll?{urlencode({'vsn': '2.0.0', 'token': token})}")
    answer = assert_answered(connection, 500)
    assert answer.json == {"status": 500}
    assert len(restarted.clients) == 0


def test_lpo4_a_poll_of_a_session_that_was_closed_says_500(stack: Stack) -> None:
    poller = stack.poller()
    poller.post(b"\n".join([b"x!"] * 11))
    assert poller.poll()["status"] == 500
    assert len(stack.clients) == 0


def test_lpo4_the_poll_that_waits_hears_of_the_end(stack: Stack) -> None:
    poller = stack.member("a")
    poll = poller.start_poll()
    poller.post(b"\n".join([b"x!"] * 11))
    assert_answered(poll, 500)
    assert stack.sessions.get("a") is None


# LPO5: refusals


@pytest.mark.parametrize(
    "query", ["vsn=3.0.0", "vsn=2.1.0", "vsn=2", "vsn=x", "token=" + "x" * 9000]
)
def test_lpo5_a_refused_get_says_403(stack: Stack, query: str) -> None:
    connection = stack.connect()
    connection.request("GET", f"/socket/longpoll?{query}")
    assert assert_answered(connection, 403).json == {"status": 403}
    assert len(stack.clients) == 0


def test_lpo5_a_get_from_another_origin_says_403(stack: Stack) -> None:
    answer = stack.get("/socket/longpoll?vsn=2.0.0", ("Origin", "https://evil.test"))
    assert (answer.status, answer.json) == (200, {"status": 403})
    assert "access-control-allow-origin" not in answer.headers


def test_lpo5_another_origin_can_neither_poll_nor_post(stack: Stack) -> None:
    poller = stack.member("a")
    address = f"/socket/longpoll?{poller.query}"
    evil = ("Origin", "https://evil.test")
    poller.push("flow:a", "ping")
    assert stack.get(address, evil).json == {"status": 403}
    assert stack.request("POST", address, [evil], frame(9)).json == {"status": 403}
    assert len(poller.messages()) == 1


def test_lpo5_more_connections_than_there_may_be_are_403() -> None:
    stack = Stack(max_connections=2)
    stack.poller()
    stack.poller()
    answer = stack.get("/socket/longpoll?vsn=2.0.0")
    assert (answer.status, answer.json) == (200, {"status": 403})
    stack.clock.pump([1.0] * 16)
    stack.poller()


def test_lpo5_more_connections_from_one_address_than_may_be_are_403() -> None:
    stack = Stack(max_connections_per_address=2)
    for address in (
        "10.0.0.1",
        "10.0.0.1",
        "10.0.0.2",
        "127.0.0.1",
        "127.0.0.1",
        "127.9.9.9",
        None,
    ):
        stack.poller(address=address)
    for _ in range(3):
        stack.poller()
        stack.poller(address=None)
    for address, status in (("10.0.0.1", 403), ("10.0.0.2", 410)):
        answer = stack.request("GET", "/socket/longpoll", address=address)
        assert answer.json["status"] == status


# LPO6: posting


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\n\n \n"])
@pytest.mark.parametrize("lines", [1, 2, 97])
def test_lpo6_ndjson_is_a_frame_a_line(stack: Stack, lines: int, end: bytes) -> None:
    poller = stack.member("a")
    body = b"\n".join(frame(number) for number in range(lines)) + end
    assert poller.post(body) == {"status": 200}
    assert [message[1] for message in poller.messages()] == list(range(lines))


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_lpo6_100_lines_are_taken_and_no_more(stack: Stack, end: bytes) -> None:
    poller = stack.member("a")
    lines = [frame(number) for number in range(MAX_LINES + 1)]
    assert MAX_LINES == 100
    assert poller.post(b"\n".join(lines[:100]) + end) == {"status": 200}
    assert len(poller.messages()) == 100
    assert poller.post(b"\n".join(lines) + end) == {"status": 413}
    assert_waits(poller.start_poll())


def test_lpo6_crlf_ends_lines_too(stack: Stack) -> None:
    poller = stack.member("a")
    poller.post(b"\r\n".join(frame(number) for number in range(3)))
    assert [message[1] for message in poller.messages()] == [0, 1, 2]


@pytest.mark.parametrize(
    "content_type", ["application/json", "text/plain", "", "application/x-ndjsonx"]
)
def test_lpo6_any_other_type_is_one_frame(stack: Stack, content_type: str) -> None:
    poller = stack.member("a")
    spread = json.dumps([None, 7, "flow:a", "ping", {}], indent=1).encode()
    assert b"\n" in spread
    assert poller.post(spread, content_type) == {"status": 200}
    assert [message[1] for message in poller.messages()] == [7]


def test_lpo6_ndjson_may_have_a_charset(stack: Stack) -> None:
    poller = stack.member("a")
    body = frame(1) + b"\n" + frame(2)
    assert poller.post(body, "application/x-ndjson; charset=utf-8") == {"status": 200}
    assert len(poller.messages()) == 2


def test_lpo6_a_base64_line_is_a_binary_frame(stack: Stack) -> None:
    poller = stack.member("a")
    assert poller.push_binary("flow:a", "flow_change", bytes(range(256))) == {"status": 200}
    (reply,) = poller.messages()  # a text transport gets no binary broadcast (REL8)
    response = {"status": "ok", "response": {"status": "broadcasted"}}
    assert reply[1:] == ["9", "flow:a", "phx_reply", response]


@pytest.mark.parametrize(
    "line", [b"!", b"AAA", b"AAAA=", b"\xff", b"[\xff]", b"{", b"[]", b"AA AA"]
)
def test_lpo6_a_line_that_is_nothing_is_dropped_alone(stack: Stack, line: bytes) -> None:
    poller = stack.member("a")
    assert poller.post(b"\n".join([frame(1), line, frame(2)])) == {"status": 200}
    assert [message[1] for message in poller.messages()] == [1, 2]


def test_lpo6_the_frames_before_the_last_straw_are_answered_no_more(stack: Stack) -> None:
    poller = stack.member("a")
    poller.post(
        b"\n".join([frame(1)] + [b"!"] * 11 + [frame(2, "flow_change", payload={"changes": 1})])
    )
    assert len(stack.clients) == 0
    assert stack.sessions.get("a") is None


@pytest.mark.parametrize("query", ["", "token=users", "token=longpoll.AAAA"])
def test_lpo6_a_post_for_an_unknown_session_says_410(stack: Stack, query: str) -> None:
    answer = stack.request("POST", f"/socket/longpoll?{query}", body=frame(1))
    assert (answer.status, answer.json) == (200, {"status": 410})
    assert len(stack.clients) == 0


def test_lpo6_frames_are_bounded_to_the_byte() -> None:
    stack = Stack(max_frame_bytes=1024)
    poller = stack.member("a")
    fits = frame(1) + b" " * (1024 - len(frame(1)))
    poller.post(fits + b"\n" + fits)
    assert len(poller.messages()) == 2
    assert poller.post(frame(1) + b"\n" + fits + b" ") == {"status": 413}
    assert poller.post(fits + b" ", "application/json") == {"status": 413}
    assert_waits(poller.start_poll())


def test_lpo6_a_body_beyond_all_bounds_is_413_before_it_is_there() -> None:
    stack = Stack(max_frame_bytes=1024)
    poller = stack.poller()
    connection = stack.connect()
    connection.request("POST", f"/socket/longpoll?{poller.query}", [("Content-Length", "4097")])
    assert connection.answer.json["status"] == 413
    assert connection.transport.disconnecting


def test_lpo6_an_empty_post_is_taken(stack: Stack) -> None:
    poller = stack.poller()
    assert poller.post(b"") == {"status": 200}
    assert poller.post(b"\n") == {"status": 200}


# LPO7: the end


def test_lpo7_a_session_that_never_polls_ends_after_15_seconds(stack: Stack) -> None:
    poller = stack.poller()
    stack.clock.advance(SESSION_TIMEOUT - TICK)
    assert len(stack.clients) == 1
    stack.clock.advance(TICK)
    assert SESSION_TIMEOUT == 15.0
    assert len(stack.clients) == 0
    assert poller.poll()["status"] == 500


def test_lpo7_a_session_ends_15_seconds_after_the_answer_to_its_last_poll(stack: Stack) -> None:
    poller = stack.poller()
    for _ in range(5):
        poll = poller.start_poll()
        stack.clock.advance(POLL_TIMEOUT)
        assert_answered(poll, 204)
        stack.clock.advance(SESSION_TIMEOUT - TICK)
        assert len(stack.clients) == 1
    stack.clock.advance(TICK)
    assert len(stack.clients) == 0


def test_lpo7_posts_alone_keep_no_session(stack: Stack) -> None:
    poller = stack.poller()
    for _ in range(14):
        stack.clock.advance(1)
        poller.push("phoenix", "heartbeat")
    stack.clock.advance(1)
    assert len(stack.clients) == 0


def test_lpo7_a_poll_that_broke_off_starts_the_15_seconds(stack: Stack) -> None:
    poller = stack.poller()
    poll = poller.start_poll()
    stack.clock.advance(2)
    poll.lose()
    stack.clock.advance(SESSION_TIMEOUT - TICK)
    assert len(stack.clients) == 1
    stack.clock.advance(TICK)
    assert len(stack.clients) == 0


def test_lpo7_ses7_the_end_of_a_session_leaves_its_flows(stack: Stack) -> None:
    gone, staying = stack.member("a"), stack.member("a")
    gone.push("flow:b", "phx_join")
    for _ in range(2):
        stack.clock.advance(7.5)
        staying.start_poll()
    assert stack.sessions.get("b") is None
    session = stack.sessions.get("a")
    assert session is not None
    assert session.client_count == 1


def test_lpo7_the_others_hear_of_it(stack: Stack) -> None:
    stack.member("a")
    staying = stack.member("a")
    stack.clock.advance(8)
    poll = staying.start_poll()
    stack.clock.advance(7)
    stack.clock.advance(0)
    (left,) = assert_answered(poll, 200).json["messages"]
    assert json.loads(left)[3:] == ["client_left", {"client_count": 1, "flow_id": "a"}]


def test_lpo7_ses4_nothing_is_left_on_the_clock(stack: Stack) -> None:
    before = len(stack.clock.getDelayedCalls())
    for _ in range(20):
        poller = stack.member("a")
        poller.start_poll()
        poller.push("flow:a", "ping")
    stack.clock.pump([1.0] * 100)
    assert len(stack.clients) == 0
    assert list(stack.sessions.sessions()) == []
    assert len(stack.clock.getDelayedCalls()) == before


# LPO8: CORS


ALLOWED = ("Origin", "https://app.test")


def test_lpo8_a_preflight_of_an_allowed_origin() -> None:
    stack = Stack(allow_origin=["https://app.test"])
    answer = stack.request(
        "OPTIONS",
        "/socket/longpoll?vsn=2.0.0",
        [
            ALLOWED,
            ("Access-Control-Request-Method", "POST"),
            ("Access-Control-Request-Headers", "content-type,x-phoenix-longpoll-token"),
        ],
    )
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == "https://app.test"
    assert answer.headers["vary"].lower() == "origin"
    methods = answer.headers["access-control-allow-methods"].split(", ")
    assert {"GET", "POST"} <= set(methods)
    named = answer.headers["access-control-allow-headers"].lower().split(", ")
    assert {"content-type", "x-phoenix-authtoken", "x-phoenix-longpoll-token"} <= set(named)
    assert "access-control-allow-credentials" not in answer.headers


def test_lpo8_every_answer_to_an_allowed_origin_says_so() -> None:
    stack = Stack(allow_origin=["https://app.test"])
    poller = stack.member("a")
    address = f"/socket/longpoll?{poller.query}"
    poller.push("flow:a", "ping")
    answers = [
        stack.get("/socket/longpoll", ALLOWED),
        stack.get(address, ALLOWED),
        stack.request("POST", address, [ALLOWED], frame(1)),
        stack.get("/socket/longpoll?token=longpoll.x", ALLOWED),
        stack.get("/socket/longpoll?vsn=9.0.0", ALLOWED),
        stack.request("POST", "/socket/longpoll", [ALLOWED], frame(1)),
    ]
    assert [answer.json["status"] for answer in answers] == [410, 200, 200, 500, 403, 410]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == "https://app.test"


def test_lpo8_a_preflight_of_another_origin_allows_nothing(stack: Stack) -> None:
    answer = stack.request("OPTIONS", "/socket/longpoll", [("Origin", "https://evil.test")])
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]


def test_lpo8_a_star_allows_every_origin() -> None:
    stack = Stack(allow_origin=["*"])
    for origin in ("https://any.test", "null"):
        answer = stack.get("/socket/longpoll", ("Origin", origin))
        assert answer.json["status"] == 410
        assert answer.headers["access-control-allow-origin"] == origin


# LPO1, mailboxes, draining


def test_lpo1_the_http_status_is_200_whatever_happens(stack: Stack) -> None:
    poller = stack.poller()
    requests = [
        ("GET", ""),
        ("GET", "vsn=7"),
        ("GET", "token=longpoll.gone"),
        ("POST", "token=longpoll.gone"),
        ("POST", poller.query),
    ]
    for method, query in requests:
        body = None if method == "GET" else b"\xff" * 10
        answer = stack.request(method, f"/socket/longpoll?{query}", body=body)
        assert answer.status == 200, (method, query)


def test_slo1_a_mailbox_over_the_mark_keeps_the_newest() -> None:
    stack = Stack(high_water_mark=16 * 1024)
    asleep, awake = stack.member("a"), stack.member("a")
    for number in range(40):
        awake.push("flow:a", "flow_change", {"changes": f"{number:02}" + "x" * 1000})
        stack.clock.advance(0.1)
        awake.poll()
    messages = asleep.messages()
    updates = [int(one[4]["changes"][:2]) for one in messages if one[3] == "flow_update"]
    assert updates == sorted(set(updates))
    assert updates[-1] == 39
    assert updates[:10] == list(range(10))
    assert len(updates) < 20
    stack.clock.advance(0)
    awake.push("flow:a", "flow_change", {"changes": "after"})
    assert [one[4]["changes"] for one in asleep.messages()] == ["after"]


def test_slo2_replies_reach_a_full_mailbox() -> None:
    stack = Stack(high_water_mark=16 * 1024)
    poller = stack.member("a")
    change = json.dumps([None, "7", "flow:a", "flow_change", {"changes": "x" * 1000}]).encode()
    served = 0
    while (answer := poller.post(change)) == {"status": 200}:
        served += 1
        stack.clock.advance(0.1)
        assert served < 100, "who fetches nothing is served without end"
    assert answer == {"status": 408}
    stack.request("DELETE", "/api/sessions/a")
    messages = poller.messages()
    assert len([one for one in messages if one[3] == "phx_reply"]) == served
    assert {"flow_deleted", "phx_close"} <= {one[3] for one in messages}
    assert poller.post(change) == {"status": 200}


def test_ops4_draining_answers_the_polls_and_opens_nothing(stack: Stack) -> None:
    polling, posting = stack.member("a"), stack.member("a")
    polling.poll()
    poll = polling.start_poll()
    stack.sessions.draining = True
    draining = Deferred.fromCoroutine(stack.clients.drain())
    assert_answered(poll, 500)
    assert posting.poll()["status"] == 500
    answer = stack.get("/socket/longpoll?vsn=2.0.0")
    assert (answer.status, answer.json) == (200, {"status": 500})
    stack.clock.advance(LAST_MESSAGES)
    assert posting.post(frame(1)) == {"status": 410}
    stack.clock.advance(DRAIN_INTERVAL)
    assert draining.called
    assert len(stack.clients) == 0


def test_ops16_what_is_posted_before_the_client_knows_is_taken(stack: Stack) -> None:
    poller, other = stack.poller(), stack.poller()
    poller.push("flow:a", "phx_join", {"mode": "document", "client_id": "c"})
    stack.clock.advance(0.1)
    poller.messages()
    poll = poller.start_poll()
    stack.sessions.draining = True
    Deferred.fromCoroutine(stack.clients.drain())
    assert_answered(poll, 500)
    patch = json.dumps([None, "9", "flow:a", "patch", {"op_id": 1, "patch": {"title": "t"}}])
    assert poller.post(patch.encode()) == {"status": 200}
    assert other.poll()["status"] == 500
    stack.clock.pump([0.05] * 40)
    assert poller.post(patch.encode()) == {"status": 410}
    loaded = stack.store.load("a").result  # type: ignore[attr-defined]
    assert [entry.op_id for entry in loaded.entries] == [1]


def test_ops4_no_join_succeeds_while_the_server_drains(stack: Stack) -> None:
    pollers = [stack.poller() for _ in range(300)]
    stack.sessions.draining = True
    Deferred.fromCoroutine(stack.clients.drain())
    for poller in pollers:
        poller.push("flow:a", "phx_join")
    answers = [one for one in (poller.poll() for poller in pollers) if one["status"] == 200]
    assert 0 < len(answers) < 300
    for answer in answers:
        (reply,) = map(json.loads, answer["messages"])
        assert reply[4] == {"status": "error", "response": {"reason": "The server is restarting"}}
    stack.clock.pump([0.05] * 90)
    assert len(stack.clients) == 0
    assert list(stack.sessions.sessions()) == []


def test_con4_no_token_is_logged_at_any_level(stack: Stack, logged: Log) -> None:
    secret = "s3cret"
    encoded = base64.urlsafe_b64encode(secret.encode()).decode().rstrip("=")
    poller = stack.poller(f"vsn=2.0.0&token={secret}")
    poller.join("a")
    poller.post(b"x!")
    requests = [
        stack.get("/socket/longpoll", ("X-Phoenix-AuthToken", secret)),
        stack.get(f"/socket/longpoll?vsn=9&token={secret}"),
        stack.get(f"/socket/longpoll?token={secret}", ("Origin", "http://evil.test")),
        stack.request("PUT", f"/socket/longpoll?token={secret}"),
        stack.get(f"/socket/websocket?token={secret}"),
        stack.get(f"/nowhere?token={secret}"),
        stack.upgrade(f"token={secret}&vsn=9").answer,
        stack.upgrade("", ("Sec-WebSocket-Protocol", f"base64url.bearer.phx.{encoded}")).answer,
        stack.upgrade(f"token={secret}").answer,
    ]
    stack.clock.pump([1.0] * 30)
    assert "/socket/longpoll" in logged.text
    for shown in (logged.text, *(answer.text for answer in requests)):
        assert secret not in shown
        assert encoded not in shown
        assert poller.token not in shown


def test_lpo_now_is_the_clocks(stack: Stack) -> None:
    poller = stack.member("a")
    stack.clock.advance(0.9)
    poller.push("flow:a", "flow_change", {"changes": 1})
    assert poller.messages()[0][4]["timestamp"] == NOW
