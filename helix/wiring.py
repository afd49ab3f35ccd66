"""Builds the parts of a server from the settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from time import perf_counter, thread_time
from typing import Any

import attrs

from helix.addresses import AddressBook, AddressLimits, TrustedProxies
from helix.admission import Door, Visitors
from helix.apart import Apart, at_once
from helix.auth import Anyone, HostPolicy, OriginPolicy
from helix.backlog import Backlog
from helix.clientbudget import ConnectionLimits
from helix.clients import ClientLimits, ClientService
from helix.clocks import ClockWatch
from helix.config import Config
from helix.connection import Connections
from helix.documentchannel import PatchLimits
from helix.doorcheck import DoorCheck
from helix.editorfiles import EditorFiles
from helix.endpoints import Endpoint
from helix.httpchannel import HttpConnections
from helix.httprequest import BodyLimits
from helix.ids import new_id
from helix.interfaces import IFlowStore
from helix.library import FlowLibrary
from helix.longpoll import LongPollResource
from helix.metrics import Metrics
from helix.purge import DAY, PurgeService
from helix.replaying import LogSettings
from helix.router import Router
from helix.service import FlowSessionService
from helix.shape import DocumentLimits
from helix.status import ServerStatus
from helix.statuspage import StatusPage
from helix.telemetry import Telemetry
from helix.templates import load_templates
from helix.transport import SocketFactory, SocketResource
from helix.versionnames import VersionNames
from helix.watchdog import WatchdogService
from helix.web import HelixSite, Root, Web
from helix.web_flows import WHITE_SPACE, FlowRoutes
from helix.weight import BYTES_PER_UNIT

BODY_FRAMES = 4
"""How many of the largest frames a request's body may hold: a POST of long polling has several."""


@attrs.frozen
class Server:
    """
    The parts of a server, wired.

    :ivar site: the site that serves everything, on any number of ports.
    """

    telemetry: Telemetry
    metrics: Metrics
    store: IFlowStore
    sessions: FlowSessionService
    clients: ClientService
    clock_watch: ClockWatch
    purge: PurgeService
    watchdog: WatchdogService
    site: HelixSite


def _address_limits(config: Config, limits: ConnectionLimits) -> AddressLimits:
    return AddressLimits(
        limits.rates.times(config.address_allowance),
        round(limits.max_channels * config.address_allowance),
        config.max_connects_per_second,
        config.max_requests_per_second,
        config.max_creations_per_second,
        config.max_work_share,
    )


def _hosts(config: Config) -> Sequence[str]:
    """
    The allowed ``Host`` names: those of ``--allow-host``. Without it only this machine's, if only
    this machine reaches the server and no proxy is trusted; otherwise all.
    """
    if config.allow_host:
        return config.allow_host
    is_local = all(Endpoint.parse(one).is_local for one in config.listen)
    return () if is_local and not config.trusted_proxy else ("*",)


def build_server(
    config: Config,
    clock: Any,
    wall: Callable[[], float],
    random: Random,
    store: IFlowStore,
    editor: EditorFiles | None = None,
    work: Callable[[], float] | None = None,
    apart: Apart = at_once,
) -> Server:
    """
    Wire the parts as ``config`` says.

    :param clock: the reactor.
    :param wall: tells the time, in Unix seconds.
    :param random: shuffles the clients when they are sent away, and makes identifiers.
    :param store: where flows are kept; whoever serves starts it.
    :param editor: what is served of it.
    :param work: tells how much time this thread, the reactor's, has taken, in seconds; ``None``
        for the system's own account.
    :param apart: does what takes long.
    """
    telemetry = Telemetry()
    thread_work = work or thread_time
    backlog = Backlog(clock, telemetry, config.max_queued_bytes)
    metrics = Metrics(telemetry, lambda: backlog.size, store.usage)
    status = StatusPage(ServerStatus(telemetry, clock.seconds))
    document_limits = DocumentLimits(
        config.max_patch_bytes, config.max_document_bytes, config.max_document_members
    )
    logs = LogSettings(
        store, clock, wall, document_limits, partial(new_id, random), work or perf_counter, apart
    )
    sessions = FlowSessionService(
        clock,
        telemetry,
        logs,
        config.max_clients_per_flow,
        config.session_idle_timeout,
        config.max_sessions,
    )
    client_limits = ClientLimits(config.max_connections, config.max_connections_per_address)
    clients = ClientService(clock, telemetry, client_limits, random)
    origins = OriginPolicy(config.allow_origin)
    limits = ConnectionLimits(
        config.max_channels_per_connection,
        config.max_joins_per_second,
        config.max_pushes_per_second,
        config.max_bytes_per_second,
        config.max_frame_bytes // BYTES_PER_UNIT,
        config.max_work_share,
    )
    proxies = TrustedProxies.parse(config.trusted_proxy)
    book = AddressBook(_address_limits(config, limits))
    visitors = Visitors(clock, proxies, origins, book, telemetry, thread_work)
    door = Door(clients, visitors, Anyone(), telemetry)
    patches = PatchLimits(
        logs.limits.max_patch_bytes,
        logs.limits.max_document_bytes,
        logs.limits.max_members,
        config.max_frame_bytes,
    )
    library = FlowLibrary(sessions, logs, partial(new_id, random), load_templates())
    router = Router(sessions, patches, library.delete if config.management_deletes else None)
    connections = Connections(clock, router, limits, telemetry, thread_work)
    sizes = (config.max_frame_bytes, config.high_water_mark, backlog)
    root = Root(
        Web(sessions, clients, metrics, status, editor),
        FlowRoutes(
            library, VersionNames(sessions, logs), sessions, visitors, config.max_frame_bytes, apart
        ),
        visitors,
        SocketResource(
            SocketFactory(connections, clients, *sizes, config.compress_frames_over), door
        ),
        LongPollResource(connections, clients, door, *sizes),
        DoorCheck(door),
    )
    bodies = BodyLimits(
        WHITE_SPACE * max(config.max_patch_bytes, config.max_document_bytes),
        BODY_FRAMES * config.max_frame_bytes,
    )
    http = HttpConnections(config.max_connections, config.max_connections_per_address)
    hosts = HostPolicy(_hosts(config))
    site = HelixSite(
        root, bodies, hosts, http, proxies, config.keep_alive, clock, telemetry, backlog
    )
    watch = ClockWatch(clock, wall, telemetry, config.keep_deleted * DAY)
    purge = PurgeService(clock, watch, store, config.keep_deleted)
    watchdog = WatchdogService(clock, telemetry)
    return Server(telemetry, metrics, store, sessions, clients, watch, purge, watchdog, site)
