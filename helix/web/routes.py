"""What all REST routes share: addresses, bodies, answers and errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import attrs
from klein import Klein
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import INTERNAL_SERVER_ERROR, NOT_MODIFIED
from twisted.web.iweb import IRequest
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import BaseConverter

from helix.delivery.protocol import T, decode_json, encode_json
from helix.documents.decoding import Decoder
from helix.errors import (
    BodyTooLarge,
    HelixError,
    InvalidParameters,
    MalformedBody,
    MalformedFrame,
    TooManyValues,
    UnsupportedMediaType,
)
from helix.limits.weight import is_too_heavy, least_size
from helix.members.presence import MAX_USER_NAME
from helix.web.admission import header, parameters, principal_of
from helix.web.etags import Conditions
from helix.web.problems import write_error, write_not_found, write_problem

MAX_PAGE = 1000
"""What one answer lists at most."""

MAX_NUMBER = 2**53
"""The largest whole number that all clients can tell from its neighbours."""

AROUND_BYTES = 1024
"""Bytes of a body around a document or a patch: an id, names."""

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"

OF_A_FLOW = (
    "status",
    "sync",
    "entries",
    "versions",
    "export",
    "restore",
    "duplicate",
    "undelete",
    "access",
    "links",
)
"""
What follows a flow's id in an address; ``versions`` and ``links`` also with one of them behind it.
"""

_SLASH = "\x01"
"""Stands for an encoded slash while a route is looked for; `helix.documents.ids` forbids it."""

_log: Final = Logger(namespace="helix.web")


def readable(segment: bytes) -> bytes:
    """
    Prepare a segment of an address for the routes.

    An encoded slash stays different from the slashes between segments. A segment that isn't UTF-8,
    or holds the placeholder of that slash, becomes a name that nothing has.
    """
    try:
        text = segment.decode()
    except UnicodeDecodeError:
        return b"\0"
    return b"\0" if _SLASH in text else text.replace("/", _SLASH).encode()


class _AnyText(BaseConverter):
    """Any text in a route: a flow id may hold slashes, and is checked elsewhere."""

    regex = "(?s:.*)"
    part_isolating = False

    def to_python(self, value: str) -> str:
        return value.replace(_SLASH, "/")


class _FlowAlone(_AnyText):
    """As `_AnyText`, at the end of an address; the words after a flow's id are not part of it."""

    regex = f"(?s:(?!.*/(?:{'|'.join(OF_A_FLOW)}|versions/[^/]*|links/[^/]*)$).*)"
    part_isolating = False


def make_app() -> Klein:
    """Make an application that knows the addresses of flows, and answers every error."""
    app = Klein()
    app.url_map.merge_slashes = False
    app.url_map.converters.update(flow=_AnyText, flow_alone=_FlowAlone)
    app.handle_errors(HelixError)(_refuse)
    app.handle_errors(HTTPException)(_no_route)
    app.handle_errors(Exception)(_fault)
    return app


def _refuse(self: object, request: IRequest, failure: Failure) -> bytes:  # noqa: ARG001  # Klein's
    error = failure.value
    assert isinstance(error, HelixError)
    _log.debug("Refused a request: {code}", code=error.code)
    return write_error(request, error)


def _no_route(self: object, request: IRequest, failure: Failure) -> bytes:  # noqa: ARG001  # Klein's
    error = failure.value
    assert isinstance(error, HTTPException)
    status = error.code or INTERNAL_SERVER_ERROR
    if isinstance(error, MethodNotAllowed):
        request.setHeader(b"allow", ", ".join(sorted(error.valid_methods or ())).encode())
        return write_problem(
            request, 405, "method_not_allowed", "This address does not allow that method"
        )
    if status == 404:
        return write_not_found(request)
    return write_problem(request, status, "bad_request", "The request can't be served")


def _fault(self: object, request: IRequest, failure: Failure) -> bytes:  # noqa: ARG001  # Klein's
    _log.failure("A request could not be served", failure)
    return write_problem(request, 500, "internal_error", "The server met a fault", retry=True)


def write_json(
    request: IRequest, value: object, status: int = 200, *, cache: bytes = b"no-store"
) -> bytes:
    """
    Make ``request`` answer ``value`` as JSON.

    :return: the body to answer with.
    """
    request.setResponseCode(status)
    request.setHeader(b"content-type", b"application/json")
    request.setHeader(b"cache-control", cache)
    return encode_json(value)


def write_with(
    request: IRequest,
    value: Mapping[str, object],
    name: str,
    text: bytes,
    status: int = 200,
    *,
    cache: bytes = b"no-store",
) -> bytes:
    """
    As `write_json`, for an object with one more member whose bytes are not copied, so that several
    answers share them.

    :param text: that member, JSON.
    """
    begin = write_json(request, value, status, cache=cache).removesuffix(b"}")
    request.write(begin + b',"%b":' % name.encode())
    request.write(text)
    return b"}"


