"""``POST /socket/check``: tells a page whether it may connect, since browsers don't say."""

from __future__ import annotations

from contextlib import suppress

import msgspec
from twisted.web.resource import Resource
from twisted.web.server import Request

from helix.channels.channel import full_refusal
from helix.delivery.protocol import encode_json
from helix.web.admission import AdmissionControl
from helix.web.problems import write_not_found, write_problem
from helix.web.waiting import answer_when


class _Asked(msgspec.Struct):
    token: str | None = None


_decode = msgspec.json.Decoder(_Asked).decode


class SocketCheck(Resource):
    """
    Checks a request like a connect, and says why it is refused. Pages of every origin may read the
    answer.

    :param admission: the admission control.
    """

    isLeaf = True

    def __init__(self, admission: AdmissionControl) -> None:
        super().__init__()
        self._admission = admission

    def render(self, request: Request) -> bytes | int:
        if request.postpath:
            return write_not_found(request)
        if request.method != b"POST":
            request.setHeader(b"allow", b"POST")
            return write_problem(request, 405, "method_not_allowed", "This takes POST")
        request.setHeader(b"access-control-allow-origin", b"*")
        request.setHeader(b"content-type", b"application/json")
        request.setHeader(b"cache-control", b"no-store")
        asked = _Asked()
        with suppress(msgspec.MsgspecError, UnicodeDecodeError):
            assert request.content is not None
            asked = _decode(request.content.read())
        return answer_when(
            request,
            self._admission.admit(request, asked.token),
            lambda _: encode_json({"admitted": True}),
            lambda error: b'{"admitted":false,"refusal":%b}' % full_refusal(error),
        )
