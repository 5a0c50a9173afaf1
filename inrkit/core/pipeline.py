"""The one place where the flow is written out:

observation ─perturb→ noisy ─Denoiser→ params ─INRFunction.bind→ field ─Transform→ render ─Readout→ prediction
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, final

import attrs
import torch
from torch import Tensor, nn

from inrkit.core.denoiser import Denoiser, Level
from inrkit.core.inr import Field, Params
from inrkit.core.measure import Measure
from inrkit.core.observation import Observation, Views, expand
from inrkit.errors import UsageError

Request = Mapping[str, Any] | str | int | Sequence[int]
"""What a user asks for: {"size": "64x48"}, {"orbit": 60}; or a size alone, "64x48" or as a shape (48, 64)."""


class Shower(Protocol):
    """What a prediction asks to be shown by: a model."""

    def places(self, asked: Request) -> Sequence[Any]:
        """The places that a request means."""

    def png(self, prediction: "Prediction") -> bytes:
        """A picture of the first signals, as a PNG file."""


@final
@attrs.frozen(eq=False, repr=False)
class Prediction:
    """What one pass of the denoiser gave: everything that losses, samplers, editors and stores need.

    Args:
        params: β, (B, *shape) each.
        t: The noise level of each row at which they were made, (B,).
        observation: f(O_t, t) at the query's place.
        signal: What the INR shows there, (B, C, ...): equal to f's values but for the share of x_t in them.
        shower: The model that made the prediction, if one did.
    """

    params: Params
    t: Tensor
    observation: Observation
    signal: Tensor
    _pipeline: "Pipeline"
    _shower: Shower | None = None

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name} {'x'.join(map(str, value.shape[1:]))}" for name, value in self.params.items())
        signal = "x".join(map(str, self.signal.shape[1:]))
        return f"<Prediction of {len(self.t)} signals {signal}, each with the params {sizes}>"

    def _repr_png_(self) -> bytes | None:
        """For notebooks: the first signals."""
        return None if self._shower is None else self._shower.png(self)

    @property
    def field(self) -> Field:
        """The bound function, with all heads, as the transform sees it."""
        return self._pipeline.function.bind(self.params)

    @property
    def sigma_data(self) -> float:
        """The standard deviation of clean values that the network reckons with."""
        return self._pipeline.preconditioning.sigma_data

    def at(self, where: Any) -> Tensor:
        """The signal measured at any other place; or, of a model's predictions, as a request says: "256x256"."""
        if not isinstance(where, str | int | Sequence | Mapping):
            return self._pipeline.show(self.params, where, self.t)
        if self._shower is None:
            raise UsageError(f"expected a place such as 'observation.where', found {where!r}; see `Modality.places`")
        place, *others = self._shower.places(where)
        if others:
            raise UsageError(
                f"{where!r} means {1 + len(others)} places; measure at each of them, or `render` an INR file"
            )
        return torch.cat([self.rows(slice(i, i + 1)).at(place) for i in range(len(self.t))])

    def view(self, noisy: Observation) -> Observation:
        """f(x_t, t) in another view of the same signals, equally noisy."""
        return self._pipeline.predict(self.params, self.t, noisy).observation

    def rows(self, index: Tensor | slice) -> "Prediction":
        params = {name: value[index] for name, value in self.params.items()}
        return attrs.evolve(
            self, params=params, t=self.t[index], observation=self.observation.rows(index), signal=self.signal[index]
        )


@final
class Pipeline(nn.Module):
    """The denoiser G_θ, and what becomes of its params."""

    def __init__(self, denoiser: Denoiser, measure: Measure) -> None:
        super().__init__()
        self.denoiser, self.function = denoiser, measure.function
        self.transform, self.preconditioning, self.readout = measure.transform, measure.preconditioning, measure.readout

    def params(
        self,
        noisy: Observation,
        t: Tensor,
        label: Tensor | None = None,
        until: Tensor | None = None,
        guidance: Tensor | None = None,
    ) -> Params:
        """β = G_θ(c_in(t) O_t, c_noise(t)); a denoiser of two times is told the level ``until`` too, 0 by default.

        One that learned to be told a ``guidance`` scale is told that, by default what is nearest to none, 1.
        """
        c_noise, scale = self.preconditioning.c_noise, self.preconditioning.c_in(t)
        if until is not None and not self.denoiser.two_times:
            raise UsageError("'until' is for a denoiser of two times; call its 'take_until' when it is built")
        if until is None and self.denoiser.two_times:
            until = torch.zeros_like(t)
        if guidance is not None and self.denoiser.guidance_range is None:
            raise UsageError("a guidance scale is for a denoiser that learned it; call its 'take_guidance' at first")
        if guidance is None and self.denoiser.guidance_range is not None:
            guidance = torch.ones_like(t).clamp(*self.denoiser.guidance_range)
        level = Level(c_noise(t), None if until is None else c_noise(until), guidance)
        return self.denoiser(noisy.with_values(noisy.values * expand(scale, noisy.values)), level, label)

    def forward(
        self,
        noisy: Observation,
        t: Tensor,
        query: Observation | None = None,
        label: Tensor | None = None,
        until: Tensor | None = None,
        guidance: Tensor | None = None,
    ) -> Prediction:
        """From a noisy observation (and the query, equally noisy; by default the same) to the prediction."""
        return self.predict(self.params(noisy, t, label, until, guidance), t, noisy if query is None else query)

    def estimate(
        self,
        views: Views,
        t: Tensor,
        label: Tensor | None = None,
        until: Tensor | None = None,
        guidance: Tensor | None = None,
    ) -> Views:
        """f(x_t, t) in all views of the same signals, by the params that the first of them gives."""
        params = self.params(views[0], t, label, until, guidance)
        return tuple(self.predict(params, t, view).observation for view in views)

    if TYPE_CHECKING:  # `nn.Module` calls `forward`, but says neither with what nor for what
        __call__ = forward

    def predict(self, params: Params, t: Tensor, query: Observation) -> Prediction:
        """The second half of the flow: params, measured where the noisy query was."""
        render = self.measure.render(params, query.where)
        output = query.with_values(self.readout.output(render, query.values, t))
        return Prediction(params, t, output, self.readout.signal(render, t), self)

    def show(self, params: Params, where: Any, t: Tensor) -> Tensor:
        """The signal of params made at noise level t, measured anywhere."""
        return self.measure(params, where, t)

    @property
    def measure(self) -> Measure:
        """All of us that comes after the denoiser."""
        return Measure(self.function, self.transform, self.preconditioning, self.readout)

    @torch.no_grad()
    def encode(self, observation: Observation, label: Tensor | None = None) -> Prediction:
        """The INR of a clean observation: G(O, t_min), no noise added."""
        t = torch.zeros(len(observation), device=observation.values.device)
        return self(observation, t, label=label)
