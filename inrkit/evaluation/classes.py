"""What a classifier makes of generated signals, beside what it makes of real ones.

    confidence      mean probability of the class that it holds for the likeliest
    sure            share of signals of whose class it is surer than .9
    class entropy   of the classes that it names, over the largest that there can be: 1 is as many of each
    rarest, commonest  the least and the greatest share of a class
    accuracy        share that it names as their label does, or as the class that samples were asked for, where the
                    data, or the run, have as many classes

A classifier is sure of much that is not a picture of anything, too: look at the samples.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from inrkit.errors import DataError
from inrkit.inference.labels import classes_of
from inrkit.inference.signalset import SignalSet
from inrkit.metrics.feature import Classifier, extract

SURE = 0.9

_BATCH = 1000


@torch.no_grad()
def probabilities(classifier: Classifier, pictures: Tensor) -> Tensor:
    """Of each class, (N, K), for pictures (N, 3, H, W) on [-1, 1]."""
    scores = classifier.logits(extract(classifier, pictures).float())
    if not scores.isfinite().all():
        raise DataError(f"'{classifier.name}' answers with numbers that are not finite; use other weights")
    return scores.double().softmax(1)


def figures_of_classes(found: Tensor, labels: Tensor | None = None) -> dict[str, Any]:
    """Of probabilities (N, K)."""
    sureness, named = found.max(1)
    shares = named.bincount(minlength=found.shape[1]).double() / len(named)
    entropy = float(torch.special.entr(shares).sum()) / math.log(max(2, len(shares)))
    figures = {
        "count": len(found),
        "confidence": float(sureness.mean()),
        "sure": float((sureness > SURE).double().mean()),
        "class_entropy": entropy,
        "rarest": float(shares.min()),
        "commonest": float(shares.max()),
        "shares": shares.tolist(),
    }
    if labels is not None:
        figures["accuracy"] = float((named == labels).double().mean())
    return figures


def class_figures(
    networks: Mapping[str, Any],
    samples: Mapping[str, Tensor],
    real: Tensor,
    floor: Tensor,
    held_out: SignalSet,
    asked: Tensor | None,
) -> dict[str, Any]:
    """For each classifier a row for each kind of samples, and one each for held-out and training signals.

    Args:
        asked: The classes that samples were asked for, (N,).
    """
    rows: dict[str, Any] = {}
    for name, network in networks.items():
        if isinstance(network, Classifier):
            answers = probabilities(network, real)
            classes = answers.shape[1]
            wanted = asked if classes_of(held_out.model.modality) == classes else None
            found = {key: figures_of_classes(probabilities(network, values), wanted) for key, values in samples.items()}
            found["held_out"] = figures_of_classes(answers, labels_of(held_out, classes))
            found["real"] = figures_of_classes(probabilities(network, floor))
            rows[name] = found
    return rows


def labels_of(signals: SignalSet, classes: int) -> Tensor | None:
    """The labels (N,) of these signals, if their data have labels of as many classes."""
    if signals.source.facts.get("classes") != classes:
        return None
    parts = [part.source.read(part.numbers).get("label") for _, part in signals.parts(_BATCH)]
    known = [part.cpu() for part in parts if part is not None]
    return torch.cat(known) if known and len(known) == len(parts) else None
