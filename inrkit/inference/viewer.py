"""INRs for the browser: a page that evaluates the function on the reader's graphics card, and the function as GLSL."""

from pathlib import Path
from typing import final

import attrs
import torch
from torch.nn import functional as F

from inrkit.core.glsl import WIDTH, Shader
from inrkit.core.inr import Params
from inrkit.core.measure import Measure
from inrkit.core.modality import Modality
from inrkit.core.option import AT_LEAST_0, AT_LEAST_1, option
from inrkit.core.pipeline import Prediction
from inrkit.core.view import View
from inrkit.drawing.sheet import data_address, to_image
from inrkit.drawing.viewer import Shown, viewer_page
from inrkit.errors import DataError, UsageError
from inrkit.inference.export import Exporter
from inrkit.inference.model import Model
from inrkit.inference.opened import Opened, open_inr
from inrkit.inference.picture import pictures_of
from inrkit.inference.signalset import SignalSet
from inrkit.storage.atomic import write_bytes, write_text


@attrs.frozen
class PageOptions:
    """Options of ``html``."""

    exact: bool = option(False, "keep all numbers in 32 bits; false: in 16 where a page shows no difference")
    count: int = option(8, "of a run: how many samples, and how many held-out signals", AT_LEAST_1)
    seed: int = option(0, "of a run: random seed of the samples, and of the choice of held-out signals", AT_LEAST_0)


@final
class PageExporter(Exporter):
    """One self-contained page: pan, zoom, orbit and listen to the function itself."""

    name = "html"
    summary = "a page that evaluates the function in the browser, by WebGL2"
    suffix = ".html"
    Options = PageOptions

    def run_model(self, model: Model, options: PageOptions, path: Path) -> list[Path]:
        """Samples, encoded held-out signals beside their originals, and a slider from one to another."""
        samples = model.sample(options.count, options.seed)
        parts = [
            *((f"sample {i}", samples.rows(slice(i, i + 1)), None) for i in range(options.count)),
            *_held_out(model, options),
        ]
        opened = [open_inr(model.inr(prediction, 0)) for _, prediction, _ in parts]
        gains = [gain_of(each.measure, each.file.t) for each in opened]
        shown = [
            Shown(name, shader_of(each.measure, each.params), picture)
            for (name, _, picture), each, gain in zip(parts, opened, gains, strict=True)
            if gain == gains[0]  # a page has one read-out
        ]
        title, view = model.run.name, view_of(opened[0].modality)
        subtitle = "Samples and encoded held-out signals of a run, evaluated by this page on your graphics card."
        write_text(path, viewer_page(title, subtitle, view, shown, gains[0], exact=options.exact))
        return [path]

    def run(self, opened: Opened, options: PageOptions, path: Path) -> list[Path]:
        view = view_of(opened.modality)
        function = opened.measure.function
        shader = shader_of(opened.measure, opened.params)
        title = str(opened.file.provenance.get("title") or opened.file.provenance.get("source") or path.stem)
        count = sum(value.numel() for value in opened.file.params.values())
        subtitle = f"{type(function).__name__}, {count:,} params, evaluated by this page on your graphics card."
        gain = gain_of(opened.measure, opened.file.t)
        page = viewer_page(Path(title).name, subtitle, view, [Shown("signal", shader)], gain, exact=options.exact)
        write_text(path, page)
        return [path]


@attrs.frozen
class GlslOptions:
    """``glsl`` has no options."""


@final
class GlslExporter(Exporter):
    """The function for shaders of one's own."""

    name = "glsl"
    summary = "the function as GLSL ES 3.00, with its numbers beside it"
    suffix = ".glsl"
    Options = GlslOptions

    def run(self, opened: Opened, options: GlslOptions, path: Path) -> list[Path]:
        shader, numbers = shader_of(opened.measure, opened.params), path.with_name(f"{path.name}.f32")
        texels = shader.numbers()
        texels = F.pad(texels, (0, 0, 0, -len(texels) % WIDTH))
        write_bytes(numbers, texels.numpy().astype("<f4").tobytes())
        head = [
            f"// {opened.file.function}: coordinates on [-1, 1] to {shader.channels} outputs, by",
            "//     void field(vec4 x, vec4 v, out vec4 y[OUTPUTS])      v: variances of x, vec4(0) for a point",
            f"// 'numbers': an RGBA32F texture, {WIDTH} x {len(texels) // WIDTH}, of {numbers.name} (little-endian).",
            f"// A value is {gain_of(opened.measure, opened.file.t):.9g} times an output, on [-1, 1].",
        ]
        write_text(path, "\n".join([*head, str(shader)]))
        return [path, numbers]


def view_of(modality: Modality) -> View:
    """How a page shows signals of this modality."""
    view = modality.display.view()
    if view is None:
        raise UsageError(
            f"the modality '{modality.name}' does not say how a page shows it (`Display.view`, docs/plugins.md); "
            "export 'glsl' instead"
        )
    return view


@torch.no_grad()
def shader_of(measure: Measure, params: Params) -> Shader:
    """The function of these params (1, ...) as a shader."""
    return measure.function.glsl({name: value.cpu() for name, value in params.items()})


def gain_of(measure: Measure, t: float) -> float:
    """What the read-out multiplies the first head by to get the signal."""
    one = torch.ones(1, measure.readout.heads, 1)
    return float(measure.readout.signal(one, torch.tensor([t])).flatten()[0])


def _held_out(model: Model, options: PageOptions) -> list[tuple[str, Prediction, str | None]]:
    """Held-out signals by number, encoded, and their pictures; none where the data are not at hand."""
    try:
        signals = SignalSet.choose(model, "test", options.count, options.seed)
    except (DataError, UsageError):
        return []
    encoded = signals.encode()
    pictures = pictures_of(model, encoded.truth)
    return [
        (f"held out {number}", encoded.prediction.rows(slice(i, i + 1)), data_address(to_image(pictures[i])))
        for i, number in enumerate(signals.numbers)
    ]
