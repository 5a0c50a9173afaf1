"""The function M_β that a signal becomes: coordinates in, outputs out, every instance-specific weight in β.

The function keeps none of the params. Bound to params it is a *field*, a plain function of coordinates, which is all
that a transform ever sees.
"""

import abc
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from torch import Tensor, nn

from inrkit.core.glsl import Shader
from inrkit.errors import UsageError

Params = Mapping[str, Tensor]
"""Name to tensor (B, *shape)."""

Field = Callable[[Tensor], Tensor]
"""Coordinates (B, P, axes) to outputs (B, P, channels); with B = 1, the same coordinates for every signal."""


class INRFunction(nn.Module, abc.ABC):
    """A family of functions of coordinates, one for each setting of the params.

    It may have weights of its own, shared by all signals and trained with the denoiser. One that is registered under a
    name also has ``Options``, an attrs class, and `build`.
    """

    Options: ClassVar[type]
    head: ClassVar[Literal["tokens", "columns", "grid"]] = "columns"
    """What a hyper-network writes the params with; see `inrkit.make_heads`."""
    token_grid: tuple[int, ...] | None = None
    """The grid that the tokens of a function lie on, for one whose params are tokens with a place each."""
    built_with: Mapping[str, Any] = {}
    """What `inrkit.make_function` built it with, for readers of files (name, options, axes, channels, size)."""

    @classmethod
    def build(cls, options: Any, *, axes: int, channels: int, size: tuple[int, ...]) -> Self:
        """The function for signals with so many axes and channels.

        Args:
            options: An instance of ``Options``.
            size: Of the grid that it is held to in training; () where there is none.
        """
        raise UsageError(f"`{cls.__name__}` cannot be built by name; it has no 'build'")

    @property
    @abc.abstractmethod
    def param_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Name and shape, without the batch axis, of all params of one signal."""

    def token_positions(self) -> Tensor | None:
        """What tokens with a place each start from, (n, width)."""
        return None

    def token_points(self, side: int) -> Tensor | None:
        """Of a function whose tokens govern a block of places each, such coordinates, ``side`` along each axis of it:
        (tokens, side ** axes, axes). None where a token is heard everywhere."""
        return None

    @abc.abstractmethod
    def forward(self, params: Params, coords: Tensor) -> Tensor:
        """Outputs (B, P, channels) at coords (B or 1, P, axes)."""

    def glsl(self, params: Params) -> Shader:
        """Ourselves with params (1, *shape) as a shader with a function ``field``, for viewers; see `Shader`."""
        raise UsageError(
            f"`{type(self).__name__}` does not say itself in GLSL; it would by a method 'glsl' (docs/plugins.md). "
            "`inrkit render` makes pictures without one"
        )

    if TYPE_CHECKING:  # `nn.Module` calls `forward`, but says neither with what nor for what
        __call__ = forward

    def bind(self, params: Params) -> Field:
        """The field of these params."""
        shapes = {name: tuple(value.shape[1:]) for name, value in params.items()}
        if shapes != dict(self.param_shapes):
            raise UsageError(f"`{type(self).__name__}` needs params {dict(self.param_shapes)}, got {shapes}")
        return lambda coords: self(params, coords)
