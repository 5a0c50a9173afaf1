"""A model in use: what is kept of a signal, a tiny run that learns, and samples."""

import json
import tempfile
from pathlib import Path
from typing import Any

import attrs
import torch

from inrkit.config.resolve import complete
from inrkit.errors import InrkitError
from inrkit.inference.opened import render
from inrkit.machine.randomness import preserve_random_state
from inrkit.storage.inrfile import load_inr, save_inr
from inrkit.testing.check import NotAskedError, UnmetError, check, expect, expect_alike, expect_finite, expect_shape
from inrkit.testing.subject import Subject
from inrkit.training.run import train

_TINY: dict[str, Any] = {
    "steps": 30,
    "objective": "reconstruction",
    "objective_options": {},
    "batch_size": 8,
    "optimizer": "adamw",
    "lr": 2e-3,
    "nan": "stop",
    "warmup": 5,
    "warmup_share": 0.0,
    "log_every": 1,
    "phases": (),
}


@check
def inr_files_render_alone(subject: Subject) -> None:
    """A signal saved as .inr, loaded and rendered without the network shows what the model shows, anywhere."""
    model = subject.model
    prediction = model.encode(subject.signals)
    inr = model.inr(prediction, 0, {"title": "check"})
    if inr.modality != subject.name:
        raise NotAskedError(f"what is kept are INRs of the modality '{inr.modality}'")
    with tempfile.TemporaryDirectory() as folder:
        found = load_inr(save_inr(Path(folder) / "one.inr", inr))
    expect(dict(found.provenance).get("title") == "check", "expected the file's provenance to come back")
    for request in ({}, subject.request):
        with preserve_random_state(torch.device("cpu")):
            torch.manual_seed(1)  # whatever the network is built with, the file does without
            shown = render(found, request, modality=subject.cls)
        for values, where in zip(shown, subject.modality.display.places(request), strict=True):
            wanted = model.pipeline.show(prediction.rows(slice(0, 1)).params, where, prediction.t[:1])[0]
            expect_alike(values, wanted, f"the file, rendered at {request or 'the place of training'}")


@check
def signals_are_written(subject: Subject) -> None:
    """A shown signal is saved as a file that is there and not empty, also over an older one."""
    display = subject.modality.display
    values = [subject.show(where)[0].float() for where in display.places(display.preview)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"signal{subject.suffix}"
        for _ in range(2):
            written = display.write(values, path)
            expect(written.exists(), f"expected a file, found none at {written.name}")
            size = sum(p.stat().st_size for p in ([written] if written.is_file() else written.rglob("*")))
            expect(size > 0, f"expected a file that holds something, found {written.name} empty")


@check
def what_is_written_can_be_read(subject: Subject) -> None:
    """A saved signal can be given back to ``inrkit encode``, and is observed nearly as it was."""
    seen = subject.batch.support.values[0]
    with tempfile.TemporaryDirectory() as folder:
        path = subject.modality.display.write([seen], Path(folder) / f"signal{subject.suffix}")
        try:
            batch = subject.model.observe([path])
            names = subject.modality.display.read([path])[1]
        except InrkitError as error:
            raise UnmetError(f"expected to read a written '{subject.suffix}' file, found {error}") from error
    expect(len(names) == 1, f"expected a name for each file, found {list(names)}")
    found = batch.support.values[0]
    expect_shape(found, seen.shape, "the written signal")
    off = float((found - seen.clamp(-1, 1)).square().mean())
    expect(off <= 0.02 * max(0.05, float(seen.var())), f"expected the written signal, found an error of {off:.3g}")


@check
def a_tiny_run_learns(subject: Subject) -> None:
    """A short run that reconstructs brings the loss down."""
    values = {**_TINY, **(subject.values or {})}
    values = {"save_every": values["steps"], "sample_every": values["steps"], **values}
    resolved = complete(attrs.evolve(subject.resolved.config, **values), subject.cls)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        train(resolved, run, progress=False, on_sample=lambda *_: None, on_end=lambda *_: None)
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    losses = [float(line["loss"]) for line in lines if "loss" in line]
    expect(len(losses) >= 4, f"expected the loss of each step, found {len(losses)}")
    quarter = max(1, len(losses) // 4)
    first, last = sum(losses[:quarter]) / quarter, sum(losses[-quarter:]) / quarter
    expect(last < 0.97 * first, f"expected the loss to fall, found {first:.4g} at first and {last:.4g} at last")


@check
def samples_are_finite_and_seeded(subject: Subject) -> None:
    """A model generates finite signals; the same seed gives the same ones, however many are asked for."""
    model = subject.model
    one, two, more = model.sample(2, seed=3), model.sample(2, seed=3), model.sample(3, seed=3)
    expect_finite(one.signal, "generated signals")
    expect_alike(two.signal, one.signal, "two samples of one seed", 0.0)
    expect_alike(more.signal[:2], one.signal, "the first two of three samples", 1e-4)
    other = model.sample(2, seed=4)
    different = any(not torch.equal(other.params[name], value) for name, value in one.params.items())
    expect(different, "expected other samples from another seed, found the same ones")


@check
def sampling_in_steps_is_finite(subject: Subject) -> None:
    """Several steps of sampling give finite signals too."""
    expect_finite(subject.model.sample(2, times=(80.0, 2.0, 0.5)).signal, "signals generated in three steps")
