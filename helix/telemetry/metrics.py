"""Telemetry as Prometheus metrics (docs/operations.md lists them)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import nan

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from helix.records import StoreUsage
from helix.telemetry.events import Telemetry, Values

LAGS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Seconds: the buckets in which the reactor's lags are counted."""

CONTENT_TYPE = CONTENT_TYPE_LATEST.encode("ascii")

_COUNTERS: Iterable[tuple[str, str, str, str | None]] = (
    ("helix.connection.opened", "connections_opened", "Clients that connected.", "transport"),
    ("helix.connection.closed", "connections_closed", "Clients that are gone.", "transport"),
    ("helix.connection.refused", "connections_refused", "Clients that were refused.", "code"),
    ("helix.frame.malformed", "malformed_frames", "Frames that could not be read.", None),
    ("helix.connection.lagging", "clients_lagging", "Times that a client began to lag.", None),
    ("helix.backlog.shed", "clients_shed", "Clients cut off since too much waited.", None),
    ("helix.connection.dropped", "connections_dropped", "Clients that were closed.", "code"),
    ("helix.request.answered", "http_requests", "HTTP requests that were answered.", "status"),
    (
        "helix.request.forwarded_untrusted",
        "untrusted_forwards",
        "Requests of a proxy on this machine that is not trusted.",
        None,
    ),
    (
        "helix.request.forged_name",
        "forged_names",
        "Requests that name their client in a header, and come from no trusted proxy.",
        None,
    ),
    ("helix.sign_in.accepted", "sign_ins", "People who signed in.", None),
    ("helix.sign_in.failed", "sign_ins_failed", "Sign-ins that failed.", "reason"),
    ("helix.sign_in.ended", "sign_outs", "People who signed out.", None),
    ("helix.session.started", "sessions_started", "Sessions that started.", None),
    ("helix.session.ended", "sessions_ended", "Sessions that ended.", "reason"),
    ("helix.session.crashed", "sessions_crashed", "Sessions that crashed.", None),
    ("helix.session.client_joined", "clients_joined", "Joins of flows.", None),
    ("helix.session.client_left", "clients_left", "Members that left.", None),
    (
        "helix.session.client_displaced",
        "clients_displaced",
        "Members whose client has joined on another node since.",
        None,
    ),
    ("helix.clock.set", "clock_sets", "Times that the wall clock was set.", None),
    ("helix.node.sent", "node_messages_sent", "Messages sent to other nodes.", "kind"),
    ("helix.node.received", "node_messages_received", "Messages of other nodes.", "kind"),
    (
        "helix.node.ignored",
        "node_messages_ignored",
        "Messages of other nodes that say nothing to this one.",
        "reason",
    ),
    (
        "helix.node.polled",
        "node_polls",
        "Questions to the store about how far open flows have come.",
        None,
    ),
    (
        "helix.node.behind",
        "node_rosters_asked",
        "Times that a node was asked for rosters, of which something wasn't heard.",
        None,
    ),
    ("helix.flow.stored", "appends", "Appends to the logs of flows, of one entry or more.", None),
    (
        "helix.flow.conflicted",
        "append_conflicts",
        "Appends that came second to another node's, and were made again.",
        None,
    ),
    ("helix.session.join_refused", "joins_refused", "Joins that were refused.", "code"),
)


class _Tally(Collector):
    """
    A counter without labels that is a plain number until it is read: an edit counts in several.

    :ivar total: what was counted.
    """

    def __init__(self, name: str, text: str, registry: CollectorRegistry) -> None:
        self.total = 0.0
        self._name = name
        self._text = text
        registry.register(self)

    def collect(self) -> Iterable[CounterMetricFamily]:
        """Prometheus' call."""
        yield CounterMetricFamily(self._name, self._text, value=self.total)

    describe = collect  # so that the registry knows its names


