"""INRs, and the encoders that make them, as programs of other runtimes: ONNX, and what `torch.export` writes.

An INR becomes a program of coordinates (points, axes); with ``params`` among its inputs, of coordinates
(signals, points, axes) and of each param (signals, *shape). A run becomes an encoder, from the values of observations
to params, with that second program beside it. The numbers of signals and points are free.
"""

import abc
import contextlib
import importlib.util
import io
import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import attrs
import torch
from torch import Tensor, nn

from inrkit.core.inr import INRFunction, Params
from inrkit.core.measure import Measure
from inrkit.core.modality import Modality
from inrkit.core.observation import Observation
from inrkit.core.option import option
from inrkit.core.pipeline import Pipeline
from inrkit.errors import UsageError
from inrkit.inference.export import Exporter
from inrkit.inference.model import Model
from inrkit.inference.opened import Opened
from inrkit.inference.viewer import gain_of
from inrkit.storage.atomic import write_bytes

_EXAMPLES = 3  # signals; a number that nothing else has, so that what depends on it is seen to
_POINTS = 7


@attrs.frozen
class ProgramOptions:
    """Options of ``onnx`` and ``pt2``."""

    params: bool = option(False, "params are inputs too, for any number of signals; false: those of the INR, built in")


@final
@attrs.frozen(eq=False)
class Program:
    """A graph that `torch.export` traced, with names of its inputs and outputs, and facts about it for readers."""

    traced: torch.export.ExportedProgram
    inputs: Sequence[str]
    outputs: Sequence[str]
    facts: Mapping[str, Any]


class ProgramExporter(Exporter, abc.ABC):
    """Traces the function or the encoder; how a program is written is for subclasses."""

    Options = ProgramOptions
    of_run = "encoder"

    @abc.abstractmethod
    def pack(self, program: Program) -> bytes:
        """The bytes of the file."""

    def run(self, opened: Opened, options: ProgramOptions, path: Path) -> list[Path]:
        facts: dict[str, Any] = {"function": opened.file.function, "built_with": dict(opened.file.built_with)}
        facts |= {"modality": opened.file.modality, "gain": gain_of(opened.measure, opened.file.t)}
        coords = example_coords(opened.modality, opened.measure, opened.params)
        program = (of_function if options.params else of_inr)(opened.measure.function, opened.params, coords, facts)
        write_bytes(path, self.pack(program))
        return [path]

    def run_model(self, model: Model, options: ProgramOptions, path: Path) -> list[Path]:
        function, measure = model.pipeline.function, model.pipeline.measure
        params = {name: torch.zeros(1, *shape) for name, shape in function.param_shapes.items()}
        facts: dict[str, Any] = {"modality": model.modality.name, "run": model.run.name, "step": model.step}
        coords = example_coords(model.modality, measure, params)
        beside = path.with_name(f"{path.stem}-function{path.suffix}")
        encoder = self.pack(of_encoder(model.pipeline, model.modality.template(_EXAMPLES), facts))
        facts |= {"function": type(function).__name__, "built_with": dict(function.built_with)}
        write_bytes(beside, self.pack(of_function(function, params, coords, facts)))
        write_bytes(path, encoder)
        return [path, beside]


@final
class OnnxExporter(ProgramExporter):
    """For ONNX Runtime and whatever else reads ONNX. Facts are in the model's metadata, under ``inrkit``."""

    name = "onnx"
    summary = "the function, or a run's encoder, as ONNX; needs the extra 'onnx'"
    suffix = ".onnx"

    def pack(self, program: Program) -> bytes:
        missing = [name for name in ("onnx", "onnxscript") if importlib.util.find_spec(name) is None]
        if missing:
            raise UsageError(
                f"the format 'onnx' needs the package '{missing[0]}', which is not installed; "
                'install it: pip install "inrkit[onnx]"'
            )
        with _quiet():
            made = torch.onnx.export(
                program.traced,
                dynamo=True,
                input_names=list(program.inputs),
                output_names=list(program.outputs),
                verbose=False,
            )
        assert made is not None
        made.model.metadata_props["inrkit"] = json.dumps(program.facts)
        data: bytes = made.model_proto.SerializeToString()
        return data


@final
class Pt2Exporter(ProgramExporter):
    """For `torch.export.load`, in Python without inrkit. Facts are in the archive, as ``inrkit.json``."""

    name = "pt2"
    summary = "the function, or a run's encoder, as torch.export writes it"
    suffix = ".pt2"

    def pack(self, program: Program) -> bytes:
        buffer = io.BytesIO()
        with _quiet():
            torch.export.save(program.traced, buffer, extra_files={"inrkit.json": json.dumps(program.facts)})
        return buffer.getvalue()


class _Inr(nn.Module):
    """An INR as a function of coordinates alone."""

    def __init__(self, function: INRFunction, params: Params) -> None:
        super().__init__()
        self.function, self.names = function, list(params)
        for i, value in enumerate(params.values()):
            self.register_buffer(f"param{i}", value)

    def forward(self, coords: Tensor) -> Tensor:
        params = {name: self.get_buffer(f"param{i}") for i, name in enumerate(self.names)}
        return self.function(params, coords[None])[0]


