"""The description of REST, held against the routes and against what a daemon answers."""

from __future__ import annotations

import http.client
import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import hypothesis
import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from schemathesis.checks import load_all_checks
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import allow_header_conformance, positive_data_acceptance

from helix import __version__
from helix.documents.ids import MAX_ID_BYTES, parse_flow_id
from helix.errors import HelixError
from helix.flows.version_names import parse_version_name
from helix.web.flow_list import FLOWS_ON_A_PAGE
from helix.web.flows import ENTRIES_ON_A_PAGE, FlowRoutes
from helix.web.guests import GuestRoutes
from helix.web.keys import KeyRoutes
from helix.web.openapi import ApiDocs
from helix.web.problems import STATUS
from helix.web.routes import MAX_PAGE, OF_A_FLOW
from helix.web.sharing import ENTRIES_ON_A_PAGE as AUDIT_ON_A_PAGE
from helix.web.sharing import SharingRoutes
from helix.web.sign_in import SignInRoutes
from helix.web.site import SESSIONS_ON_A_PAGE, Web
from helix.web.templates import TemplateRoutes
from tests.support.daemon import Daemon
from tests.support.stack import Stack
from tests.support.watched import no_faults, running_daemon

DOCUMENT: dict[str, Any] = json.loads(ApiDocs.load().document)

FLOW_ID = DOCUMENT["components"]["parameters"]["FlowId"]["example"]

FLOW_IDS = jsonschema_rs.validator_for(DOCUMENT["components"]["schemas"]["FlowId"])
VERSION_NAMES = jsonschema_rs.validator_for(DOCUMENT["components"]["schemas"]["VersionName"])

# Texts in which those characters are frequent that are white space to somebody, or controls.
TEXTS = st.text(
    st.one_of(
        st.sampled_from([chr(code) for code in range(0x3001) if chr(code).isspace()]),
        st.sampled_from("\0\x01\x7f\u180e\u200b\ufeffxy/"),
        st.characters(codec="utf-8"),
    )
)

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


ROUTES = {
    (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower()): rule.endpoint
    for routes in (
        Web,
        FlowRoutes,
        TemplateRoutes,
        KeyRoutes,
        GuestRoutes,
        SharingRoutes,
        SignInRoutes,
    )
    for rule in routes.app.url_map.iter_rules()
    for method in rule.methods - {"HEAD"}
}


def test_res20_every_route_is_described_and_no_other() -> None:
    described = {
        (path, method): operation["operationId"]
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
    }
    assert described == ROUTES


def test_res21_every_word_behind_an_id_is_known() -> None:
    ends = {path.partition("{flow_id}/")[2] for path, _ in ROUTES if "{flow_id}/" in path}
    assert ends == {*OF_A_FLOW, "versions/{version}", "links/{link_id}"}


def test_res20_every_code_of_a_problem_is_documented() -> None:
    listed = Path(__file__).parents[2].joinpath("docs", "errors.md").read_text("utf-8")
    told = json.dumps(DOCUMENT["components"]["responses"])
    for code, status in STATUS.items():
        assert f"`{code}`" in listed, code
        if status not in (403, 421) and code not in ("too_many_connections", "session_not_found"):
            assert f"`{code}`" in told, code


