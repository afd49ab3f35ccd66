"""REST, over the whole server in memory: every route, every error, every odd way to ask."""

from __future__ import annotations

import json
import re

import pytest
from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.defer import Deferred

from helix import __version__
from helix.channels.clients import DRAIN_INTERVAL
from tests.support.logs import Log, logged
from tests.support.memory_clients import Answer
from tests.support.stack import NOW, Stack, escaped

__all__ = ["logged"]

INACTIVE = {"active": False, "client_count": 0, "last_activity": None}

JSON = ("Content-Type", "application/json")

pytestmark = pytest.mark.usefixtures("logged")


@pytest.fixture
def stack() -> Stack:
    return Stack()


def assert_problem(
    answer: Answer, status: int, code: str, detail: str | None = None, retry: bool = False
) -> None:
    """``answer`` is the problem that it should be, and nothing else."""
    assert answer.status == status, answer.body
    assert answer.content_type == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert (answer.headers["retry-after"] is not None) == retry
    problem = answer.json
    assert set(problem) == {"title", "status", "detail", "code", "retry"}
    assert (problem["status"], problem["code"], problem["retry"]) == (status, code, retry)
    assert problem["title"]
    assert problem["detail"]
    if detail is not None:
        assert problem["detail"] == detail


def assert_json(answer: Answer, value: object) -> None:
    """``answer`` succeeded with exactly ``value``."""
    assert (answer.status, answer.content_type) == (200, "application/json"), answer.body
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json == value


# RES1: status


def test_res1_status_of_a_live_flow(stack: Stack) -> None:
    stack.member("a")
    stack.clock.advance(7)
    second = stack.member("a")
    assert_json(
        stack.get("/api/flows/a/status"),
        {"active": True, "client_count": 2, "last_activity": NOW + 7},
    )
    stack.clock.advance(2)
    second.push("flow:a", "flow_change", {"changes": 1})
    stack.clock.advance(1)
    assert stack.get("/api/flows/a/status").json["last_activity"] == NOW + 9


def test_res1_status_after_the_last_leave_is_inactive(stack: Stack) -> None:
    member = stack.member("a")
    member.push("flow:a", "phx_leave")
    assert_json(stack.get("/api/flows/a/status"), INACTIVE)


def test_res1_status_is_a_look_and_not_an_activity(stack: Stack) -> None:
    stack.member("a")
    stack.clock.advance(5)
    stack.get("/api/flows/a/status")
    assert stack.get("/api/flows/a/status").json["last_activity"] == NOW


@pytest.mark.parametrize(
    "address",
    [
        "unknown",
        "",
        "%20",
        "%09",
        "%0A",
        "a%0Ab",
        "a%0A",
        "a%00b",
        "%7F",
        "%C2%85",
        "%2F%0A",
        "x" * 256,
        "%C3%A9" * 128,
        "%FF",
        "%ED%A0%80",
        "..",
        ".",
        "a%2Fstatus",
        "sync",
    ],
)
def test_res1_status_of_what_cant_be_an_id_is_inactive(stack: Stack, address: str) -> None:
    assert_json(stack.get(f"/api/flows/{address}/status"), INACTIVE)


AWKWARD_IDS = [
    "plain",
    "two words",
    "über/größe",
    "流れ🌊",
    "50%",
    "a+b&c=d;e?f#g",
    "a//b",
    "a/",
    "status",
    "x/sync",
    "...",
    "x" * 255,
    '"quoted" \\ back',
]


@pytest.mark.parametrize("flow_id", AWKWARD_IDS)
def test_res1_ids_are_addressed_percent_encoded(stack: Stack, flow_id: str) -> None:
    stack.member(flow_id)
    assert stack.get(f"/api/flows/{escaped(flow_id)}/status").json["active"] is True


SLASHED_IDS = ["/a", "/", "//", "/a/b/", "/status", "//a"]


@pytest.mark.parametrize("flow_id", SLASHED_IDS)
def test_res1_ids_that_begin_with_a_slash_are_addressed(stack: Stack, flow_id: str) -> None:
    stack.member(flow_id)
    assert stack.get(f"/api/flows/{escaped(flow_id)}/status").json["active"] is True


