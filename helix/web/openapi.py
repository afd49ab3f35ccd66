"""The OpenAPI 3.1 description of REST, and a page made from it."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import Any

import attrs
import msgspec

from helix import __version__
from helix.web.base_path import ROOT, BasePath

Node = dict[str, Any]
"""An object of the OpenAPI document."""

_VERSION = '<p class="soft">Version {}. <a href="{}/api/openapi.json">OpenAPI 3.1</a></p>'

_METHODS = ("get", "post", "patch", "put", "delete")


@attrs.frozen
class ApiDocs:
    """
    What is served of the description.

    :ivar document: OpenAPI 3.1, JSON.
    :ivar page: HTML, which needs nothing else.
    :ivar page_policy: its Content-Security-Policy.
    :ivar document_tag: an entity tag.
    :ivar page_tag: likewise.
    """

    document: bytes
    page: bytes
    page_policy: bytes
    document_tag: str
    page_tag: str

    @classmethod
    def load(cls, base: BasePath = ROOT) -> ApiDocs:
        """
        Read the description from the package's files, and make the page.

        :param base: the path below which the server is.
        """
        text = files("helix").joinpath("data", "openapi.json").read_bytes()
        spec: Node = msgspec.json.decode(text.replace(b'"{version}"', f'"{__version__}"'.encode()))
        spec["servers"][0]["url"] = base.path or "/"
        style = files("helix").joinpath("pages", "docs.css").read_text("utf-8")
        page = _Page(spec, base).html(style).encode()
        digest = b64encode(sha256(style.encode()).digest())
        policy = b"default-src 'none'; style-src 'sha256-%b'; base-uri 'none'" % digest
        policy += b"; form-action 'none'; frame-ancestors 'none'"
        document = msgspec.json.encode(spec)
        return cls(document, page, policy, _tag(document), _tag(page))


def _tag(content: bytes) -> str:
    return f'"{sha256(content).hexdigest()[:32]}"'


def _prose(text: str) -> str:
    """Write a description as HTML: paragraphs, and code between backticks."""
    return "".join(f"<p>{_line(part)}</p>" for part in text.split("\n\n") if part)


def _line(text: str) -> str:
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(text, quote=False))


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def _sample(value: object) -> str:
    """Write an example."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    return f'<pre tabindex="0">{escape(text, quote=False)}</pre>'


def _slug(text: str) -> str:
    return text.lower().replace(" ", "-")


