"""Who is here and who points where, with the stock clients' own ``Presence``."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from tests.stock_clients.phoenix import Channel, PhoenixProcess, Reply, Socket
from tests.support.daemon import Daemon

Connect = Callable[..., Socket]

LONGPOLL_SESSION_TIMEOUT = 15.0

_client_ids = (f"client-{number}" for number in count(1))


def enter(socket: Socket, flow_id: str, key: str, client_id: str | None = None) -> Channel:
    """Start to join a flow in document mode, as a person of that id, with a ``Presence``."""
    params = {
        "mode": "document",
        "client_id": client_id or next(_client_ids),
        "user": {"id": key, "name": key.title(), "color": "#123456"},
    }
    return socket.join(f"flow:{flow_id}", params, presence=True)


def entered(socket: Socket, flow_id: str, key: str) -> Channel:
    """As `enter`, and wait until it is so."""
    channel = enter(socket, flow_id, key)
    assert channel.join_reply().status == "ok"
    channel.event("presence_state")
    return channel


def shows(people: dict[str, int]) -> Callable[[dict[str, Any]], bool]:
    """Tell whether just these keys are present, with so many metas each."""
    return lambda present: {key: len(metas) for key, metas in present.items()} == people


def said(channel: Channel) -> dict[str, list[dict[str, Any]]]:
    """Who is present and what they say, without what changes by itself."""
    return {
        key: [{name: meta[name] for name in meta if not name.startswith("phx_")} for meta in metas]
        for key, metas in channel.present().items()
    }


def test_prs2_all_see_all_with_name_and_colour(connect: Connect, flow_id: str) -> None:
    """Nobody has to say anything for it, and they see themselves too."""
    members = [entered(connect(), flow_id, key) for key in ("ada", "bob")]
    for member in members:
        member.until(shows({"ada": 1, "bob": 1}))
        shown = said(member)
        assert sorted(shown) == ["ada", "bob"]
        assert (shown["bob"][0]["name"], shown["bob"][0]["color"]) == ("Bob", "#123456")


def test_prs4_presence_is_shown_to_all(connect: Connect, flow_id: str) -> None:
    ada, bob = (entered(connect(), flow_id, key) for key in ("ada", "bob"))
    meta = {"selection": ["n1"], "editing": {"node": "n1", "field": "label"}}
    assert ada.push("presence", meta).reply() == Reply("ok", {})
    refused = ada.push("presence", {"x": "x" * 5000}).reply()
    assert (refused.status, refused.response["code"]) == ("error", "invalid_parameters")
    for member in (ada, bob):
        member.until(lambda present: "selection" in present.get("ada", [{}])[0])
        assert meta.items() <= said(member)["ada"][0].items()


def test_prs5_update_is_neither_a_leave_nor_a_join(connect: Connect, flow_id: str) -> None:
    """Of phoenix.js's callbacks: each finds the person still, or already, there."""
    ada, bob = (entered(connect(), flow_id, key) for key in ("ada", "bob"))
    ada.until(shows({"ada": 1, "bob": 1}))
    bob.until(shows({"ada": 1, "bob": 1}))
    before = len(bob.calls("came"))
    for number in range(5):
        ada.push("presence", {"n": number}).reply()
        bob.until(lambda present, n=number: present["ada"][0].get("n") == n)
    assert set(bob.calls("came")[before:]) == {("ada", 1)}
    assert set(bob.calls("went")) == {("ada", 1)}
    assert ada.present() == bob.present()


def test_prs3_joins_amid_changes_see_the_state_before_any_diff(
    connect: Connect, flow_id: str
) -> None:
    """Diffs are under way all the time; who comes is sent each change once, and misses none."""
    old = [entered(connect(), flow_id, f"old{number}") for number in range(2)]
    for number in range(10):
        for member in old:
            member.push("presence", {"n": number})
    sockets = [connect() for _ in range(4)]
    new = [enter(socket, flow_id, f"new{number}") for number, socket in enumerate(sockets)]
    for number in range(10, 40):
        for member in old:
            member.push("presence", {"n": number})
    for member in new:
        assert member.join_reply().status == "ok"
    last = [member.push("presence", {"n": "last"}) for member in (*old, *new)]
    assert {push.reply().status for push in last} == {"ok"}
    for member in (*old, *new):
        member.until(
            lambda present: [metas[0].get("n") for metas in present.values()] == ["last"] * 6
        )
    for member in (*old, *new):
        assert member.present() == old[0].present()
    for socket in sockets:
        told = [f.event for f in socket.frames(f"flow:{flow_id}") if "presence" in f.event]
        assert told.index("presence_state") == 0
        assert told.count("presence_state") == 1
    first = [call for call in old[0].calls("came") if call[1] == 0 and call[0] != "old0"]
    assert sorted(first) == [(key, 0) for key in ("new0", "new1", "new2", "new3", "old1")]
    assert all(metas for _, metas in old[0].calls("went"))