def test_res1_ids_are_trimmed_as_those_of_topics(stack: Stack) -> None:
    stack.member("  a ")
    assert stack.get("/api/flows/a/status").json["active"] is True
    assert stack.get("/api/flows/%20a%20%20/status").json["active"] is True
    assert stack.get("/api/flows/%1F%0Aa%1F/status").json["active"] is True


def test_res1_a_slash_may_stand_for_itself(stack: Stack) -> None:
    stack.member("a/b")
    assert stack.get("/api/flows/a/b/status").json["active"] is True


# RES2: sync


def test_res2_sync_broadcasts_to_all_members(stack: Stack) -> None:
    members = [stack.member("a") for _ in range(3)]
    for member in members[:-1]:
        assert {message[3] for message in member.messages()} == {"client_joined"}
    stack.clock.advance(1)
    body = b'{"changes": {"b": [1.50, "\\u00e9"],  "a":null}}'
    answer = stack.post_json("/api/flows/a/sync", body)
    assert_json(answer, {"success": True, "message": "Changes sent to 3 clients"})
    for member in members:
        (message,) = member.poll()["messages"]
        assert message == (
            '[null,null,"flow:a","flow_update",{"changes":{"b": [1.50, "\\u00e9"],  "a":null},'
            f'"timestamp":{NOW + 1}}}]'
        )
    assert stack.get("/api/flows/a/status").json["last_activity"] == NOW + 1


@pytest.mark.parametrize(("members", "message"), [(0, "0 clients"), (1, "1 client")])
def test_res2_sync_says_how_many_were_told(stack: Stack, members: int, message: str) -> None:
    for _ in range(members):
        stack.member("a")
    answer = stack.post_json("/api/flows/a/sync", {"changes": []})
    assert_json(answer, {"success": True, "message": f"Changes sent to {message}"})


@pytest.mark.parametrize("changes", ["null", "false", "0", '""', "{}", "[[[]]]", "1e400"])
def test_res2_changes_are_any_json_and_passed_on_byte_for_byte(stack: Stack, changes: str) -> None:
    member = stack.member("a")
    answer = stack.post_json("/api/flows/a/sync", b'{"changes":%b}' % changes.encode())
    assert answer.status == 200
    (message,) = member.poll()["messages"]
    assert f'{{"changes":{changes},"timestamp":' in message


def test_frm8_res2_half_of_a_surrogate_pair_becomes_u_fffd(stack: Stack) -> None:
    """RFC 8259 allows it, and ``JSON.stringify`` writes it for a string cut within an emoji."""
    member = stack.member("a")
    assert stack.post_json("/api/flows/a/sync", rb'{"changes":"\ud83d"}').status == 200
    (message,) = member.poll()["messages"]
    assert rb'{"changes":"\ufffd",' in message.encode()


def test_res2_what_else_the_body_holds_is_left_out(stack: Stack) -> None:
    member = stack.member("a")
    stack.post_json("/api/flows/a/sync", {"x": 1, "changes": 2, "timestamp": 3})
    (message,) = member.messages()
    assert message[4] == {"changes": 2, "timestamp": NOW}


@pytest.mark.parametrize("flow_id", [*AWKWARD_IDS, *SLASHED_IDS])
def test_res2_sync_addresses_every_id(stack: Stack, flow_id: str) -> None:
    stack.member(flow_id)
    answer = stack.post_json(f"/api/flows/{escaped(flow_id)}/sync", {"changes": 1})
    assert answer.status == 200
    assert answer.json["message"] == "Changes sent to 1 client"


@pytest.mark.parametrize("address", ["%20", "%0A", "a%00b", "a%0Ab", "x" * 256])
def test_res2_sync_of_what_cant_be_an_id_is_refused(stack: Stack, address: str) -> None:
    answer = stack.post_json(f"/api/flows/{address}/sync", {"changes": 1})
    assert_problem(answer, 400, "invalid_flow_id", "Invalid flow identifier")


