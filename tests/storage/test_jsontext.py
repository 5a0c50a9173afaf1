"""JSON comes back as it went in, or is refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inrkit.errors import DataError
from inrkit.storage import jsontext

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
@settings(derandomize=True, deadline=None, max_examples=100)
def test_values_come_back_unchanged(value: object) -> None:
    """decode(encode(x)) is x, types included."""
    back = jsontext.decode(jsontext.encode(value, what="x"), origin="x")
    assert back == value
    assert repr(back) == repr(value) or isinstance(value, dict | list)


def test_equal_mappings_give_equal_bytes() -> None:
    """The order in which keys were put in leaves no trace."""
    assert jsontext.encode({"b": 1, "a": 2}, what="x") == jsontext.encode({"a": 2, "b": 1}, what="x")


@pytest.mark.parametrize(
    "value", [{1: 2}, {"a": {None: 1}}, [object()], {"a": b"x"}, float("nan"), {"a": float("inf")}]
)
def test_what_json_would_change_is_refused(value: object) -> None:
    """Number keys, bytes and infinities are named, not converted."""
    with pytest.raises(DataError, match="expected"):
        jsontext.encode(value, what="state")


def test_infinity_is_kept_where_allowed() -> None:
    """``finite=False`` round-trips the best loss so far of a fresh run."""
    assert jsontext.decode(jsontext.encode({"best": float("inf")}, what="x", finite=False), origin="x")["best"] > 1e300


@pytest.mark.parametrize("data", [b"", b"{", b'{"a":1,"a":2}', b"\xff", b"[" * 100_000, b"1 2", b"9" * 5000])
def test_malformed_text_is_a_data_error(data: bytes) -> None:
    """Cut off, repeated, undecodable, endlessly nested or giant: one kind of error."""
    with pytest.raises(DataError, match="expected JSON"):
        jsontext.decode(data, origin="x")
