"""
Does the daemon stay as it is while clients come and go? ``python bench/soak.py --help``.

The daemon is a real process on SQLite, the clients (`soak_clients.py`) are another. What the
daemon's ``/metrics`` say is written down every few seconds, and judged at the end: of each minute
after the warm-up the lowest value counts, which is what is left when few clients happen to be
there; and the line through these may rise only so much in an hour.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, linear_regression

from databases import sqlite_store
from run import raise_descriptor_limit, say
from servers import (
    SOURCE_DIRECTORY,
    BenchError,
    Cores,
    make_helix,
    running,
    stop,
    stop_on_termination,
    working_directory,
)

MIB = 1024 * 1024
WEBSOCKETS = '{transport="websocket"}'
MINUTES_TO_JUDGE = 3
CLIENTS_STOP = 20.0  # seconds in which the daemon has forgotten those that are gone
LOOK_INTERVAL = 0.2  # seconds

OPTIONS = (
    # The clients come from many addresses.
    *("--auth", "anyone", "--trusted-proxy", "127.0.0.1"),
    *("--high-water-mark", "65536", "--session-idle-timeout", "60", "--keep-deleted", "0"),
)


@dataclass(frozen=True)
class Sample:
    """
    The daemon at one moment.

    :ivar minute: since the clients began.
    :ivar memory: resident, in MiB.
    :ivar descriptors: open files and sockets.
    :ivar sockets: those of the connections that are WebSockets.
    :ivar lag: the mean lag of the reactor since the sample before, in ms.
    :ivar largest_lag: of the last one to two minutes, in ms.
    :ivar lagged: how many times a client has begun to lag.
    :ivar connected: how many WebSockets there have been.
    """

    minute: float
    memory: float
    descriptors: float
    sessions: float
    connections: float
    sockets: float
    lag: float
    largest_lag: float
    lagged: float
    connected: float


@dataclass(frozen=True)
class Series:
    """
    What is judged.

    :ivar most: how much it may rise in an hour.
    """

    title: str
    unit: str
    most: float

    def value(self, sample: Sample) -> float:
        if self.title == "spare descriptors":
            return sample.descriptors - sample.sockets
        value: float = getattr(sample, self.title)
        return value


SERIES = (
    Series("memory", "MiB", 6.0),
    Series("spare descriptors", "", 10.0),
    Series("sessions", "", 10.0),
    Series("lag", "ms", 1.0),
)


@dataclass(frozen=True)
class Verdict:
    """How a series went on after the warm-up."""

    series: Series
    mean: float
    rise: float

    @property
    def is_flat(self) -> bool:
        return self.rise <= self.series.most

    def __str__(self) -> str:
        word = "flat" if self.is_flat else "NOT FLAT"
        unit = f" {self.series.unit}".rstrip()
        return (
            f"{self.series.title}: {word}: {self.mean:.3g}{unit} on average, "
            f"{self.rise:+.3g}{unit} an hour (at most {self.series.most:+g}{unit})"
        )


def judge(samples: Iterable[Sample], warm_up: float) -> list[Verdict]:
    """
    Judge what came after the warm-up, in minutes.

    :raises BenchError: when that is too short.
    """
    minutes: dict[int, list[Sample]] = {}
    for sample in samples:
        if sample.minute >= warm_up:
            minutes.setdefault(int(sample.minute), []).append(sample)
    if len(minutes) < MINUTES_TO_JUDGE:
        raise BenchError(f"less than {MINUTES_TO_JUDGE} minutes after the warm-up are too few")
    hours = [minute / 60 for minute in minutes]
    verdicts = []
    for series in SERIES:
        lowest = [min(map(series.value, group)) for group in minutes.values()]
        slope = linear_regression(hours, lowest).slope
        verdicts.append(Verdict(series, fmean(lowest), slope))
    return verdicts


# the daemon and what it says


class Watch:
    """Takes samples of a daemon."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._began = time.monotonic()
        self._lag = (0.0, 0.0)

    def take(self) -> Sample:
        """
        :raises BenchError: when the daemon doesn't answer.
        """
        values = self._metrics()
        seconds, looks = (values[f"helix_reactor_lag_seconds_{end}"] for end in ("sum", "count"))
        lag = (seconds - self._lag[0]) / max(1.0, looks - self._lag[1])
        self._lag = (seconds, looks)
        return Sample(
            minute=(time.monotonic() - self._began) / 60,
            memory=values["process_resident_memory_bytes"] / MIB,
            descriptors=values["process_open_fds"],
            sessions=values["helix_sessions"],
            connections=values["helix_connections"],
            sockets=values[f"helix_connections_opened_total{WEBSOCKETS}"]
            - values[f"helix_connections_closed_total{WEBSOCKETS}"],
            lag=lag * 1000,
            largest_lag=values["helix_reactor_lag_max_seconds"] * 1000,
            lagged=values["helix_clients_lagging_total"],
            connected=values[f"helix_connections_opened_total{WEBSOCKETS}"],
        )

    def wait_for_nobody(self, seconds: float) -> None:
        """Wait until nobody is connected and no flow is open, for so long at most."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            values = self._metrics()
            if not values["helix_sessions"] and not values["helix_connections"]:
                return
            time.sleep(LOOK_INTERVAL)

    def _metrics(self) -> Counter[str]:
        """The metrics by name, their labels a part of it; 0 for those that aren't there yet."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            with contextlib.closing(connection):
                connection.request("GET", "/metrics")
                text = connection.getresponse().read().decode()
        except (OSError, http.client.HTTPException) as error:
            raise BenchError(f"it doesn't tell its metrics: {error!r}") from None
        lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
        return Counter({name: float(value) for name, _, value in lines})