@pytest.mark.parametrize("body", [b"{}", b'{"change":1}', b'{"Changes":1}'])
def test_res2_sync_without_changes_is_refused(stack: Stack, body: bytes) -> None:
    assert_problem(stack.post_json("/api/flows/a/sync", body), 400, "missing_changes")


# RES3: the list of sessions


def test_res3_no_sessions(stack: Stack) -> None:
    assert_json(stack.get("/api/sessions"), {"sessions": [], "next": None})


def test_res3_sessions_are_described_by_flow_id(stack: Stack) -> None:
    stack.member("b")
    stack.clock.advance(3)
    stack.member("a")
    stack.member("b")
    described = [
        {"flow_id": "a", "client_count": 1, "started_at": NOW + 3, "last_activity": NOW + 3},
        {"flow_id": "b", "client_count": 2, "started_at": NOW, "last_activity": NOW + 3},
    ]
    assert_json(stack.get("/api/sessions"), {"sessions": described, "next": None})


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 8, 1000])
def test_res3_pages_hold_every_session_once_and_in_order(stack: Stack, limit: int) -> None:
    ids = ["a", "a b", "a/b", "é", "z", "ä&after=z", "🌊"]
    for flow_id in ids:
        stack.member(flow_id)
    seen: list[str] = []
    address = f"/api/sessions?limit={limit}"
    for _ in range(8):
        page = stack.get(address).json
        assert len(page["sessions"]) == min(limit, len(ids) - len(seen))
        seen += [session["flow_id"] for session in page["sessions"]]
        if page["next"] is None:
            break
        assert page["next"] == seen[-1]
        address = f"/api/sessions?limit={limit}&after={escaped(page['next'])}"
    assert seen == sorted(ids)


def test_res3_a_page_holds_100_unless_told(stack: Stack) -> None:
    poller = stack.poller()
    for number in range(100):
        poller.push(f"flow:{number:03}", "phx_join")
        poller.poll()
    assert (len(stack.get("/api/sessions").json["sessions"])) == 100
    assert stack.get("/api/sessions").json["next"] is None
    stack.member("100")
    page = stack.get("/api/sessions").json
    assert (len(page["sessions"]), page["next"]) == (100, "099")


@pytest.mark.parametrize("after", ["zzz", "a", "a%00", "%FF", "b&after=0"])
def test_res3_after_needs_no_session(stack: Stack, after: str) -> None:
    stack.member("a")
    assert_json(stack.get(f"/api/sessions?after={after}"), {"sessions": [], "next": None})


@pytest.mark.parametrize(
    "limit",
    [
        "0",
        "-1",
        "1001",
        "1.0",
        "",
        "x",
        "+5",
        "%205",
        "%D9%A3",
        "%FF",
        "1e2",
        "9" * 5000,
        "0000001000000",
        "000000001" + "0" * 5000,
    ],
)
def test_res3_limit_is_a_whole_number_up_to_1000(stack: Stack, limit: str) -> None:
    assert_problem(stack.get(f"/api/sessions?limit={limit}"), 400, "invalid_parameters")


def test_res3_unknown_parameters_are_none_of_our_business(stack: Stack) -> None:
    assert stack.get("/api/sessions?limit=5&x[y]=z&%FF&&=").status == 200


# RES4: ending a session


def test_res4_delete_ends_the_session(stack: Stack) -> None:
    first, second = stack.member("a"), stack.member("a")
    first.poll()
    answer = stack.request("DELETE", "/api/sessions/a")
    assert_json(answer, {"status": "session_closed", "clients_affected": 2})
    for member in (first, second):
        deleted, closed = member.messages()
        assert deleted[2:] == ["flow:a", "flow_deleted", {"flow_id": "a", "timestamp": NOW}]
        assert closed == ["1", "1", "flow:a", "phx_close", {}]
    assert_json(stack.get("/api/flows/a/status"), INACTIVE)
    assert_problem(stack.request("DELETE", "/api/sessions/a"), 404, "session_not_found")


