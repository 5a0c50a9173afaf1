"""What cannot fit is refused before it is built."""

import pytest
import torch

from inrkit import ResourceError, resolve
from inrkit.comparison.operations import of_training
from inrkit.config.resolve import imagined
from inrkit.machine.memory import free_memory
from inrkit.training.fits import check_memory, needs, training_operations

CPU = torch.device("cpu")


def test_weights_are_counted_as_they_are_built() -> None:
    """Weights, gradients, average and Muon's momentum: four numbers of four bytes; activations grow with the signal."""
    small = resolve("image", "tiny")
    weights = sum(parameter.numel() for parameter in small.build().parameters())
    assert needs(small).weights == 4 * 4 * weights
    large = resolve("image", "tiny", overrides=["options.size=64,64"])
    assert needs(large).signal > 3 * needs(small).signal > 3e6


@pytest.mark.parametrize(
    ("override", "advice"),
    [
        ("batch_size=1000000000", "at most .* fit: a smaller 'batch_size'"),
        ("options.width=10000000", "smaller network"),
    ],
)
def test_what_cannot_fit_is_refused_with_the_bytes(override: str, advice: str) -> None:
    """Nothing of that size is built: the machine could not hold it."""
    with pytest.raises(ResourceError, match=rf"GiB of which are free; found one that needs .*; .*{advice}"):
        check_memory(resolve("image", "tiny", overrides=[override]), CPU)


def test_what_fits_is_let_through() -> None:
    """The free memory is told where the system tells it."""
    check_memory(resolve("image", "tiny"), CPU)
    assert (free_memory(CPU) or 1 << 40) > 1 << 20


def test_operations_of_a_run_are_guessed_without_taking_a_step() -> None:
    """Within a half of those that a step counts; none where numbers decide how a network is built."""
    few, more = (
        resolve("image", "tiny", overrides=[f"steps={n}", "batch_size=2", "options.width=32"]) for n in (10, 20)
    )
    guess = training_operations(few, imagined(few))
    assert guess == pytest.approx(of_training(few), rel=0.5)
    assert training_operations(more, imagined(more)) == pytest.approx(2 * guess)
    objects = resolve("nerf")
    assert training_operations(objects, imagined(objects)) is None
