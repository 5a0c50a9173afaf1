"""A modality for whatever is measured on a regular grid: sound, pictures, maps, volumes."""

import abc
import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import attrs
import numpy as np
import torch
from torch import Tensor

from inrkit.config.parts import check_parts, make_function
from inrkit.core.denoiser import Denoiser
from inrkit.core.draws import Draws
from inrkit.core.measure import Measure
from inrkit.core.modality import Display, Modality, Original, Signals, Source
from inrkit.core.noise import Preconditioning, Readout
from inrkit.core.observation import Batch
from inrkit.core.resolution import parse_size
from inrkit.core.transform import Transform
from inrkit.core.view import View
from inrkit.drawing.sheet import save_png, to_image
from inrkit.errors import DataError, UsageError
from inrkit.gridded.augmentation import Augmentation, Flip, Gain, Shift, augment
from inrkit.gridded.fitting import fitting, span_of, spread_of
from inrkit.gridded.network import OWN, denoiser, function_options
from inrkit.gridded.options import GridOptions, sized, tiny_preset
from inrkit.gridded.picture import pictures_of_grid, view_of_grid
from inrkit.gridded.source import DrawnSignals, InventedSignals, StoredGrids
from inrkit.nn.grid import Grid, GridObservation, SampleGrid, interpolated, jitter
from inrkit.nn.resample import resample
from inrkit.nn.space import closed_axes
from inrkit.plugins import load_plugins
from inrkit.storage.atomic import write_bytes
from inrkit.storage.entries import OneFile, open_entries


