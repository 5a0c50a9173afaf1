"""Every pass on a device that is not the host: what would fail on a GPU is found without one."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import torch

from inrkit.config.resolve import complete
from inrkit.core.edit.operator import KnownCells
from inrkit.core.edit.task import Denoise, Edit, Restore, Stroke
from inrkit.evaluation.evaluate import evaluate
from inrkit.inference.model import Model
from inrkit.inference.opened import open_inr
from inrkit.testing.check import UnmetError, check
from inrkit.testing.strangers import MixedDevicesError, Strangers
from inrkit.testing.subject import Subject
from inrkit.training.run import train

_RUN: dict[str, Any] = {"device": "cuda", "steps": 2, "batch_size": 4, "log_every": 1, "nan": "stop", "warmup": 1}
_LEVELS = (80.0, 1.0)
_SIGNALS = 16
_METRICS = ("psnr", "frechet", "denoising")  # of held-out signals, of samples, of noisy ones


@contextmanager
def on_the_device() -> Iterator[Strangers]:
    """Inside, the device is pretended, and mixing it with the host does not keep the law."""
    try:
        with Strangers() as strangers:
            yield strangers
    except MixedDevicesError as error:
        raise UnmetError(f"expected operations among tensors of one device, found that {error}") from error


@check
def training_stays_on_its_device(subject: Subject) -> None:
    """A short run on another device than the host, held-out figures and samples included, mixes no tensors."""
    resolved = complete(attrs.evolve(subject.resolved.config, **{**(subject.values or {}), **_RUN}), subject.cls)
    with tempfile.TemporaryDirectory() as folder, on_the_device():
        train(resolved, Path(folder) / "run", progress=False, on_end=lambda *_: None)


@check
def a_model_stays_on_its_device(subject: Subject) -> None:
    """Encoding, sampling, editing, rendering and evaluating on another device than the host mix no tensors."""
    with tempfile.TemporaryDirectory() as folder, on_the_device():
        pipeline = subject.build().requires_grad_(False).to("cuda")
        model = Model(subject.modality, pipeline, subject.resolved.config, Path(folder), 0)
        encoded = model.encode(subject.signals)
        model.sample(2, times=_LEVELS, sampler="consistency")
        model.sample(1, times=_LEVELS, sampler="heun")
        for edit in _edits(encoded.observation.values):
            model.edit(subject.signals, edit)
        model.interpolate(encoded.observation.rows(slice(0, 2)), 3, level=0.5)
        display = model.modality.display
        for request in ({}, subject.request):
            for where in model.places(request):
                display.pictures(encoded.at(where)).cpu()
        surface = display.surface(pipeline.measure, encoded.rows(slice(0, 1)).params)
        if surface is not None:
            for asked in filter(None, (surface.value, surface.colour)):
                asked(torch.zeros(2, 3))  # points are the host's, as `inrkit.mesh_of` makes them
        inr = model.inr(encoded, 0)
        if inr.modality == subject.name:
            open_inr(inr, "cuda", modality=subject.cls).render(subject.request)
        evaluate(model, n=_SIGNALS, metrics=_METRICS)


def _edits(values: torch.Tensor) -> Iterator[Edit]:
    """Of every sort; what is known, a user says on the host."""
    known = torch.ones(values.shape[2:], dtype=torch.bool)
    known.view(-1)[0] = False
    yield Restore(KnownCells(known), _LEVELS)
    yield Denoise()
    yield Stroke(_LEVELS)
