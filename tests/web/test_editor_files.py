"""How the editor is served: to every kind of client, and to those who look for what isn't there."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from helix.web.editor_files import EditorFiles
from tests.support.logs import logged
from tests.support.memory_clients import Answer
from tests.support.stack import Stack

__all__ = ["logged"]

BUILT = b'<!doctype html><head><script src="./assets/index-AbCd1234.js"></script></head>'
PAGE = BUILT.replace(b"./", b"/")
SCRIPT = b"console.log('Helix');" * 40
BROTLI = b"stands for the same in Brotli"
GZIP = gzip.compress(SCRIPT, mtime=0)
NAME = "/assets/index-AbCd1234.js"

FILES = {
    "index.html": BUILT,
    "index.html.gz": gzip.compress(BUILT, mtime=0),
    "assets/index-AbCd1234.js": SCRIPT,
    "assets/index-AbCd1234.js.br": BROTLI,
    "assets/index-AbCd1234.js.gz": GZIP,
    "assets/index-AbCd1234.css": b"main{}",
    "assets/helix-AbCd1234.svg": b"<svg/>",
    "assets/odd-AbCd1234.bin": b"\0",
}

pytestmark = pytest.mark.usefixtures("logged")


@pytest.fixture
def stack() -> Stack:
    return Stack(editor=EditorFiles(FILES))


def accepting(stack: Stack, codings: str, target: str = NAME) -> Answer:
    return stack.get(target, ("Accept-Encoding", codings))


# EDI1: the page


@pytest.mark.parametrize(
    "address", ["/", "/?a=b", "/flow/triage", "/flow/a%2Fb", "/flow/a/b", "/flow/%00", "/flow/a?b"]
)
def test_edi1_page_is_at_every_address_of_the_editor(stack: Stack, address: str) -> None:
    answer = stack.get(address)
    assert (answer.status, answer.body) == (200, PAGE)
    assert answer.content_type == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"


def test_edi1_page_that_is_known_is_not_sent_again(stack: Stack) -> None:
    tag = stack.get("/").headers["etag"]
    again = stack.get("/flow/x", ("If-None-Match", tag))
    assert (again.status, again.body) == (304, b"")
    assert again.headers["etag"] == tag
    assert again.headers["content-encoding"] is None
    assert stack.get("/", ("If-None-Match", '"another"')).status == 200
    assert stack.get("/", ("If-Match", '"another"')).status == 412


def test_edi1_head_tells_what_get_would_send(stack: Stack) -> None:
    got, told = stack.get("/"), stack.request("HEAD", "/")
    assert (told.status, told.body) == (200, b"")
    assert told.headers["content-length"] == str(len(PAGE))
    assert told.headers["etag"] == got.headers["etag"]


@pytest.mark.parametrize("address", ["/flow/a", NAME])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_edi1_files_are_only_read(stack: Stack, method: str, address: str) -> None:
    answer = stack.request(method, address)
    assert answer.status == 405
    assert answer.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    "address", ["/flow", "/flow/a/../../healthy", "/index.html", "/favicon.ico"]
)
def test_edi1_other_addresses_are_not_the_editors(stack: Stack, address: str) -> None:
    expected = 200 if address.startswith("/flow/") else 404
    assert stack.get(address).status == expected


def test_edi1_without_a_build_the_daemon_says_what_it_is() -> None:
    stack = Stack()
    assert stack.get("/").status == 200
    assert b"Helix" in stack.get("/").body
    assert stack.get("/flow/a").status == 404
    assert stack.get(NAME).status == 404


# EDI2: what the page is made of


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("index-AbCd1234.js", "text/javascript; charset=utf-8"),
        ("index-AbCd1234.css", "text/css; charset=utf-8"),
        ("helix-AbCd1234.svg", "image/svg+xml"),
        ("odd-AbCd1234.bin", "application/octet-stream"),
    ],
)
def test_edi2_assets_have_their_type_and_are_kept_forever(
    stack: Stack, name: str, media_type: str
) -> None:
    answer = stack.get(f"/assets/{name}")
    assert (answer.status, answer.content_type) == (200, media_type)
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.body == FILES[f"assets/{name}"]


@pytest.mark.parametrize(
    "address",
    [
        "/assets/", "/assets/none.js", "/assets/../index.html", "/assets/..%2Findex.html",
        "/assets/%2e%2e/%2e%2e/web.py", "/assets//etc/passwd", "/assets/%2Fetc%2Fpasswd",
        "/assets/index-AbCd1234.js.gz", "/assets/index-AbCd1234.js%00", "/assets/assets/" + NAME,
        "/assets/..\\index.html", "/assets/%ff",
    ],
)  # fmt: skip
def test_edi2_nothing_but_what_was_built_is_served(stack: Stack, address: str) -> None:
    answer = stack.get(address)
    assert (answer.status, answer.content_type) == (404, "application/problem+json")
    assert answer.headers["cache-control"] == "no-store"


# EDI3: compression


@pytest.mark.parametrize(
    ("codings", "coding", "body"),
    [
        ("br", "br", BROTLI),
        ("gzip, deflate, br, zstd", "br", BROTLI),
        ("gzip", "gzip", GZIP),
        ("GZIP;q=0.5", "gzip", GZIP),
        ("br;q=0, gzip;q=1.000", "gzip", GZIP),
        ("br;q=0.000, gzip ; q=0", None, SCRIPT),
        ("zstd", None, SCRIPT),
        ("identity", None, SCRIPT),
        ("br;q=x", None, SCRIPT),
        ("xbr, bro", None, SCRIPT),
        ("", None, SCRIPT),
    ],
)
def test_edi3_a_client_gets_the_smallest_that_it_takes(
    stack: Stack, codings: str, coding: str | None, body: bytes
) -> None:
    answer = accepting(stack, codings)
    assert answer.headers["content-encoding"] == coding
    assert answer.body == body
    assert answer.headers["content-length"] == str(len(body))
    assert answer.headers["vary"] == "accept-encoding"
    assert answer.content_type == "text/javascript; charset=utf-8"


def test_edi3_what_was_not_compressed_is_sent_as_it_is(stack: Stack) -> None:
    answer = accepting(stack, "br", "/assets/index-AbCd1234.css")
    assert answer.headers["content-encoding"] is None
    page = accepting(stack, "br, gzip", "/")
    assert page.headers["content-encoding"] == "gzip"
    assert gzip.decompress(page.body) == PAGE


def test_edi3_each_coding_has_a_tag_of_its_own(stack: Stack) -> None:
    tags = {codings: accepting(stack, codings).headers["etag"] for codings in ("br", "gzip", "")}
    assert len(set(tags.values())) == 3
    known = stack.get(NAME, ("Accept-Encoding", "br"), ("If-None-Match", tags["br"]))
    assert (known.status, known.body) == (304, b"")
    assert known.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert known.headers["vary"] == "accept-encoding"
    other = stack.get(NAME, ("Accept-Encoding", "br"), ("If-None-Match", tags["gzip"]))
    assert other.status == 200


# EDI4: what browsers are to allow


@pytest.mark.parametrize("address", ["/", "/flow/a"])
def test_edi4_page_allows_only_what_the_daemon_serves(stack: Stack, address: str) -> None:
    headers = stack.get(address).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy.pop("img-src") == "'self' data: blob:"
    assert set(policy.values()) == {"'none'", "'self'"}
    assert {"script-src", "style-src", "connect-src", "font-src"} == {
        name for name, sources in policy.items() if sources == "'self'"
    }
    assert {"default-src", "base-uri", "form-action", "frame-ancestors"} <= set(policy)
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize("address", ["/", NAME, "/assets/helix-AbCd1234.svg"])
def test_edi4_no_type_is_guessed(stack: Stack, address: str) -> None:
    assert stack.get(address).headers["x-content-type-options"] == "nosniff"


def test_edi4_page_that_is_known_keeps_its_policy(stack: Stack) -> None:
    tag = stack.get("/").headers["etag"]
    assert stack.get("/", ("If-None-Match", tag)).headers["content-security-policy"]


# EDI1: what is built


def test_edi1_only_a_page_that_was_built_is_an_editor(tmp_path: Path) -> None:
    (tmp_path / "assets").mkdir()
    assert EditorFiles.load(tmp_path) is None
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    built = EditorFiles.load(tmp_path)
    assert built is not None
    assert accepting(Stack(editor=built), "br").body == BROTLI
