"""A trained model in use: it samples, encodes, and hands out INR files."""

import functools
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, final

import attrs
import torch
from torch import Tensor

import inrkit
from inrkit.config.resolve import Resolved
from inrkit.config.run import RunConfig
from inrkit.core.draws import Draws, seed_of
from inrkit.core.edit.between import interpolate, noise_between
from inrkit.core.edit.operator import Operator
from inrkit.core.edit.task import Edit, Restore
from inrkit.core.inr import Params
from inrkit.core.modality import Modality
from inrkit.core.observation import Batch, Observation
from inrkit.core.pipeline import Pipeline, Prediction, Request
from inrkit.core.sample import MIDDLE, Sampler, sample
from inrkit.errors import UsageError
from inrkit.inference.given import Given, observe, places, require_set
from inrkit.inference.labels import Labels, labels_for
from inrkit.inference.picture import card_of, sheet_of
from inrkit.inference.times import make_sampler, middle_of, sampler_of
from inrkit.machine.precision import autocast, choose_device, choose_precision
from inrkit.machine.randomness import preserve_random_state
from inrkit.progress import Progress, quiet
from inrkit.storage import hub
from inrkit.storage.inrfile import InrFile
from inrkit.storage.modelfolder import is_model
from inrkit.storage.named import find_run
from inrkit.storage.rundir import read_config
from inrkit.storage.weights import find_checkpoint, put_average

BLOCK = 64
"""Rows in flight at a time; each block has its own stream of chance, so that results do not depend on their number."""
_DOING = {"sample": "sampling", "encode": "encoding", "edit": "editing"}


