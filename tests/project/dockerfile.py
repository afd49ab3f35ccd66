"""
A Dockerfile without a container engine: its own steps, read from the file, in plain directories.

Each stage is a directory. One link leads to that of the stage that is being made, so that a path in
the container is the same text in all stages, as in an engine; what an earlier stage holds is there
only where ``COPY --from`` brought it. What needs root, or another system's files, is left out, and
printed with why.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path

import attrs

TIMEOUT = 500.0
"""Seconds for each step."""

NEEDS_ROOT: Mapping[str, str] = {
    "useradd": "it writes to /etc/passwd, as only root can",
    "groupadd": "it writes to /etc/group, as only root can",
    "apt-get": "it installs into the system, as only root can",
}


@attrs.frozen
class Step:
    """
    One instruction.

    :ivar flags: what stands before its arguments, such as ``--from``: name -> value.
    :ivar text: the rest, its lines joined.
    """

    name: str
    flags: Mapping[str, str]
    text: str

    @property
    def words(self) -> list[str]:
        """The arguments, written as JSON or as words."""
        if self.text.startswith("["):
            words: list[str] = json.loads(self.text)
            return words
        return shlex.split(self.text)


def read_steps(text: str) -> Iterator[Step]:
    """Read the instructions of a Dockerfile."""
    lines = [line for line in text.splitlines() if not re.match(r"\s*(#|$)", line)]
    for one in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        name, _, rest = one.partition(" ")
        flags = {}
        while found := re.match(r"--([a-z-]+)=(\S+)\s+", rest):
            flags[found[1]] = found[2]
            rest = rest[found.end() :]
        yield Step(name.upper(), flags, rest.strip())


def is_ignored(path: str, rules: Sequence[str]) -> bool:
    """Tell whether a ``.dockerignore`` leaves a path of its folder out; the last rule counts."""
    ignored = False
    parents = ["/".join(path.split("/")[:count]) for count in range(1, path.count("/") + 2)]
    for rule in rules:
        pattern = rule.removeprefix("!").strip("/")
        # fnmatch's star takes slashes, too: what begins with two matches at any depth.
        forms = (pattern, pattern.removeprefix("**/"))
        if any(
            fnmatch(one, form) and (form.count("/") == one.count("/") or "**" in pattern)
            for one in parents
            for form in forms
        ):
            ignored = not rule.startswith("!")
    return ignored


@attrs.define(eq=False)
class Image:
    """
    What the last stage makes.

    :param context: the folder that is built.
    :param scratch: where the stages' directories are made.
    :param host_path: where programs of the base image are looked for.
    :param ports: those of the container, by which each is on this machine.
    :param variables: more that each step is given, not kept.

    :ivar environment: of the container.
    :ivar left_out: the steps that were, each with why.
    """

    context: Path
    scratch: Path
    host_path: str
    ports: Mapping[int, int]
    variables: Mapping[str, str]
    environment: dict[str, str] = attrs.field(factory=dict)
    left_out: list[str] = attrs.field(factory=list)
    bases: list[str] = attrs.field(factory=list)
    volumes: list[str] = attrs.field(factory=list)
    exposed: list[str] = attrs.field(factory=list)
    user: str = "root"
    health: list[str] = attrs.field(factory=list)
    command: list[str] = attrs.field(factory=list)
    directory: str = "/"
    _stages: dict[str, Path] = attrs.field(factory=dict)
    # The folders at the root that are the container's own; others are this machine's.
    _tops: set[str] = attrs.field(factory=set)

    @property
    def root(self) -> Path:
        """The link to the stage that is being made, and at last to the image."""
        return self.scratch / "root"

    def build(self, text: str) -> None:
        """Carry all steps of a Dockerfile out."""
        steps = list(read_steps(text))
        self._tops = {
            word.split("/")[1]
            for step in steps
            if step.name in ("WORKDIR", "COPY", "VOLUME")
            for word in step.words
            if word.startswith("/")
        }
        for step in steps:
            getattr(self, f"_{step.name.lower()}")(step)

    def here(self, text: str) -> str:
        """Give a text of the container's with paths and ports of this machine."""
        tops = "|".join(sorted(self._tops))
        text = re.sub(rf"(?<![\w.$-])/(?=(?:{tops})\b)", f"{self.root}/", text)
        for port, mapped in self.ports.items():
            text = re.sub(rf"\b{port}\b", str(mapped), text)
        return text

    def start(self, words: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
        """Start a command in the container; what it says goes to ``log``."""
        with log.open("wb") as output:
            return subprocess.Popen(
                [self.here(word) for word in words],
                cwd=self.here(self.directory),
                env=self._variables(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def files(self) -> dict[str, int]:
        """List the image's files outside its volumes, each with when it was changed (ns)."""
        home = self.root.resolve()
        volumes = tuple(f"{home}{volume}/" for volume in self.volumes)
        return {
            str(path.relative_to(home)): path.stat().st_mtime_ns
            for path in home.rglob("*")
            if path.is_file() and not str(path).startswith(volumes)
        }

    def _variables(self) -> dict[str, str]:
        own = {name: self.here(value) for name, value in self.environment.items()}
        path = own.get("PATH", "$PATH").replace("$PATH", self.host_path)
        return {**self.variables, **own, "PATH": path}

    def _leave_out(self, step: Step, why: str) -> None:
        self.left_out.append(step.text)
        print(f"left out: {step.name} {step.text}: {why}")

    def _from(self, step: Step) -> None:
        base, *named = step.text.split()
        stage = self.scratch / f"stage{len(self.bases)}"
        stage.mkdir()
        self.root.unlink(missing_ok=True)
        self.root.symlink_to(stage)
        self.bases.append(base)
        self._stages[named[1] if named else ""] = stage
        self.directory, self.user, self.environment = "/", "root", {}

    def _workdir(self, step: Step) -> None:
        self.directory = step.text
        Path(self.here(step.text)).mkdir(parents=True, exist_ok=True)

    def _copy(self, step: Step) -> None:
        assert set(step.flags) <= {"from"}, "owners are root's to give"
        *sources, target = step.words
        stage = step.flags.get("from")
        place = Path(self.here(target if target.startswith("/") else f"{self.directory}/{target}"))
        for source in sources:
            if stage is not None:
                home = self._stages[stage]
                _copy(home / source.lstrip("/"), place, lambda _: False)
            else:
                _copy(
                    self.context / source, place / source if target == "./" else place, self._skip
                )

    def _skip(self, path: Path) -> bool:
        rules = [
            line
            for line in (self.context / ".dockerignore").read_text("utf-8").splitlines()
            if line and not line.startswith("#")
        ]
        return is_ignored(path.relative_to(self.context).as_posix(), rules)

    def _run(self, step: Step) -> None:
        program = step.text.split()[0]
        if program in NEEDS_ROOT:
            self._leave_out(step, NEEDS_ROOT[program])
            return
        ended = subprocess.run(
            ["sh", "-e", "-c", self.here(step.text)],
            cwd=self.here(self.directory),
            env=self._variables(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout

    def _env(self, step: Step) -> None:
        self.environment |= dict(word.split("=", 1) for word in step.words)

    def _user(self, step: Step) -> None:
        self.user = step.text
        self._leave_out(step, "only root can become somebody else; the steps run as whoever tests")

    def _volume(self, step: Step) -> None:
        self.volumes += step.words

    def _expose(self, step: Step) -> None:
        self.exposed += step.words

    def _healthcheck(self, step: Step) -> None:
        self.health = json.loads(step.text.removeprefix("CMD").strip())

    def _cmd(self, step: Step) -> None:
        self.command = step.words


def _copy(source: Path, target: Path, skip: Callable[[Path], bool]) -> None:
    assert source.exists(), source
    if source.is_file():
        assert not skip(source), f"{source} is ignored"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
        return
    shutil.copytree(
        source,
        target,
        symlinks=True,
        dirs_exist_ok=True,
        ignore=lambda folder, names: [name for name in names if skip(Path(folder, name))],
    )


def clean_environment() -> dict[str, str]:
    """Give what a step may know of this machine: how packages are fetched, and nothing of Helix."""
    kept = (
        "PIP_",
        "SSL_",
        "REQUESTS_CA",
        "NPM_CONFIG_",
        "npm_config_",
        "NODE_EXTRA",
        "LANG",
        "HOME",
    )
    return {name: os.environ[name] for name in os.environ if name.startswith(kept)}
