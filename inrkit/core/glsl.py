"""Functions of coordinates as GLSL ES 3.00: what a page, or anybody's shader, evaluates on a graphics card.

A function is text and one table of numbers in rows of four, which a shader reads from a texture:

    void field(vec4 x, vec4 v, out vec4 y[OUTPUTS])

x are the coordinates, v their variances (0 for a point), and y the outputs, four to a vector. Whatever has a number of
entries that is no multiple of 4 is filled up with zeros.
"""

from collections.abc import Sequence
from typing import final

import attrs
import torch
from torch import Tensor
from torch.nn import functional as F

from inrkit.errors import UsageError

WIDTH = 1024
"""Of the texture, in texels of four numbers: entry i lies in column i mod 1024 of row i / 1024."""

HEAD = f"""uniform highp sampler2D numbers;
vec4 number(int i) {{ return texelFetch(numbers, ivec2(i & {WIDTH - 1}, i >> {WIDTH.bit_length() - 1}), 0); }}
"""


def vectors(count: int) -> int:
    """Vectors of four that hold so many entries."""
    return -(-count // 4)


@final
@attrs.frozen(eq=False)
class Table:
    """Numbers of a shader, (n, 4); ``exact`` where 16 bits would not do."""

    name: str
    values: Tensor
    exact: bool


@final
class Shader:
    """A function in GLSL under construction.

    Law: the text is the same for all params, and tables are affine in them, so that between two signals of one
    function a page may mix the tables.

    Args:
        channels: Of the outputs.
    """

    def __init__(self, channels: int) -> None:
        self.channels = channels
        self.tables: list[Table] = []
        self._parts: list[str] = []

    def __str__(self) -> str:
        """The source text, with all that `field` needs."""
        return "\n".join([HEAD, f"const int OUTPUTS = {vectors(self.channels)};", *self._parts])

    def numbers(self) -> Tensor:
        """All tables, one after the other, (n, 4) fp32 on the CPU."""
        return torch.cat([table.values for table in self.tables])

    def add(self, text: str) -> None:
        """Text as it stands."""
        self._parts.append(text.strip() + "\n")

    def table(self, name: str, values: Tensor, *, exact: bool = False) -> None:
        """Rows (..., k), each filled up to vectors of four; the first one is ``number(NAME)``."""
        rows = F.pad(values.detach().float().cpu(), (0, -values.shape[-1] % 4)).reshape(-1, 4)
        self.add(f"const int {name} = {sum(len(table.values) for table in self.tables)};")
        self.tables.append(Table(name, rows, exact))

    def cosines(self, name: str, frequencies: Tensor, phases: Tensor) -> int:
        """``void NAME(vec4 x, vec4 v, out vec4 y[n])``: cos(w · x + phase), damped by the variances; returns n.

        Args:
            frequencies: (features, axes).
            phases: (features,).
        """
        count = vectors(len(phases))
        if (axes := frequencies.shape[1]) > 3:
            raise UsageError(f"cosines in GLSL are of 1 to 3 axes (got {axes})")
        waves = torch.cat([F.pad(frequencies.cpu(), (0, 3 - axes)), phases.cpu()[:, None]], 1)
        self.table(f"{name}_w", F.pad(waves, (0, 0, 0, 4 * count - len(waves))), exact=True)
        self.add(f"""
float {name}_at(int i, vec4 x, vec4 v) {{
  vec4 w = number({name}_w + i);
  return cos(dot(w.xyz, x.xyz) + w.w) * exp(-0.5 * dot(v.xyz, w.xyz * w.xyz));
}}
void {name}(vec4 x, vec4 v, out vec4 y[{count}]) {{
  for (int i = 0; i < {count}; i++) y[i] = vec4({name}_at(4 * i, x, v), {name}_at(4 * i + 1, x, v),
    {name}_at(4 * i + 2, x, v), {name}_at(4 * i + 3, x, v));
}}""")
        return count

    def fourier(self, name: str, frequencies: Tensor, axes: int) -> int:
        """`cosines` as Fourier features have them: cos(w x) of each axis in turn, then sin(w x).

        Args:
            frequencies: (features of an axis,), or (axes, features of an axis).
        """
        each = frequencies.expand(axes, -1).float().cpu()
        matrix = (torch.eye(axes)[:, None] * each[..., None]).flatten(0, 1)  # (axes * features, axes)
        return self.cosines(
            name, matrix.repeat(2, 1), torch.tensor([0.0, -torch.pi / 2]).repeat_interleave(len(matrix))
        )

    def linear(self, name: str, weight: Tensor, bias: Tensor | None = None) -> None:
        """``void NAME(vec4 x[inputs / 4], out vec4 y[outputs / 4])``: weight (outputs, inputs), bias (outputs,)."""
        outputs, inputs = weight.shape
        rows, columns = vectors(outputs), vectors(inputs)
        padded = F.pad(weight.detach().float().cpu(), (0, 4 * columns - inputs, 0, 4 * rows - outputs))
        # Four columns of a block of 4 x 4 lie one after the other, as mat4 takes them.
        # Of coordinates little is rounded away, and biases are few: both stay as they are.
        self.table(f"{name}_w", padded.reshape(rows, 4, columns, 4).permute(0, 2, 3, 1), exact=inputs <= 4)
        start = "vec4(0)"
        if bias is not None:
            self.table(f"{name}_b", bias, exact=True)
            start = f"number({name}_b + o)"
        self.add(f"""
void {name}(vec4 x[{columns}], out vec4 y[{rows}]) {{
  for (int o = 0; o < {rows}; o++) {{
    vec4 sum = {start};
    int at = {name}_w + {4 * columns} * o;
    for (int i = 0; i < {columns}; i++, at += 4)
      sum += mat4(number(at), number(at + 1), number(at + 2), number(at + 3)) * x[i];
    y[o] = sum;
  }}
}}""")

    def layers(self, name: str, layers: Sequence[tuple[Tensor, Tensor]], activation: str = "max({}, 0.0)") -> None:
        """``void NAME(vec4 x[...], out vec4 y[...])``: linear layers (weight, bias) with an activation between them."""
        lines = []
        for i, (weight, bias) in enumerate(layers):
            self.linear(f"{name}{i}", weight, bias)
            last, rows = i == len(layers) - 1, vectors(len(weight))
            target = "y" if last else f"h{i}"
            if not last:
                lines.append(f"vec4 h{i}[{rows}];")
            lines.append(f"{name}{i}({f'h{i - 1}' if i else 'x'}, {target});")
            if not last:
                acted = activation.format(f"h{i}[i]")
                lines.append(f"for (int i = 0; i < {rows}; i++) h{i}[i] = {acted};")
        ends = vectors(layers[0][0].shape[1]), vectors(len(layers[-1][0]))
        body = "\n  ".join(lines)
        self.add(f"void {name}(vec4 x[{ends[0]}], out vec4 y[{ends[1]}]) {{\n  {body}\n}}")
