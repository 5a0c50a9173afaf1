"""What is kept of a signal."""

import tempfile
from pathlib import Path

import torch

from inrkit.errors import InrkitError
from inrkit.inference.opened import render
from inrkit.machine.randomness import preserve_random_state
from inrkit.storage.inrfile import load_inr, save_inr
from inrkit.testing.check import NotAskedError, UnmetError, check, expect, expect_alike
from inrkit.testing.subject import Subject


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
    values = _shown(subject)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"signal{subject.suffix}"
        for _ in range(2):
            written = subject.modality.display.write(values, path)
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
    expect(found.shape == seen.shape, f"expected {tuple(seen.shape)}, found {tuple(found.shape)}")
    off = float((found - seen.clamp(-1, 1)).square().mean())
    expect(off <= 0.02 * max(0.05, float(seen.var())), f"expected the written signal, found an error of {off:.3g}")


def _shown(subject: Subject) -> list[torch.Tensor]:
    model = subject.model
    prediction = model.encode(subject.signals).rows(slice(0, 1))
    places = subject.modality.display.places(subject.modality.display.preview)
    return [model.pipeline.show(prediction.params, where, prediction.t)[0].float() for where in places]
