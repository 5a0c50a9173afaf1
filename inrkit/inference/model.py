"""A trained model in use: it samples, encodes, and hands out INR files."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import attrs
import torch
from torch import Tensor

import inrkit
from inrkit.config.resolve import Resolved
from inrkit.config.run import RunConfig
from inrkit.core.draws import Draws, seed_of
from inrkit.core.edit.between import interpolate
from inrkit.core.edit.task import Edit
from inrkit.core.inr import Params
from inrkit.core.modality import Modality, Signals
from inrkit.core.observation import Batch, Observation
from inrkit.core.pipeline import Pipeline, Prediction
from inrkit.core.sample import Sampler, sample
from inrkit.errors import DataError, UsageError
from inrkit.inference.labels import Label, check_guidance, labels_for
from inrkit.inference.times import middle_of, sampler_of, times_of
from inrkit.machine.precision import autocast, choose_device, choose_precision
from inrkit.machine.randomness import preserve_random_state
from inrkit.plugins import load_plugins
from inrkit.storage.inrfile import InrFile
from inrkit.storage.rundir import read_config
from inrkit.storage.weights import find_checkpoint, put_average

BLOCK = 64
"""Rows in flight at a time; each block has its own stream of chance, so that results do not depend on their number."""

Given = Signals | Observation | Path | str | Sequence[Path | str]
"""What a model is given to work on: raw signals, files of the user, or an observation."""


@final
class Model:
    """A pipeline with averaged weights, ready for use.

    Args:
        modality: With the options of training.
        pipeline: In evaluation mode.
        config: Of the run.
        run: The run directory.
        step: Of training, at which the weights were taken.
        precision: "fp32" or "bf16".
        facts: What the training data are, such as the names of their classes.
    """

    def __init__(
        self,
        modality: Modality,
        pipeline: Pipeline,
        config: RunConfig,
        run: Path,
        step: int,
        precision: str = "fp32",
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        self.modality, self.pipeline, self.config = modality, pipeline, config
        self.run, self.step, self.precision = run, step, precision
        self.facts = {} if facts is None else facts

    @staticmethod
    def load(
        run: Path | str,
        step: int | None = None,
        device: str = "auto",
        *,
        precision: str = "fp32",
        modality: type[Modality] | None = None,
    ) -> "Model":
        """The model of a run directory, from its newest intact checkpoint or the one of ``step``.

        Args:
            precision: "fp32", "bf16", or "auto" for what is fast here.
            modality: The class, for one that is not installed as a plugin.
        """
        run = Path(run)
        if not run.is_dir():
            raise DataError(f"{run}: expected a run directory, found none; train first")
        resolved, place = Resolved.of(read_config(run), modality), choose_device(device)
        checkpoint = find_checkpoint(run, step)
        model = build_model(resolved, run, checkpoint.step, place)
        put_average(model.pipeline, checkpoint)
        model.precision = choose_precision(precision, place)
        model.facts = dict(checkpoint.state.get("facts", {}))
        return model

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.pipeline.parameters()).device

    @property
    def sampler(self) -> Sampler:
        """How this run samples: "consistency", or "heun" after diffusion."""
        return sampler_of(self.config)

    def times(self, steps: int | None = None, sampler: Sampler | None = None) -> tuple[float, ...]:
        """The noise levels of so many steps, by way of the middle one that was searched; by default, the run's own."""
        return times_of(steps, self.sampler if sampler is None else sampler, middle_of(self.run, self.step))

    def labels(self, n: int, seed: int = 0, label: Label | Sequence[Label] | None = None) -> Tensor | None:
        """The classes of ``n`` samples of this seed, (n,); None for a run without classes."""
        return labels_for(label, n, seed, self.modality, self.facts, self.config.label_dropout)

    def sample(
        self,
        n: int,
        seed: int = 0,
        times: Sequence[float] | None = None,
        label: Label | Sequence[Label] | None = None,
        *,
        sampler: Sampler | None = None,
        guidance: float = 1.0,
        clamp: bool = False,
    ) -> Prediction:
        """``n`` generated signals. The first of many are the same as those of few, on any device.

        Args:
            times: Noise levels, noisiest first; one for each step. By default one step, or those of the sampler.
            label: A class for all, or several that take turns, by number or name; "none" for no class. By default a
                run that learned classes draws them at random.
            sampler: By default "consistency", or "heun" for a diffusion model.
            guidance: 1 for none; more leans further towards the class. Needs a run with 'label_dropout'.
            clamp: Keep values within [-1, 1] between steps.
        """
        if n < 1:
            raise UsageError(f"'n' must be at least 1 (got {n})")
        labels = self.labels(n, seed, label)
        check_guidance(guidance, self.config.label_dropout)
        kind = self.sampler if sampler is None else sampler
        levels = self.times(sampler=kind) if times is None else times

        def make(rows: slice) -> Prediction:
            template = self.modality.template(rows.stop - rows.start).to(self.device)
            draws = Draws(seed_of(seed, "sample", rows.start), BLOCK, stop=len(template))
            part = None if labels is None else labels[rows].to(self.device)
            return sample(
                self.pipeline, template, draws, times=levels, sampler=kind, label=part, guidance=guidance, clamp=clamp
            )

        return self._joined(self.modality.template(n).to(self.device), make)

    def encode(self, what: Given, label: Label | Sequence[Label] | None = None) -> Prediction:
        """The INRs of signals: files of the user, or raw signals as a source reads them; of a class, if it is known."""
        batch = self._classed(self.observe(what), label)
        return self._joined(
            batch.support,
            lambda rows: self.pipeline.encode(
                batch.support.rows(rows), None if batch.label is None else batch.label[rows]
            ),
        )

    def observe(self, what: Given) -> Batch:
        """Files of the user, or raw signals as a source reads them, as the denoiser sees them."""
        if isinstance(what, Observation):
            return Batch(what.to(self.device), what.to(self.device))
        if not isinstance(what, Mapping):
            paths = [what] if isinstance(what, str | Path) else what
            what, _ = self.modality.read([Path(path) for path in paths])
        count = len(next(iter(what.values())))
        return self.modality.observe(what, Draws(seed_of(0, "encode"), count, device=self.device), training=False)

    def edit(self, what: Given, edit: Edit, seed: int = 0, label: Label | Sequence[Label] | None = None) -> Prediction:
        """Signals changed by one of the edits: `inrkit.Restore`, `inrkit.Denoise`, `inrkit.Stroke`.

        ``observation.values`` of the answer are the edited signals, and its params those of their INRs.
        """
        batch = self._classed(self.observe(what), label)

        def make(rows: slice) -> Prediction:
            part = batch.support.rows(rows)
            draws = Draws(seed_of(seed, "edit", rows.start), BLOCK, stop=len(part))
            return edit(self.pipeline, part, draws, None if batch.label is None else batch.label[rows])

        return self._joined(batch.support, make)

    @torch.no_grad()
    def interpolate(
        self,
        ends: Given,
        steps: int = 9,
        level: float | None = None,
        seed: int = 0,
        label: Label | Sequence[Label] | None = None,
    ) -> Prediction:
        """Signals between two: mixing the params of their INRs, or, with a noise ``level``, the signals in noise."""
        batch = self._classed(self.observe(ends), label)
        with autocast(self.precision, self.device):
            draws = Draws(seed_of(seed, "between"), 2)
            return interpolate(self.pipeline, batch.support, steps, draws, level=level, label=batch.label)

    def _classed(self, batch: Batch, label: Label | Sequence[Label] | None) -> Batch:
        """The batch with the classes that the user names."""
        labels = None if label is None else self.labels(len(batch), 0, label)
        return batch if labels is None else attrs.evolve(batch, label=labels.to(self.device))

    def inr(self, prediction: Prediction, i: int, provenance: Mapping[str, Any] | None = None) -> InrFile:
        """One signal of a prediction, as a file that renders without us."""
        params = {name: value[i] for name, value in prediction.params.items()}
        finished: InrFile = self.modality.finished(self.inr_of(params, float(prediction.t[i]), provenance))
        return finished

    def inr_of(self, params: Params, t: float, provenance: Mapping[str, Any] | None = None) -> InrFile:
        """Params of one signal of ours, without a batch axis, that were made at noise level t; as a file."""
        made = {"inrkit": inrkit.__version__, "run": self.run.name, "step": self.step}
        return InrFile(
            params={name: value.detach().float().cpu() for name, value in params.items()},
            function=type(self.pipeline.function).__name__,
            function_state={name: value.cpu() for name, value in self.pipeline.function.state_dict().items()},
            modality=self.modality.name,
            modality_options=self.config.options,
            readout={"name": self.config.readout, **self.config.readout_options},
            t=t,
            provenance={**made, **(provenance or {})},
        )

    @torch.no_grad()
    def _joined(self, where: Observation, make: Callable[[slice], Prediction]) -> Prediction:
        """Predictions made block by block, as one, observed as ``where`` is."""
        with autocast(self.precision, self.device):
            parts = [make(rows) for rows in _blocks(len(where))]
        return Prediction(
            {name: torch.cat([part.params[name] for part in parts]) for name in parts[0].params},
            torch.cat([part.t for part in parts]),
            where.with_values(torch.cat([part.observation.values for part in parts])),
            torch.cat([part.signal for part in parts]),
            self.pipeline,
        )