@pytest.mark.parametrize("flow_id", [*AWKWARD_IDS, *SLASHED_IDS])
def test_res4_delete_addresses_every_id(stack: Stack, flow_id: str) -> None:
    stack.member(flow_id)
    answer = stack.request("DELETE", f"/api/sessions/{escaped(flow_id)}")
    assert_json(answer, {"status": "session_closed", "clients_affected": 1})


def test_res4_delete_leaves_the_others_alone(stack: Stack) -> None:
    stack.member("a")
    stack.member("a/b")
    stack.request("DELETE", "/api/sessions/a")
    assert stack.get("/api/flows/a/b/status").json["active"] is True


@pytest.mark.parametrize("address", ["%20", "%0A", "a%00b", "a%0Ab", "x" * 256])
def test_res4_delete_of_what_cant_be_an_id_is_refused(stack: Stack, address: str) -> None:
    assert_problem(stack.request("DELETE", f"/api/sessions/{address}"), 400, "invalid_flow_id")


# RES5 and RES6: operations


def test_res5_healthz_and_readyz(stack: Stack) -> None:
    assert_json(stack.get("/healthz"), {"status": "ok", "version": __version__})
    assert_json(stack.get("/readyz"), {"status": "ready"})


def test_res5_readyz_refuses_until_the_store_is_open(stack: Stack) -> None:
    stack.store.stop()
    assert_problem(stack.get("/readyz"), 503, "store_unavailable", retry=True)
    assert_json(stack.get("/healthz"), {"status": "ok", "version": __version__})
    stack.store.start()
    assert_json(stack.get("/readyz"), {"status": "ready"})


def test_res5_readyz_refuses_while_the_server_drains(stack: Stack) -> None:
    stack.poller()
    draining = Deferred.fromCoroutine(stack.clients.drain())
    assert_problem(stack.get("/readyz"), 503, "draining", retry=True)
    assert_json(stack.get("/healthz"), {"status": "ok", "version": __version__})
    stack.clock.pump([0.1] * 50)
    stack.clock.advance(DRAIN_INTERVAL)
    assert draining.called
    assert_problem(stack.get("/readyz"), 503, "draining", retry=True)


