"""Telemetry and the metrics that follow it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import LogLevel

import helix
from helix.printable import field, shown_json
from helix.records import StoreUsage
from helix.telemetry.events import EVENTS, Telemetry, Values
from helix.telemetry.logs import make_observer
from helix.telemetry.metrics import Metrics
from tests.support.world import World


def recorder(told: list[tuple[str, Values, Values]]) -> Callable[[str, Values, Values], None]:
    return lambda *event: told.append(event)


def test_ops8_listener_of_one_event() -> None:
    telemetry = Telemetry()
    told: list[tuple[str, Values, Values]] = []
    telemetry.subscribe("helix.session.ended", recorder(told))
    telemetry.emit("helix.session.started", {}, {"flow_id": "x"})
    telemetry.emit("helix.session.ended", {"seconds": 1.5}, {"flow_id": "x"})
    telemetry.emit("helix.session.ended")
    assert told == [
        ("helix.session.ended", {"seconds": 1.5}, {"flow_id": "x"}),
        ("helix.session.ended", {}, {}),
    ]


@pytest.mark.parametrize(
    ("start", "count"), [("helix", len(EVENTS)), ("helix.session", 7), ("helix.connection", 5)]
)
def test_ops8_listener_of_a_start(start: str, count: int) -> None:
    telemetry = Telemetry()
    told: list[tuple[str, Values, Values]] = []
    telemetry.subscribe(start, recorder(told))
    for name in EVENTS:
        telemetry.emit(name)
    assert len(told) == count
    assert all(name.startswith(f"{start}.") for name, _, _ in told)


@pytest.mark.parametrize("name", ["", "helix.", "helix.sess", "helix.session.ended.x", "other"])
def test_ops8_no_such_event(name: str) -> None:
    with pytest.raises(ValueError, match="no event"):
        Telemetry().subscribe(name, lambda *_: None)
    with pytest.raises(KeyError):
        Telemetry().emit(name)


def test_ops8_subscription_ends() -> None:
    telemetry = Telemetry()
    first: list[tuple[str, Values, Values]] = []
    second: list[tuple[str, Values, Values]] = []
    unsubscribe = telemetry.subscribe("helix.session", recorder(first))
    telemetry.subscribe("helix.session.ended", recorder(second))
    unsubscribe()
    unsubscribe()
    telemetry.emit("helix.session.ended")
    assert (len(first), len(second)) == (0, 1)


def test_ops8_listener_that_fails_harms_nobody(world: World) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a listener's own fault")

    told: list[tuple[str, Values, Values]] = []
    unsubscribe = world.telemetry.subscribe("helix.session", fail)
    world.telemetry.subscribe("helix.session", recorder(told))
    client = world.client()
    client.join("flow:f")
    assert [event for event, _ in client.events()] == ["phx_reply", "client_joined"]
    assert [name for name, _, _ in told] == [
        "helix.session.started",
        "helix.session.client_joined",
    ]
    assert {event["log_failure"].type for event in world.failures} == {RuntimeError}
    unsubscribe()
    world.failures.clear()


def test_ops8_listener_may_unsubscribe_while_it_is_told() -> None:
    telemetry = Telemetry()
    told: list[tuple[str, Values, Values]] = []
    unsubscribe = telemetry.subscribe("helix.session.ended", lambda *_: unsubscribe())
    telemetry.subscribe("helix.session.ended", recorder(told))
    telemetry.emit("helix.session.ended")
    assert len(told) == 1


@pytest.mark.parametrize("event", EVENTS)
def test_ops8_every_event_is_emitted_somewhere(event: str) -> None:
    sources = [
        path.read_text(encoding="utf-8")
        for path in Path(helix.__file__).parent.rglob("*.py")
        if path.name not in ("telemetry.py", "metrics.py", "logs.py")
    ]
    assert any(f'"{event}"' in source for source in sources)


def test_ops8_fanout_tells_what_it_delivered(world: World) -> None:
    members = world.members(3)
    world.told.clear()
    members[0].change("flow:f", 1)
    members[0].change("flow:f", 2)
    world.settle()
    told = [values for values, _ in world.events("helix.fanout.delivered")]
    sizes = [sum(2 + len(text) for text in one.raw()) for one in members[1:]]
    assert sum(values["broadcasts"] for values in told) == 2
    assert sum(values["deliveries"] for values in told) == 6
    assert sum(values["bytes"] for values in told) == 3 * sizes[0] == 3 * sizes[1]


def test_ops8_fanout_counts_are_told_soon(world: World) -> None:
    """Also those of a batch that went out at the end of a hold."""
    first, _ = world.members(2)
    world.told.clear()
    for wave in range(3):
        for change in range(3):
            first.change("flow:f", [wave, change])
        world.clock.turn()
    world.settle()
    told = world.events("helix.fanout.delivered")
    assert sum(values["broadcasts"] for values, _ in told) == 9


def value_of(metrics: Metrics, sample: str) -> float:
    found = re.search(rf"^{re.escape(sample)} (\S+)$", metrics.exposition().decode(), re.MULTILINE)
    assert found, f"no {sample}"
    return float(found[1])


def test_ops8_metrics_follow_events(world: World) -> None:
    metrics = Metrics(world.telemetry)
    first, second = world.members(2)
    first.change("flow:f", 1)
    world.settle()
    world.telemetry.emit("helix.flow.appended", {"entries": 3}, {"flow_id": "f"})
    for sample, value in [
        ("helix_entries_total", 3),
        ("helix_sessions", 1),
        ("helix_members", 2),
        ("helix_sessions_started_total", 1),
        ("helix_clients_joined_total", 2),
        ("helix_broadcasts_total", 3),
        ("helix_deliveries_total", 5),
    ]:
        assert value_of(metrics, sample) == value, sample
    assert value_of(metrics, "helix_broadcast_bytes_total") > 0
    second.leave("flow:f")
    first.send(b"malformed")
    first.join("flow: ")
    first.leave("flow:f")
    world.settle()
    for sample, value in [
        ("helix_sessions", 0),
        ("helix_members", 0),
        ('helix_sessions_ended_total{reason="empty"}', 1),
        ("helix_clients_left_total", 2),
        ("helix_malformed_frames_total", 1),
    ]:
        assert value_of(metrics, sample) == value, sample


def test_ops8_metrics_of_every_event() -> None:
    telemetry = Telemetry()
    metrics = Metrics(telemetry)
    for event, data in [
        ("helix.connection.opened", {"transport": "websocket"}),
        ("helix.connection.opened", {"transport": "longpoll"}),
        ("helix.connection.closed", {"transport": "longpoll"}),
        ("helix.connection.refused", {"code": "draining"}),
        ("helix.connection.lagging", {"transport": "websocket"}),
        ("helix.session.crashed", {}),
        ("helix.session.join_refused", {"code": "max_clients_reached"}),
    ]:
        telemetry.emit(event, {}, data)
    for sample, value in [
        ("helix_connections", 1),
        ('helix_connections_opened_total{transport="websocket"}', 1),
        ('helix_connections_opened_total{transport="longpoll"}', 1),
        ('helix_connections_closed_total{transport="longpoll"}', 1),
        ('helix_connections_refused_total{code="draining"}', 1),
        ("helix_clients_lagging_total", 1),
        ("helix_sessions_crashed_total", 1),
        ('helix_joins_refused_total{code="max_clients_reached"}', 1),
    ]:
        assert value_of(metrics, sample) == value, sample


def test_sec10_text_holds_nothing_for_a_terminal_to_act_upon() -> None:
    output = StringIO()
    event = {"log_format": "{text}", "text": "a\x1b[2Jb\r\x9bc\x00\nforged", "log_time": 0.0,
             "log_level": LogLevel.info, "log_namespace": "helix"}  # fmt: skip
    make_observer(output, "text")(event)
    assert output.getvalue().endswith("a\\x1b[2Jb\\r\\x9bc\\x00\n\tforged\n")


@pytest.mark.parametrize("worker", [None, 3])
@pytest.mark.parametrize("more", [{}, {"log_system": "-"}])
@pytest.mark.parametrize("log_format", ["text", "json"])
def test_ops8_lines_of_telemetry_look_like_all_others(
    log_format: str, more: dict[str, Any], worker: int | None
) -> None:
    event = {"log_format": "{line}", "line": "a=\u00e9\x1b[2J\nb", "log_time": 1_700_000_000.9,
             "log_level": LogLevel.info, "log_namespace": "helix.telemetry", **more}  # fmt: skip
    plain, ready = StringIO(), StringIO()
    make_observer(plain, log_format, worker)(event)
    make_observer(ready, log_format, worker)({**event, "helix_fields": {}})
    assert ready.getvalue() == plain.getvalue() != ""


@pytest.mark.parametrize(
    "line",
    [
        "HelixSite starting on 4000",
        "_TLSFactory starting on '/run/a\nb'",
        "(TCP Port 4000 Closed)",
        "(UNIX Port '/run/helix.sock' Closed)",
    ],
)
def test_ops17_what_twisted_says_of_ports_is_left_out(line: str) -> None:
    written = []
    for text in (line, f"Not {line}", f"{line} or not"):
        output = StringIO()
        event = {"message": (text,), "log_format": "{log_text}", "log_text": text,
                 "log_time": 0.0, "log_level": LogLevel.info, "log_namespace": "log"}  # fmt: skip
        make_observer(output, "json")(event)
        written += [json.loads(one)["message"] for one in output.getvalue().splitlines()]
    assert written[:1] == [f"Not {line}"]


@given(st.text())
def test_sec10_field_ends_where_it_ends(text: str) -> None:
    written = field(text)
    assert written.isprintable()
    if written != text:
        assert json.JSONDecoder().raw_decode(written + " next=1") == (text, len(written))
    else:
        assert not set(text) & set(" =\"'\\")


@given(
    st.recursive(
        st.none() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_cli8_json_on_a_terminal_is_the_same_json(value: object) -> None:
    for indent in (None, 2):
        written = shown_json(json.dumps(value, ensure_ascii=False, indent=indent))
        assert json.loads(written) == value
        assert written.replace("\n", "").isprintable()


def test_lim26_what_the_store_holds_is_told() -> None:
    usage = StoreUsage(max_bytes=1000)
    metrics = Metrics(Telemetry(), usage=usage)
    usage.used_bytes = 400
    for refused in (0, 3, 5):
        usage.refused = refused
        assert value_of(metrics, "helix_store_refusals_total") == refused
    assert value_of(metrics, "helix_store_bytes") == 400
    assert value_of(metrics, "helix_store_max_bytes") == 1000