class GridModality(Modality, Display, abc.ABC):
    """Signals on a grid of ``axes`` axes, the function `anr`, and a hyper-transformer over patches.

    A subclass names itself and says how many axes there are. Besides, each only where it differs from what is here:

        invent       signals to learn from where there are no data; `embedded` for a data set of its own
        values_of    from what a store holds to values in [-1, 1], and
        decode       a file of the user, in the same form as the store; `write`, the other way round
        resize, fit  values, and files of the user, at another size; `part`, what `fit` keeps of a file
        augmentations  changes of training signals that leave them as good as new
        size_at      what a request such as {"rate": "16000"} means, or `places` for what is not a grid
        pictures, presets, Options
    """

    axes: ClassVar[int]
    Options: ClassVar[type[GridOptions]] = GridOptions
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"tiny": tiny_preset()}
    space: ClassVar[str] = "line"
    """Where coordinates live, "line", "circle" for closed axes, a word for each axis, or "sphere"."""
    suffix: ClassVar[str] = ".npy"
    invented_size: ClassVar[tuple[int, ...]] = ()
    """The grid of invented signals; by default 64, 32 x 32 or 16 x 16 x 16."""
    invented_sigma: ClassVar[float | None] = None
    """The standard deviation that is reckoned with for them; by default it is measured, as for data."""
    held_out: ClassVar[int] = 500
    """Embedded signals of the test split; and at most so many of a store that has no test split of its own."""
    array: ClassVar[str] = "values"
    """The store's array of signals, (N, C, *size), or (N, *size, C) if ``channels_last``."""
    channels_last: ClassVar[bool] = False
    suffixes: ClassVar[tuple[str, ...]] = ()
    """Endings of the names of files that `decode` reads, in a folder or an archive; by default ``suffix`` alone."""

    options: GridOptions

    # ------------------------------------------------------------------------------------------ what signals are

    def invent(self, chance: torch.Generator) -> Callable[[Tensor], Tensor]:
        """One invented signal: a function of places (P, axes) in [-1, 1] to values (P, channels), as a store has them.

        Law: equal chance gives equal signals.
        """
        raise UsageError(f"the modality '{self.name}' has no data of its own: import some and give them as --data")

    def values_of(self, stored: Tensor) -> Tensor:
        """What a store holds, (B, C, *size), as values in [-1, 1]: integers by the range of their type."""
        if stored.is_floating_point():
            return stored.float() if self.options.span is None else stored.float() / self.options.span
        bounds = torch.iinfo(stored.dtype)
        return (stored.float() - bounds.min) / ((bounds.max - bounds.min) / 2) - 1

    def decode(self, data: bytes, name: str) -> Tensor:
        """A file of the user as a store would hold it, (C, *size): a .npy file with or without the axis of channels."""
        try:
            found = torch.from_numpy(np.load(io.BytesIO(data), allow_pickle=False))
        except (ValueError, TypeError, EOFError) as error:
            raise DataError(f"{name}: expected an array as .npy, found {' '.join(str(error).split())}") from error
        found = found[None] if found.ndim == self.axes else found
        if found.ndim != self.axes + 1:
            raise DataError(f"{name}: expected an array (C, ...) with {self.axes} axes, found {tuple(found.shape)}")
        return found

    def resize(self, values: Tensor, size: tuple[int, ...]) -> Tensor:
        """Values (B, C, *old) at another size."""
        return resample(values, size, closed=self.closed)

    def fit(self, stored: Tensor, size: tuple[int, ...]) -> Tensor:
        """What `decode` found, (B, C, *old), at the size that the model works on, as a store would hold it."""
        if tuple(stored.shape[2:]) == size:
            return stored
        values = resample(stored.float(), size, closed=self.closed)
        return values.to(stored.dtype) if stored.is_floating_point() else values.round().to(stored.dtype)

    def part(self, size: tuple[int, ...], target: tuple[int, ...]) -> tuple[slice, ...]:
        """What `fit` keeps of a file's signal of this size: a range of each axis. Here, all of it."""
        return tuple(slice(0, n) for n in size)

    def augmentations(self) -> Sequence[Augmentation]:
        """What training does to values (B, C, *size), in this order: changes that nature might have made as well."""
        o = self.options
        flip, shift = [Flip()] if o.flip else [], [Shift(o.shift, self.closed)] if o.shift else []
        return [*flip, *shift, *([Gain(o.gain)] if o.gain else [])]

    # ------------------------------------------------------------------------------------------ data

    def source(self, data: Path | None, split: str) -> Source:
        if data is None:
            o = self.options
            size = self._checked(o.query_size or o.size or self.invented_size or _SIZES.get(self.axes, ()))
            return self.embedded(split, o.count if split == "train" else self.held_out, size)
        return StoredGrids(
            data, self.name, self.axes, split, self.array, channels_last=self.channels_last, held_out=self.held_out
        )

    def embedded(self, split: str, count: int, size: tuple[int, ...]) -> Source:
        """The signals to learn from where there are no data."""
        return InventedSignals(self.invent, self.name, split, count, size)

    def fit_options(self, source: Source) -> Any:
        facts, options = source.facts, self.options
        for name in ("channels", "classes"):
            wanted, found = getattr(options, name), facts[name]
            if wanted is None:
                options = attrs.evolve(options, **{name: found})
            elif wanted != found and (name == "channels" or wanted != 0):
                more = " classes; set that, or 0" if name == "classes" else ""
                raise UsageError(f"'options.{name}' is {wanted}, but the data have {found}{more}")
        options = sized(options, facts["size"])
        self._checked(options.size or ())
        self._checked(options.query_size or options.size or ())
        if options.sigma_data is None and isinstance(source, DrawnSignals):
            options = attrs.evolve(options, sigma_data=self.invented_sigma)
        if options.sigma_data is None:
            count = max(1, min(256, len(source), _MEASURED // (facts["channels"] * math.prod(facts["size"]))))
            some = self.values_of(source.read(range(count))["values"])
            ours = type(self).values_of is GridModality.values_of and self.suffix == ".npy"  # which keeps any numbers
            span = span_of(some) if ours and options.span is None else None
            spread = spread_of(some, facts.get("title") or "the data", span or 1.0)
            options = attrs.evolve(options, sigma_data=spread, span=options.span or span)
        if (own := options.denoiser == OWN) and options.denoiser_options:
            raise UsageError("'options.denoiser_options' are those of another denoiser than 'hyper', which has none")
        fitted = type(self)(options)
        if options.augment_labels and not fitted.augmentations():
            raise UsageError("'options.augment_labels' needs an augmentation, found none; set 'options.flip', say")
        of_function = fitted.function_options
        check_parts(options.function, of_function, None if own else options.denoiser, options.denoiser_options)
        return options

    def read(self, paths: Sequence[Path]) -> tuple[Signals, Sequence[str]]:
        """A path is a file, or a folder or an archive, which stands for the signals in it."""
        rows, names, sizes = [], [], []
        for path in paths:
            for name, stored in self._decoded(path):
                rows.append(self.fit(stored[None], self.query_size))
                names.append(name)
                sizes.append(stored.shape[1:])
        return {"values": torch.cat(rows), "size": torch.tensor(sizes)}, names

    def fitting(self, size: tuple[int, ...]) -> str:
        return fitting(size, self.part(size, self.query_size), self.query_size)

    def originals(self, path: Path) -> Sequence[Original]:
        found = [self.values_of(stored[None])[0] for _, stored in self._decoded(path)]
        return [Original(values, self.part(tuple(values.shape[1:]), self.size)) for values in found]

    def _decoded(self, path: Path) -> Iterator[tuple[str, Tensor]]:
        """What is in a file, a folder or an archive, with errors that name it."""
        with open_entries(path) as entries:
            alone = isinstance(entries, OneFile)
            suffixes = self.suffixes or (self.suffix,)
            names = [name for name in entries.names() if alone or name.lower().endswith(suffixes)]
            if not names:
                raise DataError(f"{path}: expected files inside that end in {', '.join(suffixes)}, found none")
            found = dict(entries.read(names))
        for name in names:
            data, named = found[name], str(path) if alone else f"{path}/{name}"
            if isinstance(data, DataError):
                raise data
            try:
                stored = self.decode(data, named)
            except DataError as error:
                raise error if named in str(error) else DataError(f"{named}: {error}") from error
            if len(stored) != self.channels:
                raise DataError(f"{named}: expected {self.channels} channels, found {len(stored)}")
            yield named, stored

    # ------------------------------------------------------------------------------------------ observations

    def observe(self, signals: Signals, draws: Draws, *, training: bool) -> Batch:
        values = self.values_of(signals["values"].to(draws.device))
        said = None
        if training and (augmentations := self.augmentations()):
            values, said = augment(values, draws, augmentations, self.options.augment_share)
        support, query = (self.on_grid(self.resize(values, size)) for size in (self.size, self.query_size))
        if said is not None and self.options.augment_labels:
            support = attrs.evolve(support, augmentation=said)
        if training:
            query = self._subsampled(query, draws)
        known = self.options.classes and "label" in signals
        return Batch(support, query, signals["label"].to(draws.device) if known else None)

    def _subsampled(self, query: GridObservation, draws: Draws) -> GridObservation:
        """Only ``query_points`` places, the same for the whole batch, and variational coordinates."""
        options, cells = self.options, query.where
        if 0 < options.query_points < cells.count:
            cells = attrs.evolve(cells, index=draws.shared_choice(options.query_points, cells.count))
        where = cells
        # A grid of values has no use for jitter: it would only blur what it is held to.
        if options.jitter != "none" and load_plugins().function(options.function).head != "grid":
            where = jitter(cells, draws, per_row=options.jitter == "each")
        return GridObservation(interpolated(query.values, where if options.interpolate else cells, self.closed), where)

    def template(self, rows: int) -> GridObservation:
        return self.on_grid(torch.zeros(rows, self.channels, *self.size))

    @staticmethod
    def on_grid(values: Tensor) -> GridObservation:
        """Values (B, C, *size), measured at the centers of a whole grid."""
        return GridObservation(values, Grid(tuple(values.shape[2:]), device=values.device))

    # ------------------------------------------------------------------------------------------ the pipeline

    def measure(self, readout: Readout) -> Measure:
        o, outputs = self.options, self.channels * readout.heads
        function = make_function(
            o.function, self.function_options, axes=self.axes, channels=outputs, size=self.query_size
        )
        return Measure(function, self.transform(), Preconditioning(o.sigma_data or 0.5), readout)

    def denoiser(self, measure: Measure) -> Denoiser:
        made = denoiser(self.options, measure, self.template(1), self.channels, self.space)
        if self.options.augment_labels:
            made.take_augmentation(sum(augmentation.labels for augmentation in self.augmentations()))
        return made

    def transform(self) -> Transform:
        """How fields are measured."""
        return SampleGrid()

    @property
    def function_options(self) -> Mapping[str, Any]:
        """The function's options: those of `anr` that stand among ours, and whatever is given for it."""
        return function_options(self.options, self.query_size, self.space if any(self.closed) else None)

    # ------------------------------------------------------------------------------------------ showing

    @property
    def display(self) -> Display:
        return self

    def size_at(self, request: Mapping[str, str]) -> tuple[int, ...]:
        """The grid that a request means: {"size": "640x480"}; an empty one means that of training."""
        if unknown := sorted(set(request) - {"size"}):
            raise UsageError(f"signals of '{self.name}' are rendered at a 'size'; they have no '{unknown[0]}'")
        return parse_size(request["size"], self.axes) if "size" in request else self.query_size

    def places(self, request: Mapping[str, str]) -> Sequence[Any]:
        return [Grid(self.size_at(request))]

    def pictures(self, values: Tensor) -> Tensor:
        return pictures_of_grid(values)

    def view(self) -> View:
        """A curve, a map, or slices through a volume."""
        return view_of_grid(self.query_size, self.channels, getattr(self.options, "rate", None))

    def truth(self, source: Source, numbers: Sequence[int], where: Any) -> Tensor | None:
        known = source.at(numbers, where) if isinstance(source, DrawnSignals) else None
        return None if known is None else self.values_of(known)

    def write(self, values: Sequence[Tensor], path: Path) -> Path:
        """The picture; or, for a name that ends in .npy, the values, in the units of the data."""
        if path.suffix == ".npy":
            buffer = io.BytesIO()
            np.save(buffer, (values[0].float().cpu() * (self.options.span or 1.0)).numpy())
            write_bytes(path, buffer.getvalue())
            return path
        return save_png(to_image(self.pictures(values[0][None])[0]), path)

    # ------------------------------------------------------------------------------------------ resolved options

    @property
    def size(self) -> tuple[int, ...]:
        """Of the support; once the options have been fitted to data."""
        if self.options.size is None:
            raise UsageError("'options.size' is not set: fit the options to a source first, or set it")
        return self.options.size

    @property
    def query_size(self) -> tuple[int, ...]:
        """Of the query."""
        return self.options.query_size or self.size

    @property
    def closed(self) -> tuple[bool, ...]:
        """For each axis, whether its end meets its beginning."""
        return closed_axes(self.space, self.axes)

    @property
    def channels(self) -> int:
        """Of the values."""
        return self.options.channels or 1

    def _checked(self, size: tuple[int, ...]) -> tuple[int, ...]:
        if len(size) != self.axes:
            raise UsageError(f"a size of '{self.name}' has as many numbers as axes, {self.axes} (got {list(size)})")
        return size


_MEASURED = 1 << 24  # values whose spread is that of the data
_SIZES: Mapping[int, tuple[int, ...]] = {1: (64,), 2: (32, 32), 3: (16, 16, 16)}