def build_model(resolved: Resolved, run: Path, step: int, device: torch.device) -> Model:
    """A model with untrained weights, without touching the random states."""
    with preserve_random_state(device):
        pipeline = resolved.modality.build(resolved.readout).to(device).eval().requires_grad_(False)
    return Model(resolved.modality, pipeline, resolved.config, run, step)


@torch.no_grad()
def render(
    inr: InrFile,
    request: Mapping[str, str] | None = None,
    *,
    device: str = "cpu",
    modality: type[Modality] | None = None,
) -> list[Tensor]:
    """An INR file measured at each place of a request, such as {"size": "512x512"}: a tensor (C, ...) for each.

    Needs the modality's plugin, but no checkpoint.
    """
    kind, pipeline = rebuild(inr, choose_device(device), modality)
    params = {name: value[None].to(device) for name, value in inr.params.items()}
    t = torch.full((1,), inr.t, device=device)
    return [pipeline.show(params, _moved(where, device), t)[0].float().cpu() for where in kind.places(request or {})]


def rebuild(inr: InrFile, device: torch.device, modality: type[Modality] | None = None) -> tuple[Modality, Pipeline]:
    """The modality and a pipeline of an INR file. Of the pipeline, the denoiser is untrained and not to be used."""
    cls = load_plugins().modality(inr.modality) if modality is None else modality
    table = dict(inr.readout)
    name = str(table.pop("name", "direct"))
    config = RunConfig(modality=cls.name, options=dict(inr.modality_options), readout=name, readout_options=table)
    try:
        resolved = Resolved.of(config, cls)
    except UsageError as error:  # not what the user wrote, but what the file holds
        raise DataError(f"the INR file: {error}; it was made by another version of the plugin, or altered") from error
    pipeline = build_model(resolved, Path(), 0, device).pipeline
    found = type(pipeline.function).__name__
    if found != inr.function:
        raise DataError(f"the INR file needs the function '{inr.function}', '{cls.name}' builds '{found}'")
    try:
        pipeline.function.load_state_dict(dict(inr.function_state))
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise DataError(f"the INR file's function does not fit its modality's options: {reason}") from error
    return resolved.modality, pipeline


def _moved(where: Any, device: str) -> Any:
    return where.to(device) if hasattr(where, "to") else where


def _blocks(count: int) -> Iterator[slice]:
    for start in range(0, count, BLOCK):
        yield slice(start, min(start + BLOCK, count))


load = Model.load
