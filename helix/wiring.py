"""Builds the parts of a server from the settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from time import perf_counter, thread_time
from typing import Any

import attrs
from treq.client import HTTPClient
from twisted.web.client import Agent

from helix.channels.budget import ConnectionLimits
from helix.channels.clients import ClientLimits, ClientService
from helix.channels.connection import Connections
from helix.channels.document import PatchLimits
from helix.channels.router import Router
from helix.channels.tokens import Tokens
from helix.config import Config, SettingError
from helix.delivery.backlog import Backlog
from helix.documents.ids import new_id
from helix.documents.templates import load_templates
from helix.documents.validation import DocumentLimits
from helix.flows.library import FlowLibrary
from helix.flows.purge import DAY, PurgeService
from helix.flows.service import FlowSessionService
from helix.flows.version_names import VersionNames
from helix.identity.api_keys import KEY_PREFIX, KeyBook
from helix.identity.guests import GUEST_PREFIX, Doorkeeper, GuestTokens
from helix.identity.header import ProxyHeader
from helix.identity.passwords import Passwords
from helix.identity.setup import (
    KeyService,
    make_authenticator,
    make_sign_ins,
    read_metrics_token,
)
from helix.identity.sign_in import SignIns
from helix.interfaces import IAuthenticator, IBroker, IFlowStore
from helix.limits.addresses import AddressBook, AddressLimits, TrustedProxies
from helix.limits.apart import Apart, at_once
from helix.limits.weight import BYTES_PER_UNIT
from helix.log.replaying import ALONE, LogSettings
from helix.nodes.service import NodeService
from helix.nodes.telling import Telling
from helix.records import AuditEntry
from helix.sharing.service import AccessService
from helix.telemetry.clocks import ClockWatch
from helix.telemetry.events import Telemetry
from helix.telemetry.figures import Figures, OwnFigures
from helix.telemetry.metrics import Metrics
from helix.telemetry.poller import turns_of
from helix.telemetry.status import ServerStatus
from helix.telemetry.watchdog import WatchdogService
from helix.web.access import RestAccess
from helix.web.admission import AdmissionControl, Identification, Visitors
from helix.web.base_path import BasePath
from helix.web.cookies import Cookies
from helix.web.editor_files import EditorFiles, PageSettings
from helix.web.flows import WHITE_SPACE, FlowRoutes
from helix.web.gate import Gate
from helix.web.guests import GuestRoutes
from helix.web.http_channel import HttpConnections
from helix.web.http_request import BodyLimits
from helix.web.keys import KeyRoutes
from helix.web.long_poll import LongPollResource
from helix.web.origins import HostPolicy, OriginPolicy
from helix.web.sharing import SharingRoutes
from helix.web.sign_in import SignInRoutes, Ways
from helix.web.site import HelixSite, Root, Web
from helix.web.socket_check import SocketCheck
from helix.web.status_page import StatusPage
from helix.web.templates import TemplateRoutes
from helix.web.upgrade import SocketFactory, SocketResource

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
    keys: KeyService
    api_keys: KeyBook
    sign_ins: SignIns | None
    sessions: FlowSessionService
    clients: ClientService
    access: AccessService
    nodes: NodeService | None
    clock_watch: ClockWatch
    purge: PurgeService
    watchdog: WatchdogService
    polls: LongPollResource
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
    return () if config.limits_hosts else ("*",)


def _check_base(base: BasePath, root: Root) -> None:
    """Tell apart addresses with the base path and those from which a proxy has removed it."""
    if base.first_word.encode() in root.first_words:
        raise SettingError(
            f"--base-path: Helix's own addresses begin with /{base.first_word}, so another word is "
            "wanted there"
        )


def build_server(
    config: Config,
    clock: Any,
    wall: Callable[[], float],
    random: Random,
    store: IFlowStore,
    editor: EditorFiles | None = None,
    work: Callable[[], float] | None = None,
    apart: Apart = at_once,
    authenticator: IAuthenticator | None = None,
    http: HTTPClient | None = None,
    broker: IBroker | None = None,
    gather: Callable[[OwnFigures], Figures] | None = None,
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
    :param authenticator: knows who clients are; ``None`` for what ``config`` says.
    :param http: asks other servers; ``None`` for one that asks over the network.
    :param broker: carries messages to the other nodes on the store, and from them; ``None`` without
        any.
    :param gather: makes the figures of all workers, of which this is one; ``None`` where this
        process is alone.
    :raises BadKeys: when there are no keys in a file that should have some.
    :raises SettingError: when the base path begins as the server's own addresses do.
    """
    telemetry = Telemetry()
    base = BasePath(config.base_path)
    thread_work = work or thread_time
    backlog = Backlog(clock, telemetry, config.max_queued_bytes)
    metrics = Metrics(telemetry, lambda: backlog.size, store.usage)
    own = OwnFigures(metrics, ServerStatus(telemetry, clock.seconds))
    figures: Figures = own if gather is None else gather(own)
    document_limits = DocumentLimits(
        config.max_patch_bytes, config.max_document_bytes, config.max_document_members
    )
    access = AccessService(store.access, clock)
    telling = None
    if broker is not None:
        telling = Telling(broker, new_id(random), clock, wall, telemetry)
    logs = LogSettings(
        store,
        clock,
        wall,
        document_limits,
        partial(new_id, random),
        work or perf_counter,
        apart,
        access.made,
        access.made_elsewhere,
        telling or ALONE,
        access.catch_up,
        shares_turns=True,
    )
    sessions = FlowSessionService(
        clock,
        telemetry,
        logs,
        config.max_clients_per_flow,
        config.session_idle_timeout,
        config.max_sessions,
        others=None if telling is None else telling.showing,
    )
    nodes = None
    if broker is not None and telling is not None:
        nodes = NodeService(broker, telling, sessions, access, clock, telemetry)
    client_limits = ClientLimits(config.max_connections, config.max_connections_per_address)
    clients = ClientService(clock, telemetry, client_limits, random)
    origins = OriginPolicy([*config.allow_origin, *filter(None, [config.public_url])])
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
    visitors = Visitors(clock, proxies, origins, book, telemetry, thread_work, config.public_url)
    http = http or HTTPClient(Agent(clock))
    keys = KeyService(config.auth, clock, http)
    api_keys = KeyBook(store, clock, wall, clients.revoke)
    api_keys.setServiceParent(keys)
    guests = GuestTokens(store, wall, random)
    passwords = Passwords(apart, random, clock)
    sign_ins = make_sign_ins(
        config,
        clock,
        wall,
        store,
        http,
        telemetry,
        lambda: clients.credentials,
        lambda credential: clients.revoke({credential}),
        keys,
    )
    signed_in = None if sign_ins is None else sign_ins.sessions

    def learn(entries: Sequence[AuditEntry]) -> None:
        api_keys.learn(entries)
        if signed_in is not None:
            signed_in.learn(entries)

    access.on_credentials = learn
    access.on_set_back = api_keys.set_back
    authenticator = authenticator or make_authenticator(
        config,
        keys.sources,
        wall,
        {KEY_PREFIX: api_keys, GUEST_PREFIX: guests},
        signed_in,
        access.catch_up_with_credentials,
    )
    cookies = Cookies(visitors.public_origin)
    identification = Identification(
        authenticator,
        None if config.header_name is None else ProxyHeader(config.header_name, proxies, telemetry),
        None if sign_ins is None else cookies,
    )
    admission = AdmissionControl(clients, visitors, identification, telemetry)
    gate = Gate(identification, editor is not None, read_metrics_token(config.metrics_token))
    patches = PatchLimits(
        logs.limits.max_patch_bytes,
        logs.limits.max_document_bytes,
        logs.limits.max_members,
        config.max_frame_bytes,
    )
    library = FlowLibrary(sessions, logs, partial(new_id, random), load_templates())
    delete = library.delete if config.management_deletes else None
    router = Router(sessions, patches, access, delete)
    tokens = Tokens(authenticator, wall)
    connections = Connections(clock, router, limits, telemetry, tokens, thread_work)
    sizes = (config.max_frame_bytes, config.high_water_mark, backlog)
    if editor is not None:
        editor = editor.with_settings(
            PageSettings(base, config.frame_ancestors, config.lets_anyone_in, config.takes_tokens)
        )
    rest_access = RestAccess(access)
    polls = LongPollResource(
        connections, clients, admission, *sizes, None if telling is None else telling.asking
    )
    root = Root(
        Web(sessions, clients, figures, StatusPage(figures, base), editor, base),
        {
            b"flows": FlowRoutes(
                library,
                VersionNames(sessions, logs),
                sessions,
                visitors,
                rest_access,
                config.max_frame_bytes,
                apart,
            ),
            b"templates": TemplateRoutes(library),
            b"keys": KeyRoutes(
                store, api_keys, wall, random, config.lets_anyone_in, access.announce
            ),
            b"guests": GuestRoutes(Doorkeeper(store, passwords, wall), guests, visitors),
        },
        SharingRoutes(rest_access, access, store.access, passwords, visitors, wall),
        SignInRoutes(
            Ways(config.lets_anyone_in, config.takes_tokens, config.header_name is not None),
            sign_ins,
            cookies,
            telemetry,
            access.announce,
        ),
        visitors,
        gate,
        SocketResource(
            SocketFactory(connections, clients, *sizes, config.compress_frames_over), admission
        ),
        polls,
        SocketCheck(admission),
    )
    _check_base(base, root)
    bodies = BodyLimits(
        WHITE_SPACE * max(config.max_patch_bytes, config.max_document_bytes),
        BODY_FRAMES * config.max_frame_bytes,
    )
    connected = HttpConnections(config.max_connections, config.max_connections_per_address)
    hosts = HostPolicy(_hosts(config))
    site = HelixSite(
        root, bodies, hosts, base, connected, proxies, config.keep_alive, clock, telemetry, backlog
    )
    watch = ClockWatch(clock, wall, telemetry, config.keep_deleted * DAY)
    purge = PurgeService(clock, watch, store, config.keep_deleted)
    watchdog = WatchdogService(clock, telemetry, turns=turns_of(clock))
    return Server(
        telemetry,
        metrics,
        store,
        keys,
        api_keys,
        sign_ins,
        sessions,
        clients,
        access,
        nodes,
        watch,
        purge,
        watchdog,
        polls,
        site,
    )