@contextlib.contextmanager
def clients(port: int, places: int) -> Iterator[subprocess.Popen[str]]:
    program = str(SOURCE_DIRECTORY / "soak_clients.py")
    process = subprocess.Popen(
        [sys.executable, program, str(port), str(places)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        stop(process)


def soak(minutes: float, places: int, interval: float, output: Path | None) -> list[Sample]:
    """
    Run the daemon and the clients.

    :param interval: seconds between two samples; each is a line of ``output`` at once.
    :return: the samples, the last after all clients were gone.
    :raises BenchError: when either of them ends before its time.
    """
    samples: list[Sample] = []
    if output is not None:
        output.write_text("", encoding="utf-8")

    def take(watch: Watch) -> None:
        samples.append(watch.take())
        if output is not None:
            with output.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(samples[-1])) + "\n")
        if len(samples) % 12 == 1:
            say(_line(samples[-1]))

    server = make_helix("sqlite")
    cores = Cores.choose()
    with working_directory() as directory, sqlite_store(directory) as store:
        options = ["--store", store.url, *OPTIONS]
        # SQLite works beside the reactor: it may use the clients' core.
        its_cores = {cores.server, cores.generator}
        with running(server, 10_000, its_cores, directory, options) as (_, port, *_):
            watch = Watch(int(port))
            with clients(int(port), places) as process:
                end = time.monotonic() + minutes * 60
                while time.monotonic() < end:
                    take(watch)
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(min(interval, max(0.0, end - time.monotonic())))
                        raise BenchError("the clients ended")
            say(f"visits: {_told(process)}")
            watch.wait_for_nobody(CLIENTS_STOP)
            take(watch)
    return samples


def _told(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    with process.stdout as written:
        return written.read().strip()


def _line(sample: Sample) -> str:
    return (
        f"{sample.minute:6.1f} min  {sample.memory:6.1f} MiB  {sample.descriptors:4.0f} descriptors"
        f"  {sample.connections:4.0f} connections  {sample.sessions:3.0f} sessions"
        f"  lag {sample.lag:5.2f} ms, at most {sample.largest_lag:4.0f}"
    )


# what comes of it


def plot(samples: Sequence[Sample], warm_up: float, path: Path) -> None:
    """Draw all series over time, as a PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels: list[tuple[str, list[str]]] = [
        ("resident memory, MiB", ["memory"]),
        ("descriptors", ["descriptors", "connections"]),
        ("sessions", ["sessions"]),
        ("reactor lag, ms", ["largest_lag", "lag"]),
    ]
    figure, axes = pyplot.subplots(len(panels), sharex=True, figsize=(9, 9), layout="constrained")
    minutes = [sample.minute for sample in samples]
    for axis, (title, names) in zip(axes, panels, strict=True):
        for name, color in zip(names, ("#4f46e5", "#0d9488"), strict=False):
            values = [getattr(sample, name) for sample in samples]
            axis.plot(minutes, values, color=color, linewidth=1.2, label=name.replace("_", " "))
        axis.set_title(title, loc="left", fontsize=10)
        axis.set_ylim(bottom=0)
        axis.axvspan(0, warm_up, color="#8b93a1", alpha=0.15, linewidth=0)
        axis.grid(color="#8b93a1", alpha=0.25, linewidth=0.5)
        axis.spines[["top", "right"]].set_visible(False)
        if len(names) > 1:
            axis.legend(fontsize=8, frameon=False, loc="best")
    axes[-1].set_xlabel("minutes; the warm-up is shaded")
    figure.savefig(path, dpi=110)


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bench/soak.py",
        description="Does the daemon stay as it is while clients come and go?",
    )
    parser.add_argument("--minutes", type=float, default=20.0, help="for how long (20)")
    parser.add_argument("--warm-up", type=float, default=8.0, help="minutes that don't count (8)")
    parser.add_argument("--places", type=int, default=80, help="clients at a time (80)")
    parser.add_argument("--interval", type=float, default=5.0, help="seconds between samples (5)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the samples, as JSON")
    parser.add_argument("--plot", type=Path, metavar="PNG", help="draw them (needs matplotlib)")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    options = make_parser().parse_args(arguments)
    stop_on_termination()
    raise_descriptor_limit()
    try:
        samples = soak(options.minutes, options.places, options.interval, options.output)
        *loaded, last = samples
        if options.plot is not None:
            plot(loaded, options.warm_up, options.plot)
        print(f"when all clients were gone: {_line(last).strip()}")
        verdicts = judge(loaded, options.warm_up)
    except (BenchError, ImportError) as error:
        say(str(error))
        return 1
    print(*verdicts, sep="\n")
    return 0 if all(verdict.is_flat for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
