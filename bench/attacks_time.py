"""Attacks on the server's time: what is large, deep, many, or much work for a few bytes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from itertools import count

from attacker import MEBIBYTE, Socket, Target, attack, frame

FLOW = "attacked"
DOCUMENT = {"mode": "document", "client_id": "attacker"}


def _node(name: str, **more: object) -> dict[str, object]:
    return {"id": name, "position": {"x": 0, "y": 0}, "data": {}, **more}


def _chain(count: int) -> dict[str, object]:
    """Nodes of which each lies in the one before, the innermost first."""
    nodes = [_node("n0")]
    nodes += [_node(f"n{n}", parentId=f"n{n - 1}") for n in range(1, count)]
    return {"nodes": {str(node["id"]): node for node in reversed(nodes)}}


def _star(count: int) -> dict[str, object]:
    """A node that all edges lead to: it takes them with it."""
    nodes = {f"n{n}": _node(f"n{n}") for n in range(2)}
    edges = {f"e{n}": {"id": f"e{n}", "source": "n0", "target": "n1"} for n in range(count)}
    return {"nodes": nodes, "edges": edges}


def _again(target: Target, act: Callable[[], object]) -> None:
    """Do something again and again, and tell how often that could be, and how long it took."""
    count, slowest, last = 0, 0.0, ""
    try:
        while target.goes_on:
            begun = time.monotonic()
            answer = act()
            slowest = max(slowest, time.monotonic() - begun)
            count += 1
            last = str(answer)[:60] if answer is not None else ""
    finally:
        target.told.append(f"{count} times, at most {slowest:.2f} s, then {last}".rstrip(", then"))


def _push(socket: Socket, event: str, payload: bytes) -> Callable[[], object]:
    def act() -> object:
        socket.push(f"flow:{FLOW}", event, payload, "p")
        answer = socket.wait("p")
        response = answer["response"]
        return response.get("code", answer["status"])

    return act


def _post(target: Target, method: str, path: str, body: bytes) -> Callable[[], object]:
    return lambda: target.request(method, path, body)[0]


@attack
def nothing(target: Target) -> None:
    """Nothing at all, to compare with."""


# values in a body or a frame


@attack
def body_of_values(target: Target) -> None:
    """POST a document of 31 MiB that is nothing but small values."""
    body = b'{"document":{"data":{"a":[' + b"{}," * (31 * MEBIBYTE // 3) + b"{}]}}}"
    _again(target, _post(target, "POST", "/api/flows", body))


@attack
def body_of_numbers(target: Target) -> None:
    """POST a document of 15 MiB, within its limit, of one digit numbers."""
    body = b'{"document":{"data":{"a":[' + b"1," * (15 * MEBIBYTE // 2) + b"1]}}}"
    _again(target, _post(target, "POST", "/api/flows", body))


@attack
def body_of_keys(target: Target) -> None:
    """POST a document of 15 MiB of short members."""
    members = b",".join(b'"%x":1' % number for number in range(15 * MEBIBYTE // 10))
    _again(target, _post(target, "POST", "/api/flows", b'{"document":{"data":{' + members + b"}}}"))


@attack
def body_of_surrogates(target: Target) -> None:
    """POST 15 MiB of escapes of halves of characters."""
    body = b'{"document":{"title":"' + b"\\ud83d" * (15 * MEBIBYTE // 6) + b'"}}'
    _again(target, _post(target, "POST", "/api/flows", body))


@attack
def body_of_nodes(target: Target) -> None:
    """PUT a document of 15 MiB of 20,000 nodes, over and over."""
    target.make_flow(FLOW, {})
    documents = (
        {"nodes": {f"n{n}": _node(f"n{n}", data={"t": text * 650}) for n in range(19_999)}}
        for text in "ab"
    )
    bodies = [json.dumps(document).encode() for document in documents]
    acts = [_post(target, "PUT", f"/api/flows/{FLOW}", body) for body in bodies]
    _again(target, lambda: [act() for act in acts])


@attack
def import_of_nodes(target: Target) -> None:
    """Import arrays of 20,000 nodes, each in the next, and edges."""
    nodes = [_node(f"n{n}", parentId=f"n{n + 1}") for n in range(10_000)]
    edges = [{"id": f"e{n}", "source": "n1", "target": f"n{n}"} for n in range(9_990)]
    body = json.dumps({"nodes": [*nodes, _node("n10000")], "edges": edges}).encode()
    _again(target, _post(target, "POST", "/api/flows/import", body))


@attack
def patch_of_values(target: Target) -> None:
    """Push patches of 256 KiB of small values."""
    target.make_flow(FLOW, {})
    socket = target.socket()
    socket.join(FLOW, DOCUMENT)
    number = 0

    def act() -> object:
        nonlocal number
        number += 1
        fill = b"[%d" % (number % 10) + b",[]" * 85_000 + b"]"
        payload = b'{"op_id":%d,"patch":{"data":{"a":%b}}}' % (number, fill)
        return _push(socket, "patch", payload)()

    _again(target, act)


@attack
def frames_of_values(target: Target) -> None:
    """Push a frame of 1 MiB of small values, with which nothing can be done."""
    socket = target.socket()
    socket.join(FLOW, DOCUMENT)
    _again(target, _push(socket, "presence", b'{"a":[' + b"{}," * 340_000 + b"{}]}"))


@attack
def relay_of_nodes(target: Target) -> None:
    """Push 5,000 small nodes in relay mode, another one moved each time."""
    socket = target.socket()
    socket.join(FLOW, {})
    number = 0

    def act() -> object:
        nonlocal number
        number += 1
        nodes = [_node(f"n{n}") for n in range(5000)]
        nodes[number % 5000]["position"] = {"x": number, "y": 0}
        changes = json.dumps({"changes": {"nodes": nodes, "edges": []}}).encode()
        return _push(socket, "flow_change", changes)()

    _again(target, act)


# much work for few bytes


@attack
def relay_join_of_a_chain(target: Target) -> None:
    """Join a flow of 20,000 nodes, each in the next, in relay mode."""
    target.make_flow(FLOW, _chain(20_000))

    def act() -> None:
        socket = target.socket()
        socket.join(FLOW, {})
        while socket.read()[3] != "flow_update":
            pass
        socket.close()

    _again(target, act)


@attack
def restores(target: Target) -> None:
    """Restore a version of 15 MiB and the empty one by turns: 15 bytes each."""
    nodes = {f"n{n}": _node(f"n{n}", data={"t": "x" * 700}) for n in range(19_999)}
    target.make_flow(FLOW, {"nodes": nodes})
    target.request("PUT", f"/api/flows/{FLOW}", b"{}", address="127.0.0.1")
    version = 0

    def act() -> int:
        nonlocal version
        version = 3 - version if version else 1
        path = f"/api/flows/{FLOW}/restore"
        return target.request("POST", path, b'{"version":%d}' % version)[0]

    _again(target, act)


@attack
def cascades(target: Target) -> None:
    """Delete a node with 19,000 edges and restore it, by turns."""
    target.make_flow(FLOW, _star(19_000))

    def act() -> object:
        deleted = target.request("PATCH", f"/api/flows/{FLOW}", b'{"nodes":{"n0":null}}')[0]
        body = b'{"version":1}'
        return deleted, target.request("POST", f"/api/flows/{FLOW}/restore", body)[0]

    _again(target, act)


@attack
def joins(target: Target) -> None:
    """Join and leave a flow of 15 MiB in document mode, told in parts."""
    nodes = {f"n{n}": _node(f"n{n}", data={"t": "x" * 700}) for n in range(19_999)}
    target.make_flow(FLOW, {"nodes": nodes})
    socket = target.socket()
    refs = count()

    def act() -> object:
        ref = f"j{next(refs)}"
        socket.push(f"flow:{FLOW}", "phx_join", {**DOCUMENT, "parts": True}, ref)
        status = socket.wait(ref)["status"]
        socket.push(f"flow:{FLOW}", "phx_leave", {}, "l")
        socket.wait("l")
        return status

    _again(target, act)


# many small things


def _flood(target: Target, data: bytes) -> None:
    socket = target.socket()
    try:
        while target.goes_on:
            socket.send(data)
            socket.drain()
    finally:
        socket.close()


@attack
def pings(target: Target) -> None:
    """Send WebSocket pings as fast as they are taken."""
    _flood(target, frame(b"x" * 100, opcode=9) * 1000)


@attack
def pongs(target: Target) -> None:
    """Send WebSocket pongs as fast as they are taken."""
    _flood(target, frame(b"", opcode=10) * 1000)


@attack
def empty_frames(target: Target) -> None:
    """Send empty messages as fast as they are taken."""
    _flood(target, frame(b"") * 1000)


@attack
def fragments(target: Target) -> None:
    """Send one message in fragments that hold nothing, without end."""
    socket = target.socket()
    socket.send(frame(b"[", fin=False))
    data = frame(b"", opcode=0, fin=False) * 1000
    while target.goes_on:
        socket.send(data)
        socket.drain()


@attack
def heartbeats(target: Target) -> None:
    """Send heartbeats as fast as they are taken."""
    _flood(target, frame(b'[null,"1","phoenix","heartbeat",{}]') * 1000)


@attack
def requests_of_sockets(target: Target) -> None:
    """Ask for what there isn't under /socket, as fast as it is answered."""
    path = "/socket/nothing"
    statuses: dict[int, int] = {}
    while target.goes_on:
        status = target.request("GET", path)[0]
        statuses[status] = statuses.get(status, 0) + 1
    target.told.append(", ".join(f"{count} times {one}" for one, count in statuses.items()))