class _Function(nn.Module):
    """A function of coordinates and of params."""

    def __init__(self, function: INRFunction) -> None:
        super().__init__()
        self.function, self.names = function, list(function.param_shapes)

    def forward(self, coords: Tensor, *params: Tensor) -> Tensor:
        return self.function(dict(zip(self.names, params, strict=True)), coords)


class _Encoder(nn.Module):
    """Values of observations, and the tensors of where they were measured, to params."""

    def __init__(self, pipeline: Pipeline, template: Observation) -> None:
        super().__init__()
        self.pipeline, self.template = pipeline, template

    def forward(self, values: Tensor, *places: Tensor) -> tuple[Tensor, ...]:
        observation = attrs.evolve(self.template, where=_rebuilt(self.template.where, list(places)))
        found = self.pipeline.params(observation.with_values(values), values.new_zeros(values.shape[0]))
        return tuple(found[name] for name in self.pipeline.function.param_shapes)


def of_inr(function: INRFunction, params: Params, coords: Tensor, facts: Mapping[str, Any]) -> Program:
    """The program of one INR, params (1, ...), traced at coords (P, axes)."""
    traced = _traced(_Inr(function, params), (coords,), ({0: "points"},), type(function).__name__)
    return Program(traced, ["coords"], ["outputs"], facts)


def of_function(function: INRFunction, params: Params, coords: Tensor, facts: Mapping[str, Any]) -> Program:
    """The program of a function, traced at params (1, ...) and coords (P, axes)."""
    rows = [value.expand(_EXAMPLES, *value.shape[1:]).clone() for value in params.values()]
    example = (coords.expand(_EXAMPLES, *coords.shape).clone(), *rows)
    free = ({0: "signals", 1: "points"}, *({0: "signals"} for _ in rows))
    traced = _traced(_Function(function), example, free, type(function).__name__)
    return Program(traced, ["coords", *(f"params.{name}" for name in params)], ["outputs"], facts)


def of_encoder(pipeline: Pipeline, template: Observation, facts: Mapping[str, Any]) -> Program:
    """The program of an encoder, traced at observations like these."""
    rows = len(template.values)
    # What the template shares among its signals, each of them may have for itself.
    places = {
        name: value.expand(rows, *value.shape[1:]).clone() if value.shape[:1] == (1,) else value
        for name, value in _tensors(template.where, "where")
    }
    example = (template.values, *places.values())
    free = tuple({0: "signals"} if value.ndim and len(value) == rows else {} for value in example)
    traced = _traced(_Encoder(pipeline, template), example, free, type(pipeline.denoiser).__name__)
    names = [f"params.{name}" for name in pipeline.function.param_shapes]
    return Program(traced, ["values", *places], names, facts)


def example_coords(modality: Modality, measure: Measure, params: Params) -> Tensor:
    """A few coordinates (P, columns) that a signal is measured at, in the form that its function gets them in."""

    def field(coords: Tensor) -> Tensor:
        raise _FoundError(coords[0, :_POINTS].float().cpu())

    try:
        measure.transform(field, modality.display.places({})[0])
    except _FoundError as found:
        return found.coords.expand(_POINTS, -1).clone() if len(found.coords) == 1 else found.coords
    raise UsageError(f"signals of '{modality.name}' are measured without coordinates; nothing is to be exported")


class _FoundError(Exception):
    def __init__(self, coords: Tensor) -> None:
        super().__init__()
        self.coords = coords


def _traced(
    module: nn.Module, example: tuple[Tensor, ...], free: Sequence[Mapping[int, str]], what: str
) -> torch.export.ExportedProgram:
    """`UsageError` where the code of a plugin cannot be traced, or not for any number of signals and points."""
    dims = {name: torch.export.Dim(name, min=1) for axes in free for name in axes.values()}
    shapes = [{axis: dims[name] for axis, name in axes.items()} for axes in free]
    first, *others = shapes
    given = (first, tuple(others)) if others else (first,)
    try:
        with torch.no_grad(), _quiet():
            return torch.export.export(module.eval(), example, dynamic_shapes=given, strict=False)
    except Exception as error:  # whatever a plugin's code, and the tracer, may raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:160]
        raise UsageError(
            f"`{what}` cannot be exported for any number of signals and points ({reason}); "
            "'x.shape[0]' can be traced where 'len(x)' is a number, and so can what does not look at values"
        ) from error


def _tensors(place: Any, name: str) -> Iterator[tuple[str, Tensor]]:
    """The tensors in a place made of attrs classes, by name."""
    if isinstance(place, Tensor):
        yield name, place
    elif attrs.has(type(place)):
        for field in attrs.fields(type(place)):
            yield from _tensors(getattr(place, field.name), f"{name}.{field.name}")


def _rebuilt(place: Any, tensors: list[Tensor]) -> Any:
    """The same place with other tensors, in the order of `_tensors`; they are taken from the list."""
    if isinstance(place, Tensor):
        return tensors.pop(0)
    if not attrs.has(type(place)):
        return place
    fields = attrs.fields(type(place))
    return attrs.evolve(place, **{field.alias: _rebuilt(getattr(place, field.name), tensors) for field in fields})


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch's tracer and exporter say about themselves."""
    levels = {logger: logger.level for logger in map(logging.getLogger, ("torch.onnx", "onnxscript", "onnx_ir"))}
    for logger in levels:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)
