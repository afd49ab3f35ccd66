"""Document mode with stock Phoenix clients: what a client needs beside them is its own outbox."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from contextlib import closing
from typing import Any

from tests.stock_clients.phoenix import Channel, PhoenixProcess, Reply, Socket
from tests.support.daemon import Daemon

Connect = Callable[..., Socket]


def rest(daemon: Daemon, method: str, flow_id: str, body: object = None) -> Any:
    """Ask for a flow, or change it, by REST."""
    headers = {"Content-Type": "application/json"}
    with closing(http.client.HTTPConnection(daemon.address, timeout=10)) as connection:
        connection.request(method, f"/api/flows/{flow_id}", json.dumps(body), headers)
        answer = connection.getresponse()
        assert answer.status == 200
        return json.loads(answer.read())


def open_document(socket: Socket, flow_id: str, client_id: str) -> tuple[Channel, Any]:
    """Join in document mode, and give what the join was answered."""
    params = {"mode": "document", "client_id": client_id, "user": {"name": client_id.title()}}
    channel = socket.join(f"flow:{flow_id}", params)
    status, joined = channel.join_reply()
    assert status == "ok"
    return channel, joined


def new_node(node_id: str) -> dict[str, Any]:
    return {"nodes": {node_id: {"id": node_id, "position": {"x": 0, "y": 0}, "data": {}}}}


def test_dom1_dom4_edits_of_all_reach_all(connect: Connect, daemon: Daemon, flow_id: str) -> None:
    """By either mode and by REST; each entry once, in order, to every member."""
    ada, joined = open_document(connect(), flow_id, "ada")
    assert (joined["version"], joined["recovered"]) == (0, False)
    bob, _ = open_document(connect(), flow_id, "bob")
    relay = connect().join(f"flow:{flow_id}")
    relay.join_reply()

    assert ada.push("patch", {"op_id": 1, "patch": new_node("n")}).reply() == Reply(
        "ok", {"version": 1}
    )
    late = {"nodes": {"n": {"position": {"x": 5, "y": 0}}, "gone": {"position": {"x": 1}}}}
    counts = {"nodes": {"n": {"position": {"x": 5}}}}
    assert bob.push("patch", {"op_id": 1, "patch": late}).reply() == Reply(
        "ok", {"version": 2, "patch": counts, "dropped": ["/nodes/gone"]}
    )
    rest(daemon, "PATCH", flow_id, {"title": "From a script"})
    for member in (ada, bob):
        entries = [entry for _ in range(3) for entry in member.event("entries")["entries"]]
        assert [(entry["version"], entry["by"]) for entry in entries] == [
            (1, "Ada"),
            (2, "Bob"),
            (3, ""),
        ]
        member.settle()
        assert member.events("entries") == []
    assert relay.event("flow_update")["changes"]["nodes"][0]["id"] == "n"


def test_dom5_refused_patch_says_where(connect: Connect, flow_id: str) -> None:
    ada, _ = open_document(connect(), flow_id, "ada")
    status, response = ada.push("patch", {"op_id": 1, "patch": {"nodes": {"n": 7}}}).reply()
    assert (status, response["code"], response["retry"]) == ("error", "invalid_patch", False)
    assert response["reason"].startswith("/nodes/n")


def test_dom3_log5_resume_after_a_kill(
    phoenix: PhoenixProcess, transport: str, flow_id: str, start_daemon: Callable[..., Daemon]
) -> None:
    """The stock client rejoins with what it has, is told what it missed, and sends again."""
    daemon = start_daemon()
    socket = phoenix.connect(daemon.websocket_url, transport)
    channel, joined = open_document(socket, flow_id, "ada")
    channel.push("patch", {"op_id": 1, "patch": new_node("n")}).reply()
    label = {"nodes": {"n": {"data": {"text": "so long that the log is the shorter way" * 9}}}}
    assert channel.push("patch", {"op_id": 2, "patch": label}).reply().response == {"version": 2}
    has = {"epoch": joined["epoch"], "version": 2}
    channel.set_params({"mode": "document", "client_id": "ada"} | has)

    daemon.kill()
    socket.closed()
    daemon.start()
    status, rejoined = channel.join_reply()
    assert status == "ok"
    assert (rejoined["recovered"], rejoined["entries"]) == (True, [])
    again = channel.push("patch", {"op_id": 2, "patch": label}).reply()
    assert again == Reply("ok", {"version": 2, "duplicate": True})

    channel.set_params({"mode": "document", "client_id": "ada"} | has | {"version": 1})
    daemon.kill()
    socket.closed()
    daemon.start()
    _, rejoined = channel.join_reply()
    assert rejoined["version"] == 2
    assert [entry["patch"] for entry in rejoined["entries"]] == [label]


def test_dom10_deleted_flow_is_not_joined_again(
    connect: Connect, daemon: Daemon, flow_id: str
) -> None:
    """Stock clients retry a join for ever, unless the channel is closed as well."""
    socket = connect(rejoinAfterMs=10)
    ada, _ = open_document(socket, flow_id, "ada")
    ada.push("patch", {"op_id": 1, "patch": new_node("n")}).reply()
    rest(daemon, "DELETE", flow_id)
    assert ada.event("flow_deleted")["flow_id"] == flow_id
    ada.event("phx_close")

    late = socket.join(f"flow:{flow_id}", {"mode": "document", "client_id": "late"})
    status, response = late.join_reply()
    assert (status, response["code"]) == ("error", "flow_deleted")
    late.event("phx_close")
    assert socket.look()["channels"] == []
    # Were there another attempt, it would come before this one.
    socket.joined(f"flow:{flow_id}-other").settle()
    assert [frame.event for frame in socket.frames(f"flow:{flow_id}")][-2:] == [
        "phx_reply",
        "phx_close",
    ]


def test_bri8_bri11_relay_client_is_sent_the_document(
    connect: Connect, daemon: Daemon, flow_id: str
) -> None:
    """One update on joining, behind the reply; what it sends back unchanged is no edit."""
    ada, _ = open_document(connect(), flow_id, "ada")
    ada.push("patch", {"op_id": 1, "patch": new_node("n")}).reply()
    socket = connect()
    relay = socket.join(f"flow:{flow_id}")
    assert relay.join_reply() == Reply("ok", {})
    changes = relay.event("flow_update")["changes"]
    assert [node["id"] for node in changes["nodes"]] == ["n"]
    relay.settle()
    assert relay.events("flow_update") == []
    assert relay.push("flow_change", {"changes": changes}).reply().status == "ok"
    assert rest(daemon, "GET", flow_id)["version"] == 1


def test_bri4_two_relay_clients_who_edit_at_once_both_keep_their_edits(
    connect: Connect, daemon: Daemon, flow_id: str
) -> None:
    members = [connect().joined(f"flow:{flow_id}") for _ in range(2)]
    nodes = [{"id": name, "position": {"x": 0, "y": 0}, "data": {}} for name in "ab"]
    members[0].push("flow_change", {"changes": {"nodes": nodes, "edges": []}}).reply()
    for member in members:
        member.event("flow_update")
    pushes = [
        member.push(
            "flow_change",
            {
                "changes": {
                    "nodes": [
                        node | {"position": {"x": 9, "y": 9}} if n == number else node
                        for n, node in enumerate(nodes)
                    ],
                    "edges": [],
                }
            },
        )
        for number, member in enumerate(members)
    ]
    for push in pushes:
        push.reply()
    document = rest(daemon, "GET", flow_id)["document"]
    assert [document["nodes"][name]["position"]["x"] for name in "ab"] == [9, 9]
