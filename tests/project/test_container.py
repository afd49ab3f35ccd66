"""The Dockerfile's own steps without a container engine, and the shape of compose.yaml. (OPS18)"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs
import pytest
import yaml

from helix.config import SETTINGS, check_auth, read_config
from tests.project.dockerfile import Image, clean_environment, is_ignored, read_steps
from tests.support.daemon import free_port
from tests.support.watched import eventually

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
COMPOSE_TEXT = (ROOT / "compose.yaml").read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_TEXT)
VARIABLES = {setting.variable for setting in SETTINGS}
WARNING = "HELIX_AUTH=anyone"


@pytest.mark.package
@pytest.mark.timeout(900)
def test_ops18_steps_of_the_dockerfile_make_a_server(tmp_path: Path) -> None:
    port = free_port()
    image = Image(
        ROOT,
        tmp_path,
        host_path=f"{Path(sys.executable).parent}:/usr/bin:/bin",
        ports={4000: port},
        # That the editor is built has been seen in tests/project/test_package.py.
        variables={**clean_environment(), "HELIX_SKIP_FRONTEND": "1"},
    )
    image.build(DOCKERFILE)
    assert all(re.fullmatch(r"python:3\.1[123]-slim", base) for base in image.bases)
    assert len(image.bases) == 2
    assert image.user.isdigit()
    assert image.user != "0"
    assert f"--uid {image.user} " in "\n".join(image.left_out)
    assert image.exposed == ["4000"]
    made = image.files()
    assert not [name for name in made if name.startswith("src/")], "the sources stay behind"
    log = tmp_path / "server.log"
    server = image.start(image.command, log)

    def is_healthy() -> bool:
        return image.start(image.health, tmp_path / "health.log").wait(60) == 0

    try:
        eventually(lambda: is_healthy() or server.poll() is not None, "it is healthy", 120)
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/flows",
            json.dumps({"id": "f", "title": "T"}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert answer.status == 201
        server.terminate()
        assert server.wait(60) == 0
    finally:
        server.kill()
        server.wait()
        print(log.read_text())
    assert not is_healthy(), "what has ended is not healthy"
    assert f"open http://127.0.0.1:{port}/" in log.read_text()
    # The user may write to the volume alone, and need not write elsewhere.
    assert image.files() == made
    (volume,) = image.volumes
    assert (image.root / volume.lstrip("/") / "flows.db").exists()


def test_ops18_variables_of_the_image_are_settings() -> None:
    steps = list(read_steps(DOCKERFILE))
    given: dict[str, str] = {}
    for step in steps:
        if step.name == "ENV":
            given |= dict(word.split("=", 1) for word in step.words)
    settings = {name: value for name, value in given.items() if name.startswith("HELIX_")}
    assert set(settings) <= VARIABLES
    config = read_config({}, settings)
    (volume,) = [step.text for step in steps if step.name == "VOLUME"]
    assert config.store == f"sqlite:{volume}/flows.db"
    assert config.listen == ("tcp:4000",)
    check_auth(config)
    assert config.allow_host, "a page may have a name that leads to the published port"


def test_ops18_hadolint_finds_nothing() -> None:
    program = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if program is None:
        pytest.skip("hadolint comes as a wheel for Linux on x86-64 only")
    ended = subprocess.run(
        [program, "--failure-threshold", "ignore", ROOT / "Dockerfile"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (0, "")


def filled(value: str) -> str:
    """A value of compose.yaml where nobody sets its variables."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)


def test_ops18_compose_has_helix_on_a_database_that_it_waits_for() -> None:
    helix, database = COMPOSE["services"]["helix"], COMPOSE["services"]["database"]
    assert set(COMPOSE["services"]) == {"helix", "database"}
    assert helix["build"] == "."
    assert helix["depends_on"] == {"database": {"condition": "service_healthy"}}
    assert database["healthcheck"]["test"][:2] == ["CMD", "pg_isready"]
    assert set(helix["environment"]) <= VARIABLES
    environment = {name: filled(value) for name, value in helix["environment"].items()}
    config = read_config({}, environment)
    store = urlsplit(config.store)
    check_auth(attrs.evolve(config, listen=("tcp:4000",)))
    access = {name: filled(value) for name, value in database["environment"].items()}
    assert (store.scheme, store.hostname) == ("postgresql", "database")
    assert store.username == access["POSTGRES_USER"]
    assert store.password == access["POSTGRES_PASSWORD"]
    assert store.path == f"/{access['POSTGRES_DB']}"
    mounted = [volume.partition(":")[0] for volume in database["volumes"]]
    assert set(mounted) == set(COMPOSE["volumes"])


def test_ops18_port_is_published_on_loopback_alone_and_why_is_said() -> None:
    published = [port for one in COMPOSE["services"].values() for port in one.get("ports", [])]
    assert published == ["127.0.0.1:4000:4000"]
    assert "--publish 127.0.0.1:4000:4000" in DOCKERFILE
    for text in (DOCKERFILE, COMPOSE_TEXT):
        assert WARNING in text


@pytest.mark.parametrize(
    ("path", "ignored"),
    [
        ("helix/tap.py", False),
        ("frontend/client/src/index.ts", False),
        ("setup.py", False),
        ("README.md", False),
        (".git", True),
        ("helix-data/flows.db", True),
        ("tests/project/test_container.py", True),
        ("helix/__pycache__/tap.cpython-313.pyc", True),
        ("frontend/node_modules/react/index.js", True),
        ("frontend/client/dist/index.js", True),
        ("helix/editor/index.html", True),
    ],
)
def test_ops18_only_sources_are_sent_to_be_built(path: str, ignored: bool) -> None:
    rules = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert is_ignored(path, [rule for rule in rules if rule and rule[0] != "#"]) == ignored
