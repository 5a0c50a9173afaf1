"""Classes of generated signals: by number or by name, one for all or one for each."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from inrkit.core.draws import Draws, seed_of
from inrkit.core.guide import NO_CLASS
from inrkit.core.modality import Modality
from inrkit.errors import UsageError, did_you_mean

Label = int | str
Labels = Label | Sequence[Label] | None
NONE = "none"
"""The name of "no class"."""

_BLOCK = 64


def classes_of(modality: Modality) -> int:
    """How many classes a network of this modality learned; 0 for none."""
    return int(getattr(modality.options, "classes", None) or 0)


def number_of(label: Label, count: int, names: Sequence[str] = ()) -> int:
    """The number of a class: itself, its name, or its number as text; "none" is -1."""
    if isinstance(label, str):
        if label in names:
            return names.index(label)
        if label == NONE:
            return NO_CLASS
        if not label.lstrip("-").isdecimal():
            known = f"; there are {', '.join(names)}" if names else f"; the classes have only numbers, 0 to {count - 1}"
            raise UsageError(f"no class named '{label}'{known}.{did_you_mean(label, names)}")
        label = int(label)
    if not NO_CLASS <= label < count:
        named = f" or a name ({', '.join(names)})" if names else ""
        raise UsageError(f"'label' must be 0 to {count - 1}{named}, or {NONE} (got {label})")
    return label


def labels_for(
    label: Labels, n: int, seed: int, modality: Modality, facts: Mapping[str, Any], dropout: float
) -> Tensor | None:
    """The class of each of ``n`` samples, (n,) on the CPU; None where the run learned no classes.

    Args:
        label: One for all, or several that take turns; None for classes drawn evenly at random.
        seed: Of those that are drawn; the first of many are the same as those of few.
        facts: What the training data are, with "class_names" where classes have names.
        dropout: The share of labels that training dropped; with none, "no class" means nothing to the network.
    """
    count = classes_of(modality)
    if not count:
        if label is not None:
            raise UsageError("this run learned no classes; leave 'label' out, or train with 'options.classes'")
        return None
    if label is None:
        every = torch.cat([Draws(seed_of(seed, "label", start), _BLOCK).uniform() for start in range(0, n, _BLOCK)])
        return (every[:n] * count).long().clamp_max(count - 1)
    given = [label] if isinstance(label, int | str) else list(label)
    if not given or len(given) > n:
        raise UsageError(f"'label' must be 1 to {n} classes for {n} samples (got {len(given)})")
    numbers = [number_of(one, count, list(facts.get("class_names", ()))) for one in given]
    if NO_CLASS in numbers and not dropout:
        raise UsageError(
            f"this run was trained without label dropout and knows no '{NONE}'; train it with 'label_dropout' above 0"
        )
    return torch.tensor([numbers[i % len(numbers)] for i in range(n)])
