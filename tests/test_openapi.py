"""The description of REST, held against the routes and against what a daemon answers."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import load_all_checks
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import allow_header_conformance, positive_data_acceptance

from helix.apidocs import ApiDocs
from tests.daemon import Daemon
from tests.watched import no_faults, running_daemon

DOCUMENT: dict[str, Any] = json.loads(ApiDocs.load().document)

FLOW_ID = DOCUMENT["components"]["parameters"]["FlowId"]["example"]

CONFIG = {
    "seed": 1,
    "generation": {"max-examples": 25, "deterministic": True, "database": "none"},
    "checks": {
        # What a schema can't say: that edges lead to nodes, that ids equal their keys, at what
        # version a flow is. So these answers, too, are to requests that fit the schemas.
        "positive_data_acceptance": {
            "expected-statuses": ["2xx", "304", "404", "409", "410", "412", "422"]
        },
        # Whether a flow is there, and at the version asked for, may be looked at before the rest.
        "negative_data_rejection": {
            "expected-statuses": ["400", "404", "405", "409", "410", "412", "413", "415", "422"]
        },
    },
}

load_all_checks()
schema = schemathesis.openapi.from_dict(DOCUMENT, config=SchemathesisConfig.from_dict(CONFIG))


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    directory = tmp_path_factory.mktemp("described")
    with running_daemon(directory, "--store", "memory:") as one, no_faults(one):
        yield one


def make_flow(daemon: Daemon) -> None:
    """See to it that there is a flow, with an entry."""
    connection = http.client.HTTPConnection(daemon.address, timeout=10)
    try:
        body = json.dumps({"id": FLOW_ID, "document": {"title": "Triage"}})
        connection.request("POST", "/api/flows", body, {"Content-Type": "application/json"})
        assert connection.getresponse().status in (201, 409)
    finally:
        connection.close()


@schema.parametrize()
@settings(suppress_health_check=list(HealthCheck))
def test_res20_daemon_does_what_is_described(case: schemathesis.Case, daemon: Daemon) -> None:
    if len(case.path_parameters.get("flow_id", "")) % 4:
        make_flow(daemon)
        case.path_parameters["flow_id"] = FLOW_ID
    excluded = []
    if case.path == "/api/flows/import":  # a flow may have that name, and the methods of flows
        excluded.append(allow_header_conformance)
    if "cursor" in case.query:  # none but those that the server gave are accepted
        excluded.append(positive_data_acceptance)
    case.call_and_validate(base_url=f"http://{daemon.address}", excluded_checks=excluded)
