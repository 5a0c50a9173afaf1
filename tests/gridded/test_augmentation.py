"""Data augmentation: what each change does, what a network is told of it, and that runs with it resume exactly."""

from pathlib import Path

import attrs
import pytest
import torch
from torch import Tensor

from inrkit import Augmentation, DirectReadout, Draws, GridModality, GridOptions, UsageError, train
from inrkit.gridded.augmentation import Flip, Gain, Shift, augment
from inrkit_image.augmentation import Colour, Cutout, Warp
from inrkit_image.modality import ImageModality
from inrkit_image.options import ImageOptions

VALUES = torch.rand(24, 3, 16, 12, generator=torch.Generator().manual_seed(0)) * 2 - 1
KINDS = [Flip(), Shift(0.3, (False, True)), Gain(6), Warp(1.5, 30), Colour(0.4, 3), Colour(0.4, 5), Cutout(0.6)]
SMALL = {"size": (8, 8), "patch": 4, "width": 16, "depth": 1, "decoder_depth": 1, "heads": 2, "hidden": 16, "count": 40}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: type(kind).__name__)
def test_amounts_decide_all(kind: Augmentation) -> None:
    """Law: amounts of zero change nothing, others do; parts of a batch give the same; values stay within [-1, 1]."""
    draws = Draws(0, 24)
    amounts, before = kind.draw(VALUES, draws), VALUES.clone()
    changed = kind.apply(VALUES, amounts)
    assert amounts.shape == (24, kind.labels)
    assert torch.equal(kind.apply(VALUES, torch.zeros_like(amounts)), VALUES)
    assert not torch.equal(changed, VALUES)
    assert torch.equal(VALUES, before)
    assert float(changed.abs().max()) <= 1 + 1e-6
    parts = [kind.apply(VALUES[part], amounts[part]) for part in (slice(0, 5), slice(5, 24))]
    assert torch.allclose(torch.cat(parts), changed, atol=1e-5)


def test_pictures_turn_and_grow_about_their_centre() -> None:
    """By a quarter turn a ramp along x is one along y; twice as large it is half as steep."""
    x = torch.linspace(-1, 1, 33)
    ramp = x.expand(1, 1, 33, 33)
    turned, larger = (Warp(2, 90).apply(ramp, torch.tensor([row])) for row in ([0.0, -1, 1], [1.0, 0, 0]))
    assert torch.allclose(turned, x[:, None].expand(1, 1, 33, 33), atol=1e-5)
    assert torch.allclose(larger, ramp / 2, atol=1e-2)


def test_a_hole_is_grey_and_inside() -> None:
    """Half the sides, at a corner."""
    shown = Cutout(1).apply(torch.ones(1, 1, 8, 8), torch.tensor([[0.5, -1, 1]]))[0, 0]
    assert torch.equal(shown == 0, (torch.arange(8) >= 4)[:, None] & (torch.arange(8) < 4))


def test_a_share_of_the_signals_is_changed() -> None:
    """Each change has a chance of its own, and amounts of zero for those that it passes over."""
    values = VALUES[:1].expand(2000, -1, -1, -1)
    _, amounts = augment(values, Draws(0, 2000), [Gain(6), Cutout(0.5)], share=0.25)
    gained, cut = (amounts[:, 0] != 0), (amounts[:, 1:] != 0).any(1)
    assert float(gained.float().mean()) == pytest.approx(0.25, abs=0.04)
    assert float((gained & cut).float().mean()) == pytest.approx(1 / 16, abs=0.02)


def fitted(**options: object) -> GridModality:
    modality = ImageModality(ImageOptions(**{**SMALL, **options}))  # type: ignore[arg-type]
    return ImageModality(modality.fit_options(modality.source(None, "train")))


@pytest.mark.parametrize("denoiser", ["hyper", "unet", "dit", "uvit"])
def test_a_network_is_told_what_was_done(denoiser: str) -> None:
    """Law: it reaches the condition, in training alone; where nothing was done nothing is added."""
    small = {"unet": {"width": 8}, "dit": {"width": 16, "depth": 1}, "uvit": {"width": 16, "depth": 1}}
    grid = {} if denoiser == "hyper" else {"function": "grid", "denoiser_options": small[denoiser]}
    told = {"flip": True, "shift": 0.2, "rotate": 30.0, "augment_labels": True, "augment_share": 0.5}
    modality = fitted(**told, **grid, denoiser=denoiser)
    signals = modality.source(None, "train").read(range(4))
    support = modality.observe(signals, Draws(0, 4), training=True).support
    assert support.augmentation is not None
    assert support.augmentation.shape == (4, 6)
    assert modality.observe(signals, Draws(0, 4), training=False).support.augmentation is None
    pipeline = modality.build(DirectReadout())
    for weight in pipeline.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    network = pipeline.denoiser.get_submodule("condition.augmentation")
    assert torch.equal(network(torch.zeros(1, 6)), torch.zeros_like(network(torch.ones(1, 6))))

    def shown(said: Tensor | None) -> list[Tensor]:
        return [*pipeline.params(attrs.evolve(support, augmentation=said), torch.full((4,), 0.5)).values()]

    nothing, zeros, something = (shown(said) for said in (None, torch.zeros(4, 6), torch.ones(4, 6)))
    assert all(map(torch.equal, nothing, zeros))
    assert not all(map(torch.equal, nothing, something))


def test_what_cannot_be_told_is_refused() -> None:
    """Labels of no augmentation, and numbers out of their range."""
    with pytest.raises(UsageError, match="needs an augmentation, found none"):
        fitted(augment_labels=True)
    with pytest.raises(UsageError, match="'rotate' must be from 0 to 180"):
        fitted(rotate=270.0)
    with pytest.raises(UsageError, match="'gain' must be at least 0"):
        GridOptions(gain=-1.0)


def test_augmented_runs_resume_exactly(tmp_path: Path) -> None:
    """Stopped and gone on with, with processes that read ahead, the weights are those of a run that never stopped."""
    told = {"flip": True, "scale": 1.2, "colour": 0.2, "cutout": 0.3, "augment_share": 0.5, "augment_labels": True}
    keys = {"modality": "image", "steps": 6, "batch_size": 4, "precision": "fp32", "sample_every": 3, "save_every": 3}

    def run(out: str, **more: object) -> dict[str, Tensor]:
        quiet = {"progress": False, "on_end": lambda *_: None, "on_sample": lambda *_: None}
        model = train(out=tmp_path / out, options={**SMALL, **told}, **{**keys, **quiet, **more})  # type: ignore[arg-type]
        return dict(model.pipeline.state_dict())

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    whole = run("whole")
    with pytest.raises(KeyboardInterrupt):
        run("parts", on_sample=stop)
    parts = run("parts", workers=1)
    assert float(whole["denoiser.condition.augmentation.weight"].abs().max()) > 0
    assert all(torch.equal(value, parts[name]) for name, value in whole.items())
