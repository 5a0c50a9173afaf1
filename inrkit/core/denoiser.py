"""The hyper-network G_θ(O_t, t) = β: noisy observation in, parameters of an INR out."""

import abc

from torch import Tensor, nn

from inrkit.core.inr import Params
from inrkit.core.observation import Observation


class Denoiser(nn.Module, abc.ABC):
    """Predicts the parameters of the INR of a signal from a noisy observation of it.

    Laws: rows are independent of each other; the params have the shapes that the INR function declares.
    """

    @abc.abstractmethod
    def forward(self, observation: Observation, noise_level: Tensor, label: Tensor | None = None) -> Params:
        """Params for each row.

        Args:
            observation: Noisy, with values already scaled to unit variance by c_in(t).
            noise_level: c_noise(t), (B,).
            label: Class of each row (B,), -1 for "none"; None when the model knows no classes.

        Returns:
            For each name that the function declares, a tensor (B, *shape).
        """
