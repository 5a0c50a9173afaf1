"""The hyper-network G_θ(O_t, t) = β: noisy observation in, parameters of an INR out."""

import abc
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self, final

import attrs
from torch import Tensor, nn

from inrkit.core.inr import Params
from inrkit.core.measure import Measure
from inrkit.core.observation import Observation
from inrkit.errors import UsageError


@final
@attrs.frozen(eq=False)
class Level:
    """How noisy the observation is that a denoiser is shown.

    Args:
        noise_level: c_noise(t), (B,).
        until: c_noise(s), (B,), of the cleaner level s that the answer leads to, for a denoiser of ``two_times``; else
            None: to the clean signal.
        guidance: The scale of guidance that the answer is to have, (B,), for a denoiser that is told it; else None.
    """

    noise_level: Tensor
    until: Tensor | None = None
    guidance: Tensor | None = None


class Denoiser(nn.Module, abc.ABC):
    """Predicts the parameters of the INR of a signal from a noisy observation of it.

    Laws: rows are independent of each other; the params have the shapes that the INR function declares. One that is
    registered under a name also has ``Options``, an attrs class, and `build`.
    """

    Options: ClassVar[type]
    skips_encoder: bool = False
    """Set while a phase trains the decoder alone; the parts that `encoder_parts` names are then passed over."""
    two_times: bool = False
    """Whether it is told until which level its answer leads (`take_until`)."""

    guidance_range: tuple[float, float] | None = None
    """The lowest and highest guidance scale that it learns to give when told (`take_guidance`)."""

    def encoder_parts(self) -> Sequence[nn.Module]:
        """What learns from noisy signals and can be skipped at first; empty for networks without such parts."""
        return ()

    @classmethod
    def build(
        cls,
        options: Any,
        *,
        template: Observation,
        shapes: Mapping[str, tuple[int, ...]],
        classes: int,
        measure: Measure | None,
    ) -> Self:
        """The network for observations like the template.

        Args:
            options: An instance of ``Options``.
            template: One row; its values mean nothing.
            shapes: Of the params to be written, as the function declares them.
            classes: Number of class labels; 0 for none.
            measure: What becomes of the params, for those that must know it; None where nobody can say.
        """
        raise UsageError(f"`{cls.__name__}` cannot be built by name; it has no 'build'")

    def take_until(self) -> None:
        """Makes room for ``Level.until`` in a new network, for objectives that need it (MeanFlow, shortcut models)."""
        raise UsageError(
            f"`{type(self).__name__}` takes one noise level, and the objective needs two; choose another denoiser"
        )

    def take_guidance(self, low: float, high: float) -> None:
        """Makes room for ``Level.guidance`` in a new network: it is to learn guidance of any of these scales."""
        raise UsageError(
            f"`{type(self).__name__}` cannot be told a guidance scale; leave 'guidance_range' out, or choose another "
            "denoiser"
        )

    def take_augmentation(self, labels: int) -> None:
        """Makes room for ``Observation.augmentation`` in a new network: so many numbers that say what training did."""
        raise UsageError(
            f"`{type(self).__name__}` cannot be told how signals were augmented; leave 'augment_labels' out, or choose "
            "another denoiser"
        )

    @abc.abstractmethod
    def forward(self, observation: Observation, level: Level, label: Tensor | None = None) -> Params:
        """Params for each row.

        Args:
            observation: Noisy, with values already scaled to unit variance by c_in(t).
            level: Of its noise.
            label: Class of each row (B,), -1 for "none"; None when the model knows no classes.

        Returns:
            For each name that the function declares, a tensor (B, *shape).
        """

    if TYPE_CHECKING:  # `nn.Module` calls `forward`, but says neither with what nor for what
        __call__ = forward