@pytest.mark.parametrize("leaves", [True, False], ids=["leave-join", "join-leave"])
def test_prs3_person_who_comes_back_is_there_once(
    connect: Connect, flow_id: str, leaves: bool
) -> None:
    """The leave of the old channel and the join of the new one are under way together."""
    watcher = entered(connect(), flow_id, "watcher")
    socket = connect()
    old = entered(socket, flow_id, "ada")
    watcher.until(shows({"watcher": 1, "ada": 1}))
    if leaves:
        old.leave()
        new = enter(socket, flow_id, "ada")
    else:
        new = enter(connect(), flow_id, "ada")
        old.leave()
    assert new.join_reply().status == "ok"
    new.until(shows({"watcher": 1, "ada": 1}))
    new.push("presence", {"back": True}).reply()
    for channel in (watcher, new):
        channel.until(lambda present: [one.get("back") for one in present["ada"]] == [True])
        assert sorted(channel.present()) == ["ada", "watcher"]
    assert watcher.present() == new.present()


@pytest.mark.parametrize("at_once", [True, False])
def test_prs1_two_tabs_of_one_person_that_close(
    connect: Connect, flow_id: str, at_once: bool
) -> None:
    """The person is gone once, with the last tab."""
    watcher = entered(connect(), flow_id, "watcher")
    tabs = [entered(connect(), flow_id, "ada") for _ in range(2)]
    watcher.until(shows({"watcher": 1, "ada": 2}))
    for left, tab in zip((1, 0), tabs, strict=True):
        tab.leave()
        if left and not at_once:
            watcher.until(shows({"watcher": 1, "ada": 1}))
    watcher.until(shows({"watcher": 1}))
    assert [call for call in watcher.calls("went") if call[1] == 0] == [("ada", 0)]


def test_prs8_vanished_people_are_gone(
    start_phoenix: Callable[[str], PhoenixProcess], daemon: Daemon, flow_id: str
) -> None:
    """
    A process dies: over a WebSocket its people are gone at once, over long polling when the session
    ends for want of polls.
    """
    stayer = start_phoenix("phoenix18").connect(daemon.websocket_url, "websocket")
    staying = entered(stayer, flow_id, "watcher")
    vanishing = start_phoenix("phoenix17")
    for transport in ("websocket", "longpoll"):
        entered(vanishing.connect(daemon.websocket_url, transport), flow_id, transport)
    staying.until(shows({"watcher": 1, "websocket": 1, "longpoll": 1}))
    vanishing.end()
    staying.until(shows({"watcher": 1, "longpoll": 1}))
    staying.until(shows({"watcher": 1}), LONGPOLL_SESSION_TIMEOUT + 10)


def test_prs8_after_a_restart_all_see_all_anew(
    phoenix: PhoenixProcess, transport: str, flow_id: str, start_daemon: Callable[..., Daemon]
) -> None:
    """Stock clients rejoin by themselves; no meta of before is left, or taken for one of now."""
    daemon = start_daemon()
    sockets = [phoenix.connect(daemon.websocket_url, transport) for _ in range(2)]
    members = [
        entered(socket, flow_id, key) for socket, key in zip(sockets, ("ada", "bob"), strict=True)
    ]
    for member in members:
        member.until(shows({"ada": 1, "bob": 1}))
    before = {meta["phx_ref"] for metas in members[0].present().values() for meta in metas}
    daemon.kill()
    daemon.start()
    for member in members:
        assert member.join_reply().status == "ok"
        member.until(
            lambda present: (
                len(present) == 2
                and not any(one["phx_ref"] in before for metas in present.values() for one in metas)
            )
        )
    assert members[0].present() == members[1].present()


def test_cur1_cursors_reach_the_others_and_get_no_reply(connect: Connect, flow_id: str) -> None:
    ada_socket = connect()
    ada, bob = entered(ada_socket, flow_id, "ada"), entered(connect(), flow_id, "bob")
    client_id = said(bob)["ada"][0]["client_id"]
    for x in range(3):
        ada.push("cursor", {"x": x, "y": 1.5, "moving": {"n1": {"x": x, "y": 2}}})
    while bob.event("cursors")[client_id] != {"x": 2, "y": 1.5, "moving": {"n1": {"x": 2, "y": 2}}}:
        pass
    ada.push("cursor", {})
    assert bob.event("cursors") == {client_id: None}
    refused = ada.push("cursor", {"x": "far"}).reply()
    assert (refused.status, refused.response["code"]) == ("error", "invalid_parameters")
    ada.settle()
    replies = [f for f in ada_socket.frames(f"flow:{flow_id}") if f.event == "phx_reply"]
    assert [reply.payload["status"] for reply in replies] == ["ok", "error", "ok"]
