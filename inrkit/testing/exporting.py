"""A function elsewhere: as a program of other runtimes, and as a shader."""

import importlib
import importlib.util
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from inrkit.core.glsl import Shader, vectors
from inrkit.core.inr import INRFunction, Params
from inrkit.errors import UsageError
from inrkit.inference.programs import OnnxExporter, Program, example_coords, of_function
from inrkit.testing.check import NotAskedError, UnmetError, check, expect, expect_alike, expect_finite, expect_shape
from inrkit.testing.subject import Subject

_RUNTIMES = ("onnx", "onnxscript", "onnxruntime")


@check
def functions_can_be_exported(subject: Subject) -> None:
    """Exported for any number of signals and places, the function gives the same to 1e-5: as torch.export traced it,
    and in ONNX Runtime where that is installed."""
    function, params = subject.pipeline.function, subject.encoded.params
    one = {name: value[:1] for name, value in params.items()}
    coords = example_coords(subject.modality, subject.modality.measure(subject.readout), one)
    try:
        program = of_function(function, one, coords, {})
    except UsageError as error:
        raise UnmetError(f"expected a function that can be exported, found: {error}") from error
    runtimes: dict[str, Any] = {"torch.export": program.traced.module()}
    if all(importlib.util.find_spec(name) for name in _RUNTIMES):
        runtimes["ONNX Runtime"] = onnx_runtime(program)
    for rows, count in ((1, 1), (min(2, subject.rows), 5)):
        some = {name: value[:rows] for name, value in params.items()}
        places = coords[:count].expand(rows, -1, -1)
        wanted = function(some, places)
        for name, runtime in runtimes.items():
            found = runtime(places, *some.values())
            expect_alike(found, wanted, f"{rows} signals at {count} places by {name}", 1e-5)


def onnx_runtime(program: Program) -> "OnnxRuntime":
    """The program as ONNX, in its runtime."""
    return OnnxRuntime(OnnxExporter().pack(program), program.inputs)


class OnnxRuntime:
    """A model of one output, called with tensors."""

    def __init__(self, data: bytes, inputs: Sequence[str]) -> None:
        runtime: Any = importlib.import_module(_RUNTIMES[-1])
        self.session = runtime.InferenceSession(data, providers=["CPUExecutionProvider"])
        self.inputs = inputs

    def __call__(self, *tensors: Tensor) -> Tensor:
        given = {name: value.contiguous().numpy() for name, value in zip(self.inputs, tensors, strict=True)}
        return torch.from_numpy(self.session.run(None, given)[0])


@check
def shaders_are_well_formed(subject: Subject) -> None:
    """A function in GLSL has the one `field` that pages call, the outputs that it has in torch, and tables that are
    affine in the params, under a text that does not depend on them."""
    function, params = subject.pipeline.function, subject.encoded.params
    if type(function).glsl is INRFunction.glsl:
        raise NotAskedError(f"`{type(function).__name__}` does not say itself in GLSL")
    one = {name: value[:1] for name, value in params.items()}
    other = {name: value + 0.3 * torch.randn(value.shape, generator=_chance()) for name, value in one.items()}
    between = {name: torch.lerp(value, other[name], 0.25) for name, value in one.items()}
    first, last, middle = (_shader(function, each) for each in (one, other, between))
    text = str(first)
    expect(str(last) == text, "expected one text for all params, found two")
    for brackets in ("{}", "()", "[]"):
        counts = [text.count(bracket) for bracket in brackets]
        expect(counts[0] == counts[1], f"expected as many '{brackets[0]}' as '{brackets[1]}', found {counts}")
    signature = "void field(vec4 x, vec4 v, out vec4 y[OUTPUTS])"
    expect(text.count(signature) == 1, f"expected one '{signature}', found {text.count(signature)}")
    coords = example_coords(subject.modality, subject.modality.measure(subject.readout), one)
    channels = function(one, coords[None]).shape[-1]
    expect(first.channels == channels, f"expected {channels} channels, found {first.channels}")
    expect(f"OUTPUTS = {vectors(channels)};" in text, f"expected {vectors(channels)} vectors of outputs")
    numbers = first.numbers()
    expect_shape(numbers, (len(numbers), 4), "the table of numbers")
    expect_finite(numbers, "the table of numbers")
    mixed = torch.lerp(numbers, last.numbers(), 0.25)
    expect_alike(middle.numbers(), mixed, "the numbers of params between two others, which are to be affine in them")


def _shader(function: INRFunction, params: Params) -> Shader:
    with torch.no_grad():
        return function.glsl(params)


def _chance() -> torch.Generator:
    return torch.Generator().manual_seed(0)
