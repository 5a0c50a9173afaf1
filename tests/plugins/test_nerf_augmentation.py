"""Objects in other colours."""

import torch

from inrkit import Draws, resolve
from inrkit_nerf.augmentation import ORDERS, recoloured


def test_channels_change_places_in_all_views_of_an_object_alike_and_opacity_stays() -> None:
    before = torch.randint(0, 256, (8, 2, 4, 6, 8), dtype=torch.uint8)
    after = recoloured(before, Draws(3, total=8))
    assert torch.equal(after[:, :, 3], before[:, :, 3])
    found = [
        order for row in range(8) for order in ORDERS if torch.equal(after[row, :, :3], before[row, :, list(order)])
    ]
    assert len(found) == 8
    assert len(set(found)) > 2


def test_training_changes_colours_and_nothing_else_and_testing_changes_nothing() -> None:
    plain, changed = (resolve("nerf", overrides=["options.count=4", *more]) for more in ([], ["options.recolour=true"]))
    signals = plain.source("train").read(range(8))
    for training in (False, True):
        a, b = (x.modality.observe(signals, Draws(1, total=8), training=training) for x in (plain, changed))
        assert torch.equal(a.support.values, b.support.values) is not training
        assert torch.equal(a.support.values.sort(1).values, b.support.values.sort(1).values)
        assert torch.equal(a.query.values.sort(1).values, b.query.values.sort(1).values)  # the same pixels