def metric_values(stack: Stack) -> dict[str, float]:
    """All samples of ``/metrics`` by name and labels."""
    answer = stack.get("/metrics")
    assert answer.status == 200
    return {
        sample.name + "".join(f"[{value}]" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
    }


def test_res6_metrics_are_prometheus_text(stack: Stack) -> None:
    answer = stack.get("/metrics")
    assert (answer.content_type or "").startswith("text/plain; version=")
    families = list(text_string_to_metric_families(answer.body.decode()))
    names = [family.name for family in families]
    assert len(names) == len(set(names))
    for family in families:
        assert family.documentation, family.name
        assert family.type != "unknown", family.name
        assert not family.name.endswith("_created"), family.name


def test_res6_metrics_count_what_happens(stack: Stack) -> None:
    first, second = stack.member("a"), stack.member("a")
    stack.post_json("/api/flows/a/sync", {"changes": 1})
    second.push("flow:a", "phx_leave")
    stack.get("/socket/longpoll?vsn=3.0.0")
    first.post(b"nonsense!")
    stack.clock.advance(0)
    values = metric_values(stack)
    assert values["helix_connections"] == 2
    assert values["helix_connections_opened_total[longpoll]"] == 2
    assert values["helix_connections_refused_total[unsupported_version]"] == 1
    assert values["helix_malformed_frames_total"] == 1
    assert (values["helix_sessions"], values["helix_members"]) == (1, 1)
    assert values["helix_clients_joined_total"] == 2
    assert values["helix_clients_left_total"] == 1
    # joined (to 1), joined (to 2), update (to 2), left (to 1)
    assert values["helix_broadcasts_total"] == 4
    assert values["helix_deliveries_total"] == 6
    stack.request("DELETE", "/api/sessions/a")
    stack.clock.pump([1.0] * 30)
    values = metric_values(stack)
    assert values["helix_connections"] == values["helix_sessions"] == values["helix_members"] == 0
    assert values["helix_sessions_ended_total[forced]"] == 1
    assert values["helix_connections_closed_total[longpoll]"] == 2


def test_res6_metrics_have_no_label_that_a_client_makes_up(stack: Stack) -> None:
    stack.member("secret-flow")
    stack.get("/no/such/place-of-secrets")
    assert b"secret" not in stack.get("/metrics").body


# RES7: errors

ROUTES = {
    "/": "GET",
    "/healthz": "GET",
    "/readyz": "GET",
    "/metrics": "GET",
    "/api/sessions": "GET",
    "/api/flows": "GET, POST",
    "/api/flows/import": "GET, PATCH, PUT, DELETE, POST",
    "/api/flows/a": "GET, PATCH, PUT, DELETE",
    "/api/flows/a/entries": "GET",
    "/api/flows/a/export": "GET",
    "/api/flows/a/restore": "POST",
    "/api/flows/a/duplicate": "POST",
    "/api/flows/a/undelete": "POST",
    "/api/templates": "GET",
    "/api/templates/ticket-triage": "GET",
    "/api/openapi.json": "GET",
    "/api/docs": "GET",
    "/api/flows/a/status": "GET",
    "/api/flows/a/sync": "POST",
    "/api/sessions/a": "DELETE",
    "/socket/websocket": "GET",
    "/socket/longpoll": "GET, POST, OPTIONS",
}

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PURGE"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("address", ROUTES)
def test_res7_other_methods_are_405_and_told_which(stack: Stack, address: str, method: str) -> None:
    allowed = set(ROUTES[address].split(", "))
    if "GET" in allowed and not address.startswith("/socket"):
        allowed.add("HEAD")
    if method in allowed:
        return
    answer = stack.request(method, address)
    assert answer.status == 405
    assert set(answer.headers["allow"].split(", ")) == allowed
    if method == "HEAD":
        assert answer.body == b""
    else:
        assert_problem(answer, 405, "method_not_allowed")


def test_res7_trace_echoes_nothing(stack: Stack) -> None:
    answer = stack.request("TRACE", "/?token=s3cret", [("Cookie", "s3cret")])
    assert answer.status == 405
    assert "s3cret" not in answer.text


@pytest.mark.parametrize(
    "address",
    [
        "/x",
        "/api",
        "/api/",
        "/api/x",
        "/api/flowsx",
        "/api%2Fflows",
        "/api/templates/",
        "/api/templates/x/y",
        "/healthz/",
        "/healthz%2F",
        "/healthz%20",
        "/HEALTHZ",
        "/socket",
        "/socket/",
        "/socket/x",
        "/socket/x/y",
        "/static/../healthz",
        "/.git/config",
        "/x?y=<script>",
        "/%00",
        "/%F0%9F%8C%8A",
    ],
)
def test_res7_what_is_not_there_is_404(stack: Stack, address: str) -> None:
    answer = stack.get(address)
    assert_problem(answer, 404, "not_found", "There is nothing at this address")
    assert "script" not in answer.text


def test_res7_what_is_not_utf8_is_no_address_and_no_id(stack: Stack) -> None:
    assert_problem(stack.get("/%FF"), 404, "not_found")
    assert_problem(stack.request("DELETE", "/api/sessions/%FF"), 400, "invalid_flow_id")
    answer = stack.post_json("/api/flows/%C3/sync", b'{"changes":1}')
    assert_problem(answer, 400, "invalid_flow_id")


@pytest.mark.parametrize("method", ["G\xcaT", "GET\x01", "\x00"])
def test_res7_methods_that_are_no_words_are_answered(stack: Stack, method: str) -> None:
    assert stack.request(method, "/").status in (400, 405)


def test_res7_head_is_get_without_a_body(stack: Stack) -> None:
    for address in ("/", "/healthz", "/readyz", "/metrics", "/api/sessions", "/api/flows/a/status"):
        head, get = stack.request("HEAD", address), stack.get(address)
        assert (head.status, head.body) == (200, b"")
        assert head.content_type == get.content_type


def test_res7_answers_on_one_connection_keep_their_order(stack: Stack) -> None:
    connection = stack.connect()
    for address in ("/healthz", "/x", "/readyz", "/api/sessions?limit=0", "/api/flows/a/status"):
        connection.request("GET", address)
    stack.clock.advance(0)
    assert [answer.status for answer in connection.answers] == [200, 404, 200, 400, 200]


def test_res7_a_fault_is_a_500_that_tells_nothing(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, logged: Log
) -> None:
    def fail() -> None:
        raise RuntimeError("s3cret")

    monkeypatch.setattr(stack.sessions, "sessions", fail)
    answer = stack.get("/api/sessions")
    assert_problem(answer, 500, "internal_error", retry=True)
    assert "s3cret" not in answer.text
    (event,) = logged.failures
    assert event["log_failure"].getErrorMessage() == "s3cret"
    logged.events.clear()


# RES8: bodies


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "application/json-seq",
        "application/problem+json",
        "text/json, application/json",
    ],
)
def test_res8_other_types_are_415(stack: Stack, content_type: str | None) -> None:
    member = stack.member("a")
    headers = [] if content_type is None else [("Content-Type", content_type)]
    answer = stack.request("POST", "/api/flows/a/sync", headers, b'{"changes":1}')
    assert_problem(answer, 415, "unsupported_media_type")
    assert not member.start_poll().answers


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        "application/json;charset=utf-8",
        "application/json ; x=y",
    ],
)
def test_res8_json_may_have_parameters(stack: Stack, content_type: str) -> None:
    body = b'{"changes":"\xc3\xa9"}'
    answer = stack.request("POST", "/api/flows/a/sync", [("Content-Type", content_type)], body)
    assert answer.status == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"changes=1",
        b'{"changes":1}}',
        b'{"changes":1} x',
        b'{"changes":}',
        b'{"changes":NaN}',
        b"{'changes':1}",
        b'{"changes":"\x1e"}',
        b'{"changes":"\xff"}',
        b'{"changes":"\xed\xa0\x80"}',
        b'\xef\xbb\xbf{"changes":1}',
        '{"changes":1}'.encode("utf-16"),
        b"[]",
        b'[{"changes":1}]',
        b"null",
        b"1",
        b'"changes"',
    ],
)
def test_res8_what_is_no_json_object_is_refused(stack: Stack, body: bytes) -> None:
    member = stack.member("a")
    assert_problem(stack.post_json("/api/flows/a/sync", body), 400, "malformed_body")
    assert not member.start_poll().answers


