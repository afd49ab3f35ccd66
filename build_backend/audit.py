"""
Known vulnerabilities of what Helix runs on and ships: its requirements as they are installed, and
the packages that are built into the editor and the client library.

    python build_backend/audit.py

A finding that a newer version mends fails, and says what to do; one that nothing mends yet, and a
service that can't be asked, are told of.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, NamedTuple

from npm import FRONTEND, command

DISTRIBUTION = "helix-flows"

TIMEOUT = 60.0
"""Seconds that each service has."""

ACCEPTED: Mapping[str, str] = {}
"""Advisories that don't concern Helix: id -> why."""


class Finding(NamedTuple):
    """
    An advisory about something that is used.

    :ivar ids: by which it is known.
    :ivar text: what it is of, and what to do.
    :ivar is_mended: whether there is a version without it.
    """

    ids: Sequence[str]
    text: str
    is_mended: bool


class Unreachable(Exception):
    """A service could not be asked; the message says why."""


def requirements(name: str) -> dict[str, str]:
    """
    Give what a distribution needs to run, and what that needs, as it is installed.

    :return: name -> version, without the distribution itself.
    """
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    found: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    open_ends = [(canonicalize_name(name), "")]
    while open_ends:
        one, extra = open_ends.pop()
        if (one, extra) in seen:
            continue
        seen.add((one, extra))
        try:
            installed = distribution(one)
        except PackageNotFoundError:
            continue  # of an extra, or for another system
        found[one] = installed.version
        for line in installed.requires or ():
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                needs = canonicalize_name(needed.name)
                open_ends += [(needs, wanted) for wanted in ("", *needed.extras)]
    del found[canonicalize_name(name)]
    return found


def python_findings(report: Any) -> Iterator[Finding]:
    """
    Read what pip-audit found.

    :raises Unreachable: when it could ask about nothing at all.
    """
    listed = report["dependencies"]
    skipped = [one for one in listed if "skip_reason" in one]
    if listed and len(skipped) == len(listed):
        raise Unreachable(skipped[0]["skip_reason"])
    for one in skipped:
        print(f"pip-audit: nothing is known of {one['name']}: {one['skip_reason']}")
    for one in listed:
        for known in one.get("vulns", ()):
            fixed = " or ".join(known["fix_versions"])
            what = f"raise it to {fixed} in setup.py" if fixed else "no version mends it yet"
            ids = [known["id"], *known.get("aliases", ())]
            text = f"{one['name']} {one['version']}: {known['id']}: {what}"
            yield Finding(ids, text, bool(fixed))


def npm_findings(report: Any) -> Iterator[Finding]:
    """
    Read what npm found, as `python_findings`.

    :raises Unreachable: when it didn't get to ask.
    """
    if "vulnerabilities" not in report:
        raise Unreachable(str(report.get("message") or report.get("error") or report))
    for name, one in report["vulnerabilities"].items():
        for known in one["via"]:
            if isinstance(known, str):  # by way of another package, which is listed itself
                continue
            fix = one["fixAvailable"]
            if isinstance(fix, dict):
                what = f"raise {fix['name']} to {fix['version']} in frontend/"
            else:
                what = "run `npm audit fix` in frontend/" if fix else "no version mends it yet"
            advisory = known["url"].rpartition("/")[2]
            text = f"{name} {one['range']}: {advisory} ({known['title']}): {what}"
            yield Finding([advisory, str(known["source"])], text, bool(fix))


def ask_pip_audit() -> Iterator[Finding]:
    """Ask about the requirements that are installed beside this Python."""
    pinned = [
        f"{name}=={version}\n" for name, version in sorted(requirements(DISTRIBUTION).items())
    ]
    with tempfile.TemporaryDirectory() as directory:
        listed = Path(directory, "requirements.txt")
        listed.write_text("".join(pinned), encoding="utf-8")
        ask = [sys.executable, "-m", "pip_audit", "--requirement", str(listed), "--no-deps"]
        report = _report([*ask, "--disable-pip", "--progress-spinner=off", "--format=json"])
    yield from python_findings(report)


def ask_npm() -> Iterator[Finding]:
    """Ask about what the lockfile names for the editor and the client library."""
    program, environment = command("audit", "--package-lock-only", "--omit=dev", "--json")
    yield from npm_findings(_report(program, cwd=FRONTEND, env=environment))


def _report(program: Sequence[str | Path], **options: Any) -> Any:
    try:
        ended = subprocess.run(
            program, capture_output=True, text=True, timeout=TIMEOUT, check=False, **options
        )
    except subprocess.TimeoutExpired:
        raise Unreachable(f"no answer within {TIMEOUT:g} s") from None
    try:
        return json.loads(ended.stdout)
    except ValueError:
        last = ended.stderr.strip().splitlines()[-1:] or [f"it ended with {ended.returncode}"]
        raise Unreachable(last[0]) from None


def settle(what: str, findings: Iterable[Finding]) -> bool:
    """
    Tell of findings.

    :param what: was asked.
    :return: whether there is none that has to be dealt with.
    """
    count = 0
    try:
        for finding in findings:
            accepted = [ACCEPTED[one] for one in finding.ids if one in ACCEPTED]
            count += finding.is_mended and not accepted
            print(f"{what}: {finding.text}" + "".join(f" (accepted: {why})" for why in accepted))
    except Unreachable as error:
        print(f"{what}: could not be asked, so nothing is known: {error}")
        return True
    if count:
        print(
            f"{what}: {count} to be dealt with, or accepted with a reason in {Path(__file__).name}"
        )
    else:
        print(f"{what}: nothing has to be dealt with")
    return count == 0


def main() -> None:
    """:raises SystemExit: when something was found."""
    settled = [settle("pip-audit", ask_pip_audit()), settle("npm audit", ask_npm())]
    if not all(settled):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
