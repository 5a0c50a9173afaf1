"""Settings as JSON: whoever reads it knows what a class accepts without importing it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import attrs
import pytest

from inrkit.config import schema
from inrkit.config.described import declared, described
from inrkit.config.overrides import plain
from inrkit.config.toml import structure
from inrkit.core.option import BELOW_1, POSITIVE, at_least, bounded, option
from inrkit.errors import UsageError
from inrkit.plugins import load_plugins
from inrkit.plugins.registry import KINDS


@attrs.frozen
class Inner:
    q: float = option(2.0, "a factor", POSITIVE)


@attrs.frozen
class Outer:
    """Every kind of field that settings have."""

    needed: int
    width: int = option(64, "channels", at_least(4))
    share: float = option(0.5, "a share", BELOW_1)
    kind: Literal["a", "b"] = "a"
    both: Literal["x"] | int | None = None
    size: tuple[int, int] | None = None
    betas: tuple[float, ...] = (0.9, 0.99)
    names: Sequence[str] = ()
    table: dict[str, Any] = attrs.field(factory=dict)
    path: Path | None = None
    inner: Inner = Inner()
    strange: int = option(3, "odd", bounded("odd", lambda value: value % 2 == 1))


def again(cls: type) -> type:
    return declared(json.loads(json.dumps(described(cls))))


def test_a_class_that_went_through_json_accepts_the_same() -> None:
    """Keys, types, defaults, help and bounds; a check of one's own is left out."""
    table = {"needed": 1, "size": [2, 3], "inner": {"q": 3}, "path": "a/b", "table": {"deep": {"er": 1}}}
    assert plain(structure(again(Outer), table)) == plain(structure(Outer, table))
    for wrong in ({"width": 3}, {"share": 1.0}, {"kind": "c"}, {"both": "y"}, {"size": [1]}, {"inner": {"q": 0.0}}):
        errors = []
        for cls in (Outer, again(Outer)):
            with pytest.raises(UsageError) as caught:
                structure(cls, {**table, **wrong})
            errors.append(str(caught.value))
        assert errors[0] == errors[1]
    with pytest.raises(UsageError, match="'needed': expected int, found nothing"):
        structure(again(Outer), {})
    assert structure(again(Outer), {**table, "strange": 4})


@pytest.mark.parametrize("kind", [kind for kind, of in KINDS.items() if of.options is not None])
def test_all_that_plugins_offer_can_be_remembered(kind: str) -> None:
    """The fields of each are the same after a description of them was written and read."""
    registry = load_plugins()
    for name in registry.offers.get(kind, {}):
        cls = KINDS[kind].settings(getattr(registry, kind)(name))
        assert cls is not None
        ours, theirs = schema.fields_of(cls), schema.fields_of(again(cls))
        assert [*ours] == [*theirs]
        for key, field in ours.items():
            other = theirs[key]
            assert schema.type_text(other.kind) == schema.type_text(field.kind), (name, key)
            assert (other.help, plain_default(other)) == (field.help, plain_default(field)), (name, key)


def plain_default(field: schema.Field) -> Any:
    return None if field.default is attrs.NOTHING else plain(field.default)