def test_res8_a_post_without_a_body_is_refused(stack: Stack) -> None:
    answer = stack.request("POST", "/api/flows/a/sync", [JSON])
    assert_problem(answer, 400, "malformed_body")


@pytest.mark.parametrize(
    ("depth", "status"), [(127, 200), (128, 400), (5_000, 400), (100_000, 400)]
)
def test_res8_depth_is_bounded(stack: Stack, depth: int, status: int) -> None:
    body = b'{"changes":' + b"[" * depth + b"]" * depth + b"}"
    answer = stack.post_json("/api/flows/a/sync", body)
    assert answer.status == status
    if status == 400:
        assert_problem(answer, 400, "malformed_body", "The body can't be read: nested too deep")


def test_res8_brackets_in_strings_are_no_depth(stack: Stack) -> None:
    assert stack.post_json("/api/flows/a/sync", {"changes": '[{"' * 500}).status == 200


def test_res8_size_is_bounded_to_the_byte() -> None:
    stack = Stack(max_frame_bytes=2048)
    member = stack.member("a")
    most = b'{"changes":"' + b"x" * (2048 - 14) + b'"}'
    assert len(most) == 2048
    assert stack.post_json("/api/flows/a/sync", most).status == 200
    assert len(member.messages()) == 1
    assert_problem(stack.post_json("/api/flows/a/sync", most + b" "), 413, "body_too_large")
    assert not member.start_poll().answers


def test_res8_a_body_that_says_it_is_too_large_isnt_waited_for() -> None:
    stack = Stack(max_frame_bytes=2048)
    connection = stack.connect()
    connection.request("POST", "/api/flows/a/sync", [JSON, ("Content-Length", "10000000000")])
    assert_problem(connection.answer, 413, "body_too_large")
    assert connection.transport.disconnecting