def write_known(request: IRequest, tag: str, conditions: Conditions) -> bool:
    """
    Tag the answer to a GET, and make it 304 if the client has that representation.

    :return: whether it is 304, and so has no body.
    :raises PreconditionFailed: when the client wants another.
    """
    conditions.check_match(tag)
    request.setHeader(b"etag", tag.encode("latin-1"))
    request.setHeader(b"cache-control", b"no-cache")
    if not conditions.is_known(tag):
        return False
    request.setResponseCode(NOT_MODIFIED)
    return True


def read_text(request: IRequest, name: str) -> str | None:
    """Read a query parameter; ``None`` without it, the first of several."""
    return next(iter(parameters(request, name.encode())), None)


def read_number(
    request: IRequest, name: str, default: int | None, minimum: int, maximum: int = MAX_NUMBER
) -> int | None:
    """
    Read a query parameter that is a whole number.

    :raises InvalidParameters: when it is anything else, or out of bounds.
    """
    text = read_text(request, name)
    return default if text is None else parse_number(name, text, minimum, maximum)


def parse_number(name: str, text: str, minimum: int, maximum: int = MAX_NUMBER) -> int:
    """
    Read a whole number.

    :param name: what it is called in the error.
    :raises InvalidParameters: when it is anything else, or out of bounds.
    """
    # So few digits that Python turns them into a number at once.
    if text.isascii() and text.isdigit() and len(text) <= len(str(maximum)):
        number = int(text)
        if minimum <= number <= maximum:
            return number
    raise InvalidParameters(f"{name} must be a whole number from {minimum} to {maximum}")


def read_user_name(request: IRequest) -> str:
    """
    Tell who asks for a change, as a name to show: the name of who is known by one, else what ``by``
    says; empty for nobody in particular.

    :raises InvalidParameters: when it is longer than that of a member may be.
    """
    if known := principal_of(request).name:
        return known
    name = read_text(request, "by") or ""
    if len(name) > MAX_USER_NAME:
        raise InvalidParameters(f"by must be a string of at most {MAX_USER_NAME} characters")
    return name


def read_limit(request: IRequest, default: int) -> int:
    """Read ``limit``: how much to list. (`read_number`)"""
    limit = read_number(request, "limit", default, 1, MAX_PAGE)
    assert limit is not None
    return limit


@attrs.frozen
class BodyAllowance:
    """
    The limits of a body.

    :ivar max_bytes: of the body as it was sent.
    :ivar max_weight: of its content. (`helix.limits.weight`)
    :ivar least: the bytes, without white space and escapes, above which it is refused before it is
        decoded, and the error; ``None`` if it may hold parts that aren't stored.
    """

    max_bytes: int
    max_weight: int
    least: tuple[int, type[HelixError]] | None = None

    def check(self, text: bytes) -> None:
        """
        Refuse a body that is too large, from its bytes alone.

        :raises BodyTooLarge, TooManyValues, HelixError: when it holds too much.
        """
        if len(text) > self.max_bytes:
            raise BodyTooLarge()
        if self.least is not None:
            most, error = self.least
            if len(text) > most and least_size(text) > most + AROUND_BYTES:
                raise error()
        if is_too_heavy(text, self.max_weight):
            raise TooManyValues()


def to_the_end(operation: Deferred[T]) -> Deferred[T]:
    """Wait for an operation, which is completed even if the client disconnects."""
    waiting: Deferred[T] = Deferred()
    operation.addCallbacks(waiting.callback, waiting.errback)
    return waiting


def read_body(
    request: IRequest,
    decode: Decoder[T],
    room: BodyAllowance,
    media_types: Sequence[str] = (JSON,),
) -> T:
    """
    Read the body of a request.

    :param decode: takes the JSON.
    :param room: how much it may hold.
    :raises UnsupportedMediaType, BodyTooLarge, TooManyValues, MalformedBody: when it isn't such a
        body.
    """
    return parse_body(take_body(request, media_types), decode, room)


def take_body(request: IRequest, media_types: Sequence[str] = (JSON,)) -> bytes:
    """
    Take the body of a request, unread.

    :raises UnsupportedMediaType: when it is something else.
    """
    media_type = (header(request, b"content-type") or "").partition(";")[0].strip().lower()
    if media_type not in media_types:
        raise UnsupportedMediaType(f"The body must be {' or '.join(media_types)}")
    text: bytes = request.content.read()
    return text


def parse_body(text: bytes, decode: Decoder[T], room: BodyAllowance) -> T:
    """
    Decode a body; it touches nothing else.

    :raises BodyTooLarge, TooManyValues, MalformedBody: as `read_body`.
    """
    room.check(text)
    try:
        text.decode()
        return decode_json(decode.decode, text)
    except UnicodeDecodeError:
        raise MalformedBody("The body is not UTF-8") from None
    except MalformedFrame as error:
        raise MalformedBody(f"The body can't be read: {error.message}") from None