@final
@attrs.define(eq=False, repr=False, slots=False)
class Model:
    """A pipeline with averaged weights, ready for use.

    Args:
        modality: With the options of training.
        pipeline: In evaluation mode.
        config: Of the run.
        run: The run directory, where what is made with the model lies by default.
        step: Of training, at which the weights were taken.
        facts: What the training data are, such as the names of their classes.
        skipped: Steps of training in which something was not finite.
        middle: The middle noise level of two-step sampling, where no search in the run directory says another.
        stand_in: Data whose training signals stand for those of the run, where these are not here.
    """

    modality: Modality
    pipeline: Pipeline
    config: RunConfig
    run: Path
    step: int
    precision: str = "fp32"  # or "bf16"
    facts: Mapping[str, Any] = attrs.field(factory=dict)
    skipped: int = 0
    middle: float = MIDDLE
    stand_in: str | None = None

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
            run: The run directory, the folder of a saved model, the name of an installed one such as "faces", or
                "hf://owner/name" for one on the Hugging Face hub.
            precision: "fp32", "bf16", or "auto" for what is fast here.
            modality: The class, for one that is not installed as a plugin.
        """
        folder, home = find_run(run)
        resolved, place = Resolved.of(read_config(folder), modality), choose_device(device)
        checkpoint = find_checkpoint(folder, step)
        model = build_model(resolved, home, checkpoint.step, place)
        put_average(model.pipeline, checkpoint)
        model.precision = choose_precision(precision, place)
        model.facts = dict(checkpoint.state.get("facts", {}))
        model.skipped = int(checkpoint.state.get("skipped", 0))
        model.middle = float(checkpoint.state.get("middle", MIDDLE))
        return model

    def __repr__(self) -> str:
        size = f"{sum(p.numel() for p in self.pipeline.parameters()):,} parameters"
        return f"<Model of {self.run}, '{self.modality.name}', step {self.step}: {size}, {self.device}>"

    def png(self, prediction: Prediction) -> bytes:
        """What notebooks show of a prediction: its first signals, as a PNG file."""
        return sheet_of(self, prediction)

    def _repr_html_(self) -> str:
        return card_of(self)

    def to(self, device: str | torch.device) -> "Model":
        """The same model, its weights moved to a device."""
        self.pipeline.to(choose_device(str(device)))
        return self

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.pipeline.parameters()).device

    @property
    def sampler(self) -> Sampler:
        """How this run samples, by the objective of its last phase."""
        return sampler_of(self.config)

    def times(self, steps: int | None = None, sampler: Sampler | str | None = None) -> tuple[float, ...]:
        """The noise levels of so many steps, by way of the middle one that was searched; by default, the run's own."""
        middle = middle_of(self.run, self.step, self.middle)
        return make_sampler(self.sampler if sampler is None else sampler).times(steps, middle)

    def save(
        self, folder: Path | str, dtype: Literal["fp32", "bf16"] = "fp32", *, license: str = "", data_terms: str = ""
    ) -> Path:
        """Write the model to a folder that can be handed on: config, averaged weights, samples, a card; no pickle.

        `inrkit.load` opens it wherever it lies. A model that was saved there before is replaced.

        Args:
            dtype: "bf16" halves the size of matrices; vectors and buffers stay in fp32.
            license: Of the weights, as an SPDX identifier such as "Apache-2.0", for the card.
            data_terms: What the training data are and the terms they come under, for the card.
        """
        from inrkit.inference.saving import save

        return save(self, Path(folder), dtype, license, data_terms)

    def push(
        self, address: str, dtype: Literal["fp32", "bf16"] = "bf16", *, private: bool = True, license: str = ""
    ) -> str:
        """Upload to the Hugging Face hub as "owner/name", a saved folder as it lies there; its address. Extra 'hub'."""
        if is_model(self.run):
            return hub.push(self.run, address, private=private)
        with tempfile.TemporaryDirectory() as folder:
            name = hub.parse(address)[0].rpartition("/")[2]
            return hub.push(self.save(Path(folder) / name, dtype, license=license), address, private=private)

    def labels(self, n: int, seed: int = 0, label: Labels = None) -> Tensor | None:
        """The classes of ``n`` samples of this seed, (n,); None for a run without classes."""
        return labels_for(label, n, seed, self.modality, self.facts, self.config.label_dropout)

    def sample(
        self,
        n: int,
        seed: int = 0,
        times: Sequence[float] | None = None,
        label: Labels = None,
        *,
        sampler: Sampler | str | None = None,
        guidance: float = 1.0,
        clamp: bool = False,
        first: int = 0,
        progress: Progress = quiet,
    ) -> Prediction:
        """``n`` generated signals. The first of many are the same as those of few, on any device.

        Args:
            times: Noise levels, noisiest first; one for each step. By default one step, or those of the sampler.
            label: A class for all, or several that take turns, by number or name; "none" for no class. By default a
                run that learned classes draws them at random.
            sampler: By default the run's own: that of a consistency function, or Heun's method for a diffusion model.
            guidance: 1 for none; more leans further towards the class. Needs a run with 'label_dropout', or
                one that learned to be told the scale ('guidance_range' of `cd`).
            clamp: Keep values within [-1, 1] between steps.
            first: The number of the first, a multiple of 64: ``sample(64, first=64)`` are rows 64 to 127 of
                ``sample(128)``. So very many are made a part at a time.
        """
        if not isinstance(n, int) or n < 1:
            raise UsageError(f"'n' must be at least 1, a whole number (got {n!r})")
        if first % BLOCK or first < 0:
            raise UsageError(f"'first' must be a multiple of {BLOCK} (got {first})")
        require_set(self.modality, self.pipeline, n, self.device)
        labels = self.labels(first + n, seed, label)
        told = self.pipeline.denoiser.guidance_range is not None
        if guidance != 1 and not told and not self.config.label_dropout:
            raise UsageError(
                f"'guidance' {guidance:g} needs a run that was trained with label dropout; "
                "train it with 'label_dropout' above 0, such as .1"
            )
        sampler = make_sampler(self.sampler if sampler is None else sampler)
        levels = self.times(sampler=sampler) if times is None else times
        make = functools.partial(sample, self.pipeline, times=levels, sampler=sampler, guidance=guidance, clamp=clamp)
        template = self.modality.template(n).to(self.device)
        batch = Batch(template, template, None if labels is None else labels[first:].to(self.device))

        def drawn(part: Observation, draws: Draws, label: Tensor | None) -> Prediction:
            return make(part, draws, label=label)

        return self._joined("sample", batch, drawn, progress, seed, first)

    def encode(self, what: Given, label: Labels = None, *, progress: Progress = quiet) -> Prediction:
        """The INRs of signals; of a class, if it is known."""
        batch = self._classed(self.observe(what), label)
        return self._joined("encode", batch, lambda part, _, label: self.pipeline.encode(part, label), progress)

    def observe(self, what: Given, numbers: Sequence[int] | None = None) -> Batch:
        """Signals as the denoiser sees them; ``numbers`` are those of a source, if it read them."""
        return observe(self.modality, self.pipeline, what, numbers)

    def edit(
        self, what: Given, edit: Edit | Operator, seed: int = 0, label: Labels = None, *, progress: Progress = quiet
    ) -> Prediction:
        """Signals changed by one of the edits: `inrkit.Restore`, `inrkit.Denoise`, `inrkit.Stroke`.

        An operator such as `inrkit.KnownCells` stands for `inrkit.Restore` of what it measures. ``observation.values``
        of the answer are the edited signals, and its params those of their INRs.
        """
        change = Restore(edit) if isinstance(edit, Operator) else edit
        if not isinstance(change, Edit):
            raise UsageError(
                "expected an edit such as inrkit.Denoise() or an operator such as inrkit.KnownCells(known), found "
                f"{edit!r}"
            )
        batch = self._classed(self.observe(what), label)
        return self._joined("edit", batch, functools.partial(change, self.pipeline), progress, seed)

    @torch.no_grad()
    def interpolate(
        self, ends: Given | None, steps: int = 9, level: float | None = None, seed: int = 0, label: Labels = None
    ) -> Prediction:
        """Signals between two: mixing the params of their INRs, or, with a noise ``level``, the signals in noise.

        With None, between two samples of this seed, along the sphere that their noise lies on.
        """
        if ends is None:
            return self._between_samples(steps, seed, label)
        batch = self._classed(self.observe(ends), label)
        with autocast(self.precision, self.device):
            draws = Draws(seed_of(seed, "between"), 2)
            made = interpolate(self.pipeline, batch.support, steps, draws, level=level, label=batch.label)
        return attrs.evolve(made, shower=self)

    def _between_samples(self, steps: int, seed: int, label: Labels) -> Prediction:
        template, draws = self.modality.template(steps).to(self.device), Draws(seed_of(seed, "between"), 2)
        labels = self.labels(2 if isinstance(label, Sequence) and len(label) == 2 else 1, seed, label)
        if labels is not None:  # of the nearer end
            labels = labels[(torch.linspace(0, len(labels) - 1, steps) > 0.5).long()].to(self.device)
        noise = noise_between(draws, steps, template.values)
        with autocast(self.precision, self.device):
            made = sample(
                self.pipeline, template, draws, times=self.times(), sampler=self.sampler, label=labels, noise=noise
            )
        return attrs.evolve(made, observation=made.observation.with_values(made.signal), shower=self)

    def _classed(self, batch: Batch, label: Labels) -> Batch:
        """The batch with the classes that the user names."""
        labels = None if label is None else self.labels(len(batch), 0, label)
        return batch if labels is None else attrs.evolve(batch, label=labels.to(self.device))

    def inr(self, prediction: Prediction, i: int, provenance: Mapping[str, Any] | None = None) -> InrFile:
        """One signal of a prediction, as a file that renders without us."""
        params = {name: value[i] for name, value in prediction.params.items()}
        finished: InrFile = self.modality.display.unwrap(self.inr_of(params, float(prediction.t[i]), provenance))
        return finished

    def inr_of(self, params: Params, t: float, provenance: Mapping[str, Any] | None = None) -> InrFile:
        """Params of one signal of ours, without a batch axis, that were made at noise level t; as a file."""
        made = {"inrkit": inrkit.__version__, "run": self.run.name, "step": self.step}
        return InrFile(
            params={name: value.detach().float().cpu() for name, value in params.items()},
            function=type(self.pipeline.function).__name__,
            built_with=self.pipeline.function.built_with,
            function_state={name: value.cpu() for name, value in self.pipeline.function.state_dict().items()},
            modality=self.modality.name,
            modality_options=self.config.options,
            readout={"name": self.config.readout, **self.config.readout_options},
            t=t,
            provenance={**made, **(provenance or {})},
        )

    @torch.no_grad()
    def _joined(
        self,
        kind: str,
        batch: Batch,
        make: Callable[[Observation, Draws, Tensor | None], Prediction],
        progress: Progress,
        seed: int = 0,
        first: int = 0,
    ) -> Prediction:
        """Predictions made block by block, as one, observed as the support is; their numbers begin with ``first``."""
        parts = []
        with autocast(self.precision, self.device):
            for start in range(0, len(batch), BLOCK):
                part = batch.rows(slice(start, start + BLOCK))
                draws = Draws(seed_of(seed, kind, first + start), BLOCK, stop=len(part))
                parts.append(make(part.support, draws, part.label))
                progress(start + len(part), len(batch), _DOING[kind])
        return Prediction(
            {name: torch.cat([part.params[name] for part in parts]) for name in parts[0].params},
            torch.cat([part.t for part in parts]),
            batch.support.with_values(torch.cat([part.observation.values for part in parts])),
            torch.cat([part.signal for part in parts]),
            self.pipeline,
            self,
        )

    def places(self, asked: Request | None = None, signals: int = 1) -> Sequence[Any]:
        """The places that a request such as {"size": "64x64"} or "64x64" means, on our device, for so many signals."""
        return places(self.modality, asked, self.device, signals)


def build_model(resolved: Resolved, run: Path, step: int, device: torch.device) -> Model:
    """A model with untrained weights, without touching the random states."""
    with preserve_random_state(device):
        pipeline = resolved.build().to(device).eval().requires_grad_(False)
    return Model(resolved.modality, pipeline, resolved.config, run, step)


load = Model.load
