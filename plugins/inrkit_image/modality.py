"""Images: any number of channels, any height and width, support and query at the same or at different resolutions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

import attrs
import torch
from torch import Tensor

from inrkit import (
    Batch,
    Denoiser,
    Draws,
    Grid,
    GridObservation,
    HyperTransformer,
    INRFunction,
    Measure,
    Modality,
    PatchTokenizer,
    Pipeline,
    Preconditioning,
    Readout,
    SampleGrid,
    Signals,
    Source,
    UsageError,
    check_parts,
    jitter,
    load_plugins,
    make_denoiser,
    make_function,
    make_heads,
    parse_size,
)
from inrkit_image.files import read_image_of, read_images, write_image
from inrkit_image.options import PRESETS, ImageOptions
from inrkit_image.source import EmbeddedFaces, open_source, resize, to_unit, to_values

_OWN = "hyper"  # the denoiser whose options are the modality's own


@final
class ImageModality(Modality):
    """Pixels on a grid, an attention-based INR (ANR), and coordinate sampling."""

    name = "image"
    summary = "images of any size and number of channels"
    Options = ImageOptions
    presets = PRESETS

    options: ImageOptions

    # ------------------------------------------------------------------------------------------ data

    def source(self, data: Path | None, split: str) -> Source:
        return open_source(data, split, self.options)

    def fitted(self, source: Source) -> ImageOptions:
        facts, options = source.facts, self.options
        for name, found in (("channels", facts["channels"]), ("classes", facts["classes"])):
            wanted = getattr(options, name)
            if wanted is None:
                options = attrs.evolve(options, **{name: found})
            elif name == "channels" and wanted != found:
                raise UsageError(f"'options.channels' is {wanted}, but the data have {found}")
            elif name == "classes" and wanted not in (0, found):
                raise UsageError(f"'options.classes' is {wanted}, but the data have {found} classes; set that, or 0")
        if options.size is None:
            options = attrs.evolve(options, size=tuple(facts["size"]))
        if options.denoiser == _OWN and options.denoiser_options:
            raise UsageError("'options.denoiser_options' are those of another denoiser than 'hyper', which has none")
        own = options.denoiser == _OWN
        check_parts(
            options.function, self._function_options, None if own else options.denoiser, options.denoiser_options
        )
        return options

    def read(self, paths: Sequence[Path]) -> tuple[Signals, Sequence[str]]:
        images, names = read_images(paths, self._query_size, self._channels)
        return {"values": images}, names

    def coarse(self, path: Path, factor: int) -> Tensor | None:
        size = (self._size[0] // factor, self._size[1] // factor)
        image = read_image_of(path, size, self._channels)
        return None if image is None else to_values(image)

    # ------------------------------------------------------------------------------------------ observations

    def observe(self, signals: Signals, draws: Draws, *, training: bool) -> Batch:
        device, options = draws.device, self.options
        values = to_values(signals["values"].to(device))
        if training and options.flip:
            flipped = draws.uniform() < 0.5
            values = torch.where(flipped[:, None, None, None], values.flip(-1), values)
        support = self._on_grid(resize(values, self._size), self._size)
        values = resize(values, self._query_size)
        query = self._on_grid(values, self._query_size)
        if training:
            query = self._subsampled(query, draws)
        label = signals["label"].to(device) if options.classes and "label" in signals else None
        return Batch(support, query, label)

    def _subsampled(self, query: GridObservation, draws: Draws) -> GridObservation:
        """Only ``query_points`` of the pixels, the same for the whole batch, and variational coordinates.

        A grid of values has no use for those: they would only blur what it is held to.
        """
        options, where, values = self.options, query.where, query.values
        if options.query_points and options.query_points < where.count:
            index = draws.shared_choice(options.query_points, where.count)
            where, values = attrs.evolve(where, index=index), values.flatten(2)[:, :, index]
        if options.jitter != "none" and load_plugins().function(options.function).head != "grid":
            where = jitter(where, draws, per_row=options.jitter == "each")
        return GridObservation(values, where)

    def template(self, rows: int) -> GridObservation:
        return self._on_grid(torch.zeros(rows, self._channels, *self._size), self._size)

    @staticmethod
    def _on_grid(values: Tensor, size: tuple[int, int]) -> GridObservation:
        return GridObservation(values, Grid(size, device=values.device))

    # ------------------------------------------------------------------------------------------ the pipeline

    def build(self, readout: Readout) -> Pipeline:
        o = self.options
        function = make_function(
            o.function, self._function_options, axes=2, channels=self._channels * readout.heads, size=self._query_size
        )
        transform, preconditioning = SampleGrid(), Preconditioning(o.sigma_data)
        if o.denoiser == _OWN:
            denoiser: Denoiser = self._hyper(function)
        else:
            denoiser = make_denoiser(
                o.denoiser,
                o.denoiser_options,
                template=self.template(1),
                shapes=function.param_shapes,
                classes=o.classes or 0,
                measure=Measure(function, transform, preconditioning, readout),
            )
        return Pipeline(denoiser, function, transform, preconditioning, readout)

    def _hyper(self, function: INRFunction) -> HyperTransformer:
        o = self.options
        start = function.token_positions() if function.token_grid is not None else None
        return HyperTransformer(
            PatchTokenizer(self._size, self._channels, o.patch, o.width, localized=o.localized),
            make_heads(function.param_shapes, function.head, o.width, groups=o.groups, start=start),
            dim=o.width,
            depth=o.depth,
            decoder_depth=o.decoder_depth,
            attention_heads=o.heads,
            hidden=o.hidden,
            dropout=o.dropout,
            classes=o.classes or 0,
            token_grid=function.token_grid,
        )

    @property
    def _function_options(self) -> Mapping[str, Any]:
        o = self.options
        if o.function != "anr":
            return o.function_options
        own = {
            "patch": o.token_patch,
            "width": o.inr_width,
            "inner": o.inr_inner,
            "heads": o.inr_heads,
            "depth": o.inr_depth,
            "max_frequency": o.max_frequency,
            "threshold": o.threshold,
            "localized": o.localized,
        }
        return {**own, **o.function_options}

    # ------------------------------------------------------------------------------------------ showing

    def places(self, request: Mapping[str, str]) -> Sequence[Grid]:
        unknown = sorted(set(request) - {"size"})
        if unknown:
            raise UsageError(f"an image is rendered at a 'size'; it has no '{unknown[0]}'")
        return [Grid(parse_size(request["size"], 2) if "size" in request else self._query_size)]

    def pictures(self, values: Tensor) -> Tensor:
        shown = to_unit(values.float())
        return shown[:, :3] if shown.shape[1] >= 3 else shown[:, :1].expand(-1, 3, -1, -1)

    def truth(self, source: Source, numbers: Sequence[int], where: Grid) -> Tensor | None:
        if not isinstance(source, EmbeddedFaces):
            return None
        return to_values(source.truth(numbers, (where.size[0], where.size[1]))["values"])

    def write(self, values: Sequence[Tensor], path: Path) -> Path:
        return write_image(values[0], path)

    # ------------------------------------------------------------------------------------------ resolved options

    @property
    def _size(self) -> tuple[int, int]:
        if self.options.size is None:
            raise UsageError("'options.size' is not set: fit the options to a source first, or set it")
        return self.options.size

    @property
    def _query_size(self) -> tuple[int, int]:
        return self.options.query_size or self._size

    @property
    def _channels(self) -> int:
        return 3 if self.options.channels is None else self.options.channels
