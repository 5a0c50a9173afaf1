"""The modality under examination, and what the checks need of it, each made once and when it is first asked for."""

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, final

import attrs
import torch

from inrkit.config.resolve import Resolved, resolve
from inrkit.core.draws import Draws, seed_of
from inrkit.core.modality import Modality, Signals, Source
from inrkit.core.noise import Readout
from inrkit.core.observation import Batch
from inrkit.core.pipeline import Pipeline, Prediction
from inrkit.inference.model import Model
from inrkit.machine.randomness import preserve_random_state
from inrkit.plugins import Registry, load_plugins
from inrkit.plugins.registry import Entry

ROWS = 3
"""Signals that most checks look at."""


@final
@attrs.define(eq=False, slots=False)
class Subject:
    """A modality, and how it is to be examined.

    Args:
        modality: Its name, or its class.
        options: Instead of the preset's, to make the networks small and the checks quick.
        preset: One of the modality's; by default its first.
        data: A store, or what writes one and returns its path, for a modality without embedded signals.
        request: A place other than that of training, as ``inrkit render`` is asked for it.
        suffix: Of the files that `Display.write` is asked for; by default the modality's.
        values: Keys of the run for the check that trains, such as {"steps": 100}.
        expected_failures: Names of checks that cannot pass, with the reason, besides those that the modality names.
    """

    _modality: str | type[Modality]
    _options: Mapping[str, Any] | None = attrs.field(default=None, kw_only=True)
    _preset: str | None = attrs.field(default=None, kw_only=True)
    _data: Path | Callable[[], Path] | None = attrs.field(default=None, kw_only=True)
    _request: Mapping[str, str] | None = attrs.field(default=None, kw_only=True)
    _suffix: str | None = attrs.field(default=None, kw_only=True)
    values: Mapping[str, Any] | None = attrs.field(default=None, kw_only=True)
    _expected_failures: Mapping[str, str] | None = attrs.field(default=None, kw_only=True)

    @property
    def request(self) -> Mapping[str, str]:
        return {"size": "24"} if self._request is None else self._request

    @property
    def suffix(self) -> str:
        """Of the files that are written."""
        return self.modality.display.suffix if self._suffix is None else self._suffix

    @property
    def known_failures(self) -> Mapping[str, str]:
        """Names of checks that cannot pass, with the reason."""
        return {**self.cls.known_failures, **(self._expected_failures or {})}

    @property
    def name(self) -> str:
        return self._modality if isinstance(self._modality, str) else self._modality.name

    @cached_property
    def registry(self) -> Registry:
        return load_plugins()

    @property
    def entry(self) -> Entry | None:
        """How the modality is registered; None for a class that is not."""
        return None if isinstance(self._modality, type) else self.registry.entry("modality", self._modality)

    @cached_property
    def cls(self) -> type[Modality]:
        return self._modality if isinstance(self._modality, type) else self.registry.modality(self._modality)

    @cached_property
    def resolved(self) -> Resolved:
        """The config, with the options fitted to the data."""
        return self.resolve(self._preset, self._options)

    def resolve(self, preset: str | None, options: Mapping[str, Any] | None = None) -> Resolved:
        """The config of a preset, with these options instead of its own."""
        flags: dict[str, Any] = {"device": "cpu", "precision": "fp32", "options": dict(options or {})}
        flags |= {"data": str(self.data)} if self.data is not None else {}
        return resolve(self.cls, preset, flags=flags)

    @cached_property
    def data(self) -> Path | None:
        """The store, or None for the embedded signals."""
        return self._data() if callable(self._data) else self._data

    @property
    def modality(self) -> Modality:
        """The modality with these options."""
        return self.resolved.modality

    def source(self, split: str = "train") -> Source:
        """The signals of a split, opened anew."""
        return self.resolved.source(split)

    @cached_property
    def signals(self) -> Signals:
        """The first few signals, as a source reads them."""
        source = self.source()
        return source.read(list(range(min(ROWS, len(source)))))

    @property
    def rows(self) -> int:
        return len(next(iter(self.signals.values())))

    def observe(self, *, training: bool, seed: int = 0) -> Batch:
        """The same signals as the network sees them."""
        return self.modality.observe(self.signals, Draws(seed_of("check", seed), self.rows), training=training)

    @cached_property
    def batch(self) -> Batch:
        """As they are encoded and evaluated."""
        return self.observe(training=False)

    @property
    def readout(self) -> Readout:
        return self.resolved.readout

    def build(self, readout: Readout | None = None, *, seed: int = 0, spread: float = 0.02) -> Pipeline:
        """A new pipeline in evaluation mode, its weights moved a little, so that none is zero for a start."""
        with preserve_random_state(torch.device("cpu")):
            torch.manual_seed(seed)
            pipeline = self.modality.build(readout or self.readout).eval()
            with torch.no_grad():
                for parameter in pipeline.parameters():
                    parameter.add_(torch.randn_like(parameter), alpha=spread)
        return pipeline

    @cached_property
    def pipeline(self) -> Pipeline:
        """One that checks share and leave as it is."""
        return self.build().requires_grad_(False)

    @cached_property
    def encoded(self) -> Prediction:
        """The signals' INRs."""
        return self.pipeline.encode(self.batch.support, self.batch.label)

    def show(self, where: Any) -> torch.Tensor:
        """The same signals, measured at a place."""
        return self.pipeline.show(self.encoded.params, where, self.encoded.t)

    @cached_property
    def model(self) -> Model:
        """A model of the same, as the command line uses one."""
        return Model(self.modality, self.pipeline, self.resolved.config, Path("check"), 0)