class Metrics:
    """
    Counts telemetry events.

    :param telemetry: whose events are counted.
    :param queued_bytes: tells how many bytes wait for clients.
    :param usage: tells what the store holds.
    """

    def __init__(
        self,
        telemetry: Telemetry,
        queued_bytes: Callable[[], float] = int,
        usage: StoreUsage | None = None,
    ) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        for event, name, text, label in _COUNTERS:
            self._count(telemetry, event, name, text, label)
        self._connections = self._gauge("connections", "Clients that are connected.")
        self._sessions = self._gauge("sessions", "Flows that somebody has open.")
        self._members = self._gauge("members", "Members of all flows.")
        queued = self._gauge("queued_bytes", "Bytes that wait for clients to take them.")
        queued.set_function(queued_bytes)
        self._usage = usage or StoreUsage()
        self._watch_store()
        telemetry.subscribe("helix.connection.opened", lambda *_: self._connections.inc())
        telemetry.subscribe("helix.connection.closed", lambda *_: self._connections.dec())
        telemetry.subscribe("helix.session.started", lambda *_: self._sessions.inc())
        telemetry.subscribe("helix.session.ended", lambda *_: self._sessions.dec())
        telemetry.subscribe("helix.session.client_joined", lambda *_: self._members.inc())
        telemetry.subscribe("helix.session.client_left", lambda *_: self._members.dec())
        self._broadcasts = self._counter("broadcasts", "Frames broadcast to the members of a flow.")
        self._deliveries = self._counter("deliveries", "Frames broadcast, for each member.")
        self._bytes = self._counter("broadcast_bytes", "Bytes of the frames broadcast.")
        telemetry.subscribe("helix.fanout.delivered", self._delivered)
        self._entries = self._counter("entries", "Entries appended to the logs of flows.")
        telemetry.subscribe("helix.flow.appended", self._appended)
        self._presence = self._counter("presence_changes", "Presences told: new, changed, gone.")
        self._moves = self._counter("cursor_moves", "Changes of cursors.")
        self._cursors = self._counter("cursors_told", "Newest cursors told, once a tick.")
        telemetry.subscribe("helix.presence.told", self._presence_told)
        telemetry.subscribe("helix.cursors.told", self._cursors_told)
        self._lag = Histogram(
            "helix_reactor_lag_seconds",
            "How late the reactor makes a call, a hundred times a second.",
            buckets=LAGS,
            registry=self._registry,
        )
        self._largest_lag = self._gauge(
            "reactor_lag_max_seconds", "The largest such lag within the last one to two minutes."
        )
        telemetry.subscribe("helix.reactor.turned", self._turned)
        self._broker = self._gauge("broker_up", "Whether other nodes are heard; NaN without any.")
        self._broker.set(nan)
        telemetry.subscribe("helix.broker.changed", self._broker_changed)
        self._nodes = self._gauge("nodes", "Nodes that are there, with this one.")
        self._nodes.set(1)
        telemetry.subscribe("helix.nodes.changed", self._nodes_changed)

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format."""
        self._refusals.total = self._usage.refused
        return generate_latest(self._registry)

    def _counter(self, name: str, text: str) -> _Tally:
        return _Tally(f"helix_{name}", text, self._registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"helix_{name}", text, registry=self._registry)

    def _watch_store(self) -> None:
        used = self._gauge("store_bytes", "Bytes that the store holds.")
        most = self._gauge("store_max_bytes", "Bytes that it may hold; 0 for any number.")
        used.set_function(lambda: self._usage.used_bytes)
        most.set_function(lambda: self._usage.max_bytes)
        self._refusals = self._counter("store_refusals", "Writes that found no room in the store.")

    def _count(
        self, telemetry: Telemetry, event: str, name: str, text: str, label: str | None
    ) -> None:
        if label is None:
            tally = self._counter(name, text)

            def count(*_: object) -> None:
                tally.total += 1

            telemetry.subscribe(event, count)
        else:
            labelled = Counter(f"helix_{name}", text, [label], registry=self._registry)
            telemetry.subscribe(event, lambda _, __, data: labelled.labels(data[label]).inc())

    def _broker_changed(self, _: str, measurements: Values, __: Values) -> None:
        self._broker.set(measurements["up"])  # type: ignore[arg-type]  # a number

    def _nodes_changed(self, _: str, measurements: Values, __: Values) -> None:
        self._nodes.set(measurements["nodes"])  # type: ignore[arg-type]  # a number

    def _delivered(self, _: str, measurements: Values, __: Values) -> None:
        self._broadcasts.total += measurements["broadcasts"]  # type: ignore[operator]  # numbers all
        self._deliveries.total += measurements["deliveries"]  # type: ignore[operator]  # as above
        self._bytes.total += measurements["bytes"]  # type: ignore[operator]  # as above

    def _appended(self, _: str, measurements: Values, __: Values) -> None:
        self._entries.total += measurements["entries"]  # type: ignore[operator]  # a number

    def _presence_told(self, _: str, measurements: Values, __: Values) -> None:
        self._presence.total += measurements["changes"]  # type: ignore[operator]  # a number

    def _cursors_told(self, _: str, measurements: Values, __: Values) -> None:
        self._moves.total += measurements["moves"]  # type: ignore[operator]  # numbers both
        self._cursors.total += measurements["cursors"]  # type: ignore[operator]  # as above

    def _turned(self, _: str, measurements: Values, __: Values) -> None:
        self._lag.observe(measurements["lag"])  # type: ignore[arg-type]  # as above
        self._largest_lag.set(measurements["largest_lag"])  # type: ignore[arg-type]  # as above
