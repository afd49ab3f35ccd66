"""JSON that is encoded in parts is the same as if it were encoded at once."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from helix.documents.document import encode_document
from helix.documents.encoding import encode_in_parts

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), values))
@example({})
@example({"\U0001f600": 1, "\uffff": 2, "z": {}, "a": {"b": {"d": {"f": 1, "e": 2}, "c": []}}})
def test_lim27_encoded_in_parts_is_the_same(document: dict[str, Any]) -> None:
    assert encode_in_parts(document) == encode_document(document)
