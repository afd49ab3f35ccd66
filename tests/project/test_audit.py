"""What is made of the answers about known vulnerabilities."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

BACKEND = Path(__file__).resolve().parents[2] / "build_backend"


@pytest.fixture(scope="module")
def audit() -> Any:
    """The module, which is no part of the package."""
    sys.path.insert(0, str(BACKEND))
    try:
        spec = importlib.util.spec_from_file_location("audit", BACKEND / "audit.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(BACKEND))
    return module


def python_report(**vulnerability: object) -> dict[str, object]:
    known = {"id": "PYSEC-1", "fix_versions": ["2.1"], "aliases": ["CVE-1"], **vulnerability}
    return {
        "dependencies": [
            {"name": "sound", "version": "1", "vulns": []},
            {"name": "twisted", "version": "2.0", "vulns": [known]},
            {"name": "unknown", "skip_reason": "not found"},
        ]
    }


def npm_report(fix: object) -> dict[str, object]:
    via = {"url": "https://github.com/advisories/GHSA-1", "source": 7, "title": "A hole"}
    return {
        "vulnerabilities": {
            "phoenix": {"via": [via], "range": "<1.9", "fixAvailable": fix},
            "helix-flows": {"via": ["phoenix"], "range": "*", "fixAvailable": fix},
        }
    }


def test_sec11_requirements_are_those_that_run(audit: Any) -> None:
    needed = audit.requirements("helix-flows")
    assert {"twisted", "autobahn", "pyopenssl", "zope-interface", "hyperlink"} <= needed.keys()
    assert not {"helix-flows", "pytest", "tox", "pip-audit"} & needed.keys()


def test_sec11_finding_fails_and_says_what_to_do(
    audit: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not audit.settle("pip-audit", audit.python_findings(python_report()))
    told = capsys.readouterr().out
    assert "twisted 2.0: PYSEC-1: raise it to 2.1 in setup.py" in told
    assert "audit.py" in told
    assert not audit.settle("npm audit", audit.npm_findings(npm_report(True)))
    assert "phoenix <1.9: GHSA-1 (A hole): run `npm audit fix`" in capsys.readouterr().out
    fix = {"name": "phoenix", "version": "1.9.1"}
    assert not audit.settle("npm audit", audit.npm_findings(npm_report(fix)))
    assert "raise phoenix to 1.9.1" in capsys.readouterr().out


def test_sec11_what_nothing_mends_yet_is_told_and_fails_nobody(
    audit: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit.settle("pip-audit", audit.python_findings(python_report(fix_versions=[])))
    assert audit.settle("npm audit", audit.npm_findings(npm_report(False)))
    told = capsys.readouterr().out
    assert told.count("no version mends it yet") == 2
    assert "nothing is known of unknown: not found" in told


@pytest.mark.parametrize("name", ["PYSEC-1", "CVE-1"])
def test_sec11_advisory_that_is_accepted_is_told_with_its_reason(
    audit: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.setattr(audit, "ACCEPTED", {name: "it isn't called"})
    assert audit.settle("pip-audit", audit.python_findings(python_report()))
    assert "(accepted: it isn't called)" in capsys.readouterr().out


UNREACHABLE = [
    ("npm_findings", {"message": "405 Method Not Allowed", "statusCode": 405}, "405"),
    ("npm_findings", {"error": {"summary": "ENOTFOUND"}}, "ENOTFOUND"),
    ("python_findings", {"dependencies": [{"name": "x", "skip_reason": "no answer"}]}, "no answer"),
]


@pytest.mark.parametrize(("read", "report", "why"), UNREACHABLE)
def test_sec11_service_that_cannot_be_asked_is_told_and_does_not_fail(
    audit: Any, capsys: pytest.CaptureFixture[str], read: str, report: object, why: str
) -> None:
    assert audit.settle("service", getattr(audit, read)(report))
    told = capsys.readouterr().out
    assert "could not be asked" in told
    assert why in told


@pytest.mark.parametrize(
    ("program", "why"),
    [
        (["-c", "import time; time.sleep(60)"], "no answer within"),
        (["-c", "raise SystemExit('no network')"], "no network"),
        (["-c", ""], "it ended with 0"),
    ],
)
def test_sec11_program_that_gives_no_report_is_no_answer(
    audit: Any, monkeypatch: pytest.MonkeyPatch, program: list[str], why: str
) -> None:
    monkeypatch.setattr(audit, "TIMEOUT", 0.5 if "time" in program[1] else 30.0)
    with pytest.raises(audit.Unreachable, match=why):
        audit._report([sys.executable, *program])
