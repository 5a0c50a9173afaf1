"""What a classifier makes of signals: figures of known answers."""

import pytest
import torch

from inrkit.evaluation.classes import figures_of_classes


def test_balance_and_confidence_are_those_of_known_answers() -> None:
    """Two classes of three are named, one twice as often; of one answer in three it is not sure."""
    found = figures_of_classes(torch.tensor([[0.95, 0.05, 0], [1.0, 0, 0], [0.2, 0.6, 0.2]]), torch.tensor([0, 1, 1]))
    assert found["sure"] == pytest.approx(2 / 3)
    assert found["confidence"] == pytest.approx((0.95 + 1 + 0.6) / 3)
    assert found["shares"] == pytest.approx([2 / 3, 1 / 3, 0])
    assert (found["rarest"], found["commonest"]) == pytest.approx((0, 2 / 3))
    assert found["class_entropy"] == pytest.approx(0.579, abs=1e-3)  # (2/3 log 3/2 + 1/3 log 3) / log 3
    assert found["accuracy"] == pytest.approx(2 / 3)


def test_as_many_of_each_class_is_one_and_a_single_class_nothing() -> None:
    """The entropy is relative to the largest."""
    assert figures_of_classes(torch.eye(5))["class_entropy"] == pytest.approx(1)
    assert figures_of_classes(torch.eye(5)[[1, 1, 1]])["class_entropy"] == 0
