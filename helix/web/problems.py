"""Errors as HTTP answers: RFC 9457, ``application/problem+json``."""

from __future__ import annotations

from http import HTTPStatus

from twisted.web.iweb import IRequest

from helix.delivery.protocol import encode_json
from helix.errors import HelixError, InvalidPatch, Unauthorized

RETRY_AFTER = 2
"""Seconds after which a request that failed for now may be tried again."""

STATUS = {  # by the error's code; 500 for others
    "invalid_flow_id": 400,
    "invalid_parameters": 400,
    "missing_changes": 400,
    "malformed_body": 400,
    "unauthorized": 401,
    "unsupported_media_type": 415,
    "body_too_large": 413,
    "unsupported_version": 403,
    "origin_refused": 403,
    "host_refused": 421,
    "token_refused": 403,
    "forbidden": 403,
    "forbidden_path": 403,
    "password_refused": 403,
    "session_not_found": 404,
    "flow_not_found": 404,
    "version_not_found": 404,
    "version_not_named": 404,
    "template_not_found": 404,
    "link_not_found": 404,
    "key_not_found": 404,
    "flow_exists": 409,
    "too_many_names": 409,
    "too_many_grants": 409,
    "too_many_keys": 409,
    "flow_deleted": 410,
    "precondition_failed": 412,
    "rate_limited": 429,
    "patch_too_large": 413,
    "document_too_large": 413,
    "too_many_values": 413,
    "invalid_patch": 422,
    "too_many_connections": 503,
    "keys_unavailable": 503,
    "draining": 503,
    "flow_unavailable": 503,
    "too_many_sessions": 503,
    "session_crashed": 503,
    "session_ended": 503,
    "too_many_pending": 503,
    "version_conflict": 503,
    "store_unavailable": 503,
    "store_full": 503,
    "store_read_only": 503,
}


def write_problem(
    request: IRequest,
    status: int,
    code: str,
    detail: str,
    retry: bool = False,
    path: str | None = None,
    retry_after: int | None = None,
) -> bytes:
    """
    Make ``request`` answer a problem.

    :param status: the HTTP status.
    :param code: the error's stable name (docs/errors.md).
    :param path: the place of the fault in what was sent, as a JSON Pointer.
    :param retry_after: in how many seconds the same request may succeed, where that is known.
    :return: the body to answer with.
    """
    title = HTTPStatus(status).phrase
    request.setResponseCode(status, title.encode())
    request.setHeader(b"content-type", b"application/problem+json")
    request.setHeader(b"cache-control", b"no-store")
    if retry:
        request.setHeader(b"retry-after", b"%d" % (retry_after or RETRY_AFTER))
    place = {} if path is None else {"path": path}
    return encode_json(
        {"title": title, "status": status, "detail": detail, "code": code, "retry": retry} | place
    )


def write_not_found(request: IRequest) -> bytes:
    """Make ``request`` answer 404 ``not_found``, as `write_problem`."""
    return write_problem(request, 404, "not_found", "There is nothing at this address")


def write_error(request: IRequest, error: HelixError) -> bytes:
    """Make ``request`` answer ``error``, as `write_problem`."""
    status = STATUS.get(error.code, 500)
    if isinstance(error, Unauthorized):
        scheme = b'Bearer error="invalid_token"' if error.had_token else b"Bearer"
        request.setHeader(b"www-authenticate", scheme)
    path = error.path if isinstance(error, InvalidPatch) else None
    return write_problem(
        request, status, error.code, error.message, error.retry, path, error.retry_after
    )