def test_res8_a_chunked_body_is_bounded_too() -> None:
    stack = Stack(max_frame_bytes=2048)
    connection = stack.connect()
    connection.request("POST", "/api/flows/a/sync", [JSON, ("Transfer-Encoding", "chunked")])
    for _ in range(8):
        connection.send(b"400\r\n" + b" " * 1024 + b"\r\n")
        assert not connection.answers
    connection.send(b"400\r\n" + b" " * 1024 + b"\r\n")
    assert_problem(connection.answer, 413, "body_too_large")
    assert connection.transport.disconnecting
    connection.send(b"400\r\n" + b" " * 1024 + b"\r\n0\r\n\r\n")
    assert len(connection.answers) == 1


def test_res8_a_chunked_body_is_taken(stack: Stack) -> None:
    connection = stack.connect()
    connection.request("POST", "/api/flows/a/sync", [JSON, ("Transfer-Encoding", "chunked")])
    for byte in b'{"changes":1}':
        connection.send(b"1\r\n%c\r\n" % byte)
    assert not connection.answers
    connection.send(b"0\r\n\r\n")
    assert connection.answer.json["success"] is True


# RES9: other sites' pages

CHANGES = [("POST", "/api/flows/a/sync"), ("DELETE", "/api/sessions/a")]


@pytest.mark.parametrize("origin", ["https://evil.test", "null", "http://helix.test:81", "", "x"])
@pytest.mark.parametrize(("method", "address"), CHANGES)
def test_res9_changes_for_other_origins_are_refused(
    stack: Stack, method: str, address: str, origin: str
) -> None:
    member = stack.member("a")
    answer = stack.request(method, address, [JSON, ("Origin", origin)], b'{"changes":1}')
    assert_problem(answer, 403, "origin_refused")
    assert not member.start_poll().answers
    assert stack.get("/api/flows/a/status").json["active"] is True


@pytest.mark.parametrize(
    "origin", ["http://helix.test", "HTTP://HELIX.TEST:80", "https://app.test"]
)
@pytest.mark.parametrize(("method", "address"), CHANGES)
def test_res9_changes_for_our_origins_are_made(method: str, address: str, origin: str) -> None:
    stack = Stack(allow_origin=["https://app.test"])
    stack.member("a")
    answer = stack.request(method, address, [JSON, ("Origin", origin)], b'{"changes":1}')
    assert answer.status == 200


def test_res9_looking_is_allowed_and_not_shared(stack: Stack) -> None:
    for address in ("/api/sessions", "/api/flows/a/status", "/metrics", "/"):
        answer = stack.get(address, ("Origin", "https://evil.test"))
        assert answer.status == 200
        assert "access-control-allow-origin" not in answer.headers


# the page


def test_res_page_is_self_contained_and_dark_too(stack: Stack) -> None:
    answer = stack.get("/")
    page = answer.body.decode()
    assert answer.content_type == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert re.findall("<script[^>]*>", page) == ['<script src="/status.js" defer>']
    assert "{version}" not in page
    assert __version__ in page
    assert "prefers-color-scheme: dark" in page
    assert '<meta name="color-scheme" content="light dark">' in page
    for address in re.findall(r'(?:href|src)="([^"]*)"', page):
        assert stack.get(address).status == 200, address


def test_res_answers_name_no_file_and_no_python(stack: Stack) -> None:
    for address in ("/", "/x", "/healthz", "/api/sessions?limit=x"):
        text = stack.get(address).text.lower()
        assert "traceback" not in text
        assert ".py" not in text
        assert "site-packages" not in text
        assert not re.search(r"python/\d|klein|werkzeug|autobahn", text)


def test_res_json_of_awkward_ids_is_valid(stack: Stack) -> None:
    for flow_id in AWKWARD_IDS:
        stack.member(flow_id)
    listed = json.loads(stack.get("/api/sessions").body)["sessions"]
    assert {session["flow_id"] for session in listed} == set(AWKWARD_IDS)
