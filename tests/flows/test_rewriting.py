"""Whole documents that take the place of a flow's, and who may put them there."""

from __future__ import annotations

import pytest

from helix.access.decision import Permission
from helix.access.paths import parse_paths
from helix.access.roles import Role
from helix.delivery.protocol import encode_json
from helix.documents.document import DocumentLimits, FlowDocument, empty_document
from helix.errors import ForbiddenPath
from helix.flows.rewriting import Rewriting
from helix.limits.apart import at_once
from helix.log.edits import FlowState
from helix.records import FlowHead, Summary


def state(version: int, **texts: str) -> FlowState:
    """A flow at a version, with a title and perhaps a description."""
    head = FlowHead("f", "e", version, Summary(), 0.0, 0.0, b"", b"")
    return FlowState(head, version, encode_json(empty_document() | texts))


def test_acc42_a_whole_document_is_judged_by_the_one_that_it_replaces() -> None:
    """An older one may differ from it where the newest doesn't, and the other way round."""
    permit = Permission(Role.EDITOR, parse_paths(["/title"])).check_patch
    wanted = empty_document() | {"title": "New", "description": "Told"}
    limits, unused = DocumentLimits(), FlowDocument(empty_document())
    rewriting = Rewriting(lambda: wanted, limits, 0, at_once, permit=permit)
    for before, is_permitted in [
        (state(1, title="Old"), False),
        (state(2, title="Old", description="Told"), True),
        (state(3, title="New"), False),
    ]:
        made = rewriting.make(before)
        assert made.called
        assert made.result is None
        assert rewriting.fits("e", before.version)
        if is_permitted:
            assert rewriting.stage(unused, []).text == b'{"title":"New"}'
        else:
            with pytest.raises(ForbiddenPath, match=r"^/description: "):
                rewriting.stage(unused, [])