def everything_in(value: object) -> Iterator[dict[str, Any]]:
    """All objects in some JSON."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for member in value:
            yield from everything_in(member)


def test_res20_examples_fit_their_schemas() -> None:
    count = 0
    for media in everything_in(DOCUMENT):
        examples = [one["value"] for one in media.get("examples", {}).values()]
        examples += [media["example"]] if "example" in media else []
        for example in examples if "schema" in media else []:
            schema = {"components": DOCUMENT["components"], "allOf": [media["schema"]]}
            jsonschema_rs.validate(schema, example)
            count += 1
    assert count > 50


def test_res20_references_lead_somewhere_and_nothing_is_left_over() -> None:
    references = {one["$ref"] for one in everything_in(DOCUMENT) if "$ref" in one}
    components = {
        f"#/components/{kind}/{name}"
        for kind, members in DOCUMENT["components"].items()
        for name in members
    }
    references |= {
        f"#/components/securitySchemes/{name}"
        for one in everything_in(DOCUMENT)
        for way in one.get("security", [])
        for name in way
    }
    assert references == components


def test_res20_limits_are_those_of_the_server() -> None:
    parameters = DOCUMENT["components"]["parameters"]
    for name, default in [
        ("FlowsLimit", FLOWS_ON_A_PAGE),
        ("EntriesLimit", ENTRIES_ON_A_PAGE),
        ("SessionsLimit", SESSIONS_ON_A_PAGE),
        ("AuditLimit", AUDIT_ON_A_PAGE),
    ]:
        limit = parameters[name]["schema"]
        assert (limit["default"], limit["minimum"], limit["maximum"]) == (default, 1, MAX_PAGE)


def is_taken(parse: Callable[[str], str], text: str) -> bool:
    """Whether the server takes a text; it then makes of it one that fits as well."""
    try:
        return parse(parse(text)) == parse(text)
    except HelixError:
        return False


@given(TEXTS | st.builds("{0}{1}{0}".format, TEXTS, st.integers(249, 260).map("x".__mul__)))
@hypothesis.example("x\n")
@hypothesis.example("\u00a0")
@hypothesis.example("x\x1f")
@hypothesis.example(" " * 256 + "x")
def test_res20_rel6_ids_that_fit_are_those_that_the_server_takes(text: str) -> None:
    assume(len(text.strip().encode()) <= MAX_ID_BYTES or len(text.strip()) > MAX_ID_BYTES)
    assert FLOW_IDS.is_valid(text) == is_taken(parse_flow_id, text)


@given(TEXTS | st.builds("{0}{1}{0}".format, TEXTS, st.integers(114, 125).map("x".__mul__)))
def test_res20_res26_names_that_fit_are_those_that_the_server_takes(text: str) -> None:
    assert VERSION_NAMES.is_valid(text) == is_taken(parse_version_name, text)


def test_res20_description_and_page_are_served_and_known_again() -> None:
    stack = Stack()
    described, page = stack.get("/api/openapi.json"), stack.get("/api/docs")
    assert described.json == DOCUMENT
    assert described.json["info"]["version"] == __version__
    assert described.content_type == "application/json"
    assert page.content_type == "text/html; charset=utf-8"
    for target, answer in [("/api/openapi.json", described), ("/api/docs", page)]:
        assert answer.headers["cache-control"] == "no-cache"
        again = stack.get(target, ("If-None-Match", answer.headers["etag"]))
        assert (again.status, again.body) == (304, b"")
        assert stack.get(target, ("If-None-Match", '"x"')).status == 200


class Page(HTMLParser):
    """What a page holds."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag != "meta":
            self.open.append(tag)
        for name, value in attrs:
            assert not name.startswith("on")
            assert name not in ("src", "style")
            if name == "id":
                self.ids.append(value or "")
            if name == "href":
                self.links.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_res20_page_needs_no_script_and_nothing_from_elsewhere() -> None:
    answer = Stack().get("/api/docs")
    page = Page(answer.body.decode())
    assert page.open == []
    assert not page.tags & {"script", "link", "img", "iframe", "object", "form"}
    assert len(page.ids) == len(set(page.ids))
    for link in page.links:
        assert link == "/api/openapi.json" or link.removeprefix("#") in page.ids, link
    for operation in everything_in(DOCUMENT["paths"]):
        if "operationId" in operation:
            assert operation["operationId"] in page.ids
            assert operation["summary"] in page.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    style = re.search("<style>(.*)</style>", answer.body.decode(), re.DOTALL)
    assert style
    digest = b64encode(sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert "prefers-color-scheme: dark" in style[1]
    assert "url(" not in style[1]


@schema.parametrize()
@settings(suppress_health_check=list(HealthCheck))
def test_res20_daemon_does_what_is_described(case: schemathesis.Case, daemon: Daemon) -> None:
    flow_id = unquote(case.path_parameters.get("flow_id", ""))
    if len(flow_id) % 4 and FLOW_IDS.is_valid(flow_id):
        make_flow(daemon)
        case.path_parameters["flow_id"] = FLOW_ID
    excluded = []
    if case.path == "/api/flows/import":  # a flow may have that name, and the methods of flows
        excluded.append(allow_header_conformance)
    changes_access = case.path.endswith(("/access", "/links", "/{link_id}", "/api/keys"))
    if changes_access and case.method != "GET":  # which an open server refuses
        excluded.append(positive_data_acceptance)
    # No cursors but those that the server gave are accepted, and of texts only JSON is tags; a
    # pattern can't count an id's bytes.
    if {"cursor", "tags"} & set(case.query) or len(flow_id.strip().encode()) > MAX_ID_BYTES:
        excluded.append(positive_data_acceptance)
    case.call_and_validate(base_url=f"http://{daemon.address}", excluded_checks=excluded)
