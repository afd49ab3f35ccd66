"""Requests that can be served only after something else is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import NOT_DONE_YET

from helix.errors import HelixError
from helix.web.problems import write_problem

T = TypeVar("T")

_log = Logger(namespace="helix.web")


def while_connected(request: Any, deferred: Deferred[T]) -> Deferred[T]:
    """Cancel ``deferred``, unless it has fired already, when the client of ``request`` is gone."""
    if not deferred.called:
        request.notifyFinish().addErrback(lambda _: deferred.cancel())
    return deferred


def answer_when(
    request: Any,
    deferred: Deferred[T],
    serve: Callable[[T], bytes | int],
    refuse: Callable[[HelixError], bytes],
) -> bytes | int:
    """
    Answer a request when ``deferred`` fires: at once if it has, else later; never after its client
    is gone.

    :param request: a `helix.web.http_request.LimitedRequest`.
    :param serve: takes the result, and gives what a resource's ``render`` would.
    :param refuse: takes the error, and gives the body to answer with.
    :return: what ``render`` is to give.
    """
    bodies: list[bytes | int] = []
    is_late = False

    def failed(failure: Failure) -> bytes | int:
        if failure.check(CancelledError) and request._disconnected:
            return NOT_DONE_YET
        if isinstance(failure.value, HelixError):
            return refuse(failure.value)
        _log.failure("A request could not be served", failure)
        return write_problem(request, 500, "internal_error", "The server met a fault", retry=True)

    def answer(body: bytes | int) -> None:
        if not is_late:
            bodies.append(body)
        elif isinstance(body, bytes):
            request.answer(body)

    served: Deferred[bytes | int] = while_connected(request, deferred).addCallback(serve)
    served.addErrback(failed).addCallback(answer)
    is_late = True
    return bodies[0] if bodies else NOT_DONE_YET