class _Page:
    """Writes the page."""

    def __init__(self, spec: Node, base: BasePath) -> None:
        self._spec = spec
        self._base = base.path

    def html(self, style: str) -> str:
        """The whole page."""
        info = self._spec["info"]
        title = f"{info['title']}: REST"
        parts = [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{escape(title)}</title>\n<style>{style}</style>\n</head>\n<body>",
            self._navigation(),
            "<main>",
            f"<header><h1>{escape(title)}</h1>",
            _VERSION.format(escape(info["version"]), self._base),
            _prose(info["description"]) + "</header>",
            *map(self._section, self._spec["tags"]),
            self._schemas(),
            "</main>\n</body>\n</html>\n",
        ]
        return "\n".join(parts)

    def _operations(self, tag: str) -> Iterator[tuple[str, str, Node]]:
        for path, methods in self._spec["paths"].items():
            for method in _METHODS:
                operation = methods.get(method)
                if operation is not None and tag in operation["tags"]:
                    yield path, method, operation

    def _resolve(self, node: Node) -> Node:
        reference = node.get("$ref")
        if reference is None:
            return node
        found: Any = self._spec
        for name in reference.removeprefix("#/").split("/"):
            found = found[name]
        resolved: Node = found
        return resolved

    def _navigation(self) -> str:
        rows = ['<nav aria-label="Operations">']
        for tag in self._spec["tags"]:
            name = tag["name"]
            rows.append(f'<a class="tag" href="#{_slug(name)}">{escape(name)}</a>')
            rows += [
                f'<a href="#{operation["operationId"]}">{escape(operation["summary"])}</a>'
                for _, _, operation in self._operations(name)
            ]
        rows.append('<a class="tag" href="#schemas">Schemas</a></nav>')
        return "\n".join(rows)

    def _section(self, tag: Node) -> str:
        name = tag["name"]
        operations = "\n".join(self._operation(*each) for each in self._operations(name))
        return (
            f'<section id="{_slug(name)}"><h2>{escape(name)}</h2>'
            f"{_prose(tag['description'])}\n{operations}</section>"
        )

    def _operation(self, path: str, method: str, operation: Node) -> str:
        address = _code(self._base + path)
        parts = [
            f'<article id="{operation["operationId"]}"><h3>{escape(operation["summary"])}</h3>',
            f'<p class="address"><b class="{method}">{method.upper()}</b> {address}</p>',
            _prose(operation.get("description", "")),
            self._parameters(operation.get("parameters", [])),
            self._body(operation.get("requestBody")),
            self._responses(operation["responses"]),
            "</article>",
        ]
        return "\n".join(filter(None, parts))

    def _parameters(self, parameters: Iterable[Node]) -> str:
        rows = [
            f"<dt><code>{escape(one['name'])}</code> "
            f'<span class="soft">{escape(one["in"])}, {self._kind(one["schema"])}</span></dt>'
            f"<dd>{_line(one['description'])}</dd>"
            for one in map(self._resolve, parameters)
        ]
        return f"<h4>Parameters</h4><dl>{''.join(rows)}</dl>" if rows else ""

    def _body(self, body: Node | None) -> str:
        if body is None:
            return ""
        types = " or ".join(f"<code>{escape(name)}</code>" for name in body["content"])
        media = next(iter(body["content"].values()))
        return f"<h4>Body</h4><p>{self._kind(media['schema'])}, as {types}</p>{_examples(media)}"

    def _responses(self, responses: Node) -> str:
        rows = []
        samples = ""
        for status, reference in responses.items():
            response = self._resolve(reference)
            media: Node = next(iter(response.get("content", {}).values()), {})
            kind = self._kind(media["schema"]) if status.startswith("2") and media else ""
            rows.append(f"<dt><b>{status}</b> {kind}</dt><dd>{_line(response['description'])}</dd>")
            if status.startswith("2"):
                samples += _examples(media)
        return f"<h4>Answers</h4><dl>{''.join(rows)}</dl>{samples}"

    def _schemas(self) -> str:
        rows = "\n".join(
            f'<article id="schema-{name}"><h3>{name}</h3>{self._schema(schema)}</article>'
            for name, schema in self._spec["components"]["schemas"].items()
        )
        return f'<section id="schemas"><h2>Schemas</h2>\n{rows}</section>'

    def _schema(self, schema: Node) -> str:
        rows = [
            f'<dt><code>{escape(name)}</code> <span class="soft">{self._kind(member)}'
            f"{'' if name in schema.get('required', ()) else ', optional'}</span></dt>"
            f"<dd>{_line(member.get('description', ''))}</dd>"
            for name, member in schema.get("properties", {}).items()
        ]
        members = f"<dl>{''.join(rows)}</dl>" if rows else f"<p>{self._kind(schema)}</p>"
        return _prose(schema.get("description", "")) + members

    def _kind(self, schema: Node) -> str:
        """Say what a value may be, in a few words."""
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            return f'<a href="#schema-{name}">{name}</a>'
        if "const" in schema:
            return f"<code>{escape(msgspec.json.encode(schema['const']).decode())}</code>"
        if "anyOf" in schema:
            return " or ".join(map(self._kind, schema["anyOf"]))
        if "items" in schema:
            return f"array of {self._kind(schema['items'])}"
        if isinstance(schema.get("additionalProperties"), dict):
            return f"object of {self._kind(schema['additionalProperties'])}, by id"
        if "title" in schema:
            return escape(schema["title"])
        kinds = schema.get("type", "anything")
        words = kinds if isinstance(kinds, str) else " or ".join(kinds)
        if "default" in schema:
            words += f", default {msgspec.json.encode(schema['default']).decode()}"
        return escape(words)


def _examples(media: Node) -> str:
    if "example" in media:
        return _sample(media["example"])
    return "".join(
        f'<p class="soft">{_line(one["summary"])}:</p>{_sample(one["value"])}'
        for one in media.get("examples", {}).values()
    )
