"""The learning rate as a function of the step, and optimizers as one object."""

import attrs
import pytest
import torch
from torch import nn
from toy import ToyModality

from inrkit.core.noise import make_readout
from inrkit.engine.config import RunConfig
from inrkit.engine.optimizer import Optimizer, hidden_matrices, learning_rate
from inrkit.errors import DataError

CONFIG = RunConfig(modality="toy", steps=110, warmup=10, lr=2.0, schedule="cosine")


def test_the_rate_rises_and_falls() -> None:
    """Linearly to its highest over the warm-up, then as the schedule says to about 0."""
    assert [learning_rate(CONFIG, step) for step in (0, 4, 9)] == pytest.approx([0.2, 1.0, 2.0])
    assert learning_rate(CONFIG, 10) == 2.0
    assert learning_rate(CONFIG, 60) == pytest.approx(1.0)
    assert 0 < learning_rate(CONFIG, 109) < 0.001
    linear = attrs.evolve(CONFIG, schedule="linear")
    assert learning_rate(linear, 60) == pytest.approx(1.0)
    assert learning_rate(linear, 85) == pytest.approx(0.5)
    constant = attrs.evolve(CONFIG, schedule="constant", warmup=0)
    assert {learning_rate(constant, step) for step in range(110)} == {2.0}


def test_a_run_shorter_than_its_warm_up_still_trains() -> None:
    """The rate is positive in every step."""
    short = attrs.evolve(CONFIG, steps=3)
    assert all(learning_rate(short, step) > 0 for step in range(3))


def pipeline() -> nn.Module:
    return ToyModality(ToyModality.Options(size=16)).build(make_readout("direct"))


@pytest.mark.parametrize("name", ["radam", "adamw", "muon"])
def test_a_restored_optimizer_goes_on_identically(name: str) -> None:
    """Its state is tensors by name, and nothing else."""
    config = attrs.evolve(CONFIG, optimizer=name)
    first, second = pipeline(), pipeline()
    a = Optimizer(config, first)
    gradients = [[torch.randn_like(p) for p in first.parameters()] for _ in range(8)]

    def steps(model: nn.Module, optimizer: Optimizer, some: list[list[torch.Tensor]]) -> None:
        for gradient in some:
            for p, g in zip(model.parameters(), gradient, strict=True):
                p.grad = g.clone()
            optimizer.step(0.01)

    steps(first, a, gradients[:6])
    second.load_state_dict(first.state_dict())
    b = Optimizer(config, second)
    b.load({key: value.clone() for key, value in a.tensors().items()})
    steps(first, a, gradients[6:])
    steps(second, b, gradients[6:])
    for p, q in zip(first.parameters(), second.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=0, atol=0)


def test_muon_takes_hidden_matrices_only() -> None:
    """2-D weights of linear layers in repeated blocks; embeddings, heads, biases and norms go to AdamW."""
    model = pipeline()
    hidden = {id(p) for p in hidden_matrices(model)}
    names = {name for name, p in model.named_parameters() if id(p) in hidden}
    assert names
    assert all(name.startswith(("denoiser.encoder.", "denoiser.decoder.")) for name in names)
    muon, adamw = Optimizer(attrs.evolve(CONFIG, optimizer="muon"), model).parts
    counted = [sum(p.numel() for group in part.param_groups for p in group["params"]) for part in (muon, adamw)]
    assert sum(counted) == sum(p.numel() for p in model.parameters())


def test_weights_without_gradient_stay() -> None:
    """Frozen parts do not decay either."""
    model = pipeline()
    optimizer = Optimizer(attrs.evolve(CONFIG, optimizer="adamw", weight_decay=0.5), model)
    before = model.function.scale.detach().clone()
    optimizer.step(0.1)
    assert model.function.scale == before


def test_a_foreign_state_is_refused() -> None:
    """By the name of a weight that is not there."""
    with pytest.raises(DataError, match=r"'denoiser\.other'"):
        Optimizer(CONFIG, pipeline()).load({"exp_avg:denoiser.other": torch.zeros(1)})
