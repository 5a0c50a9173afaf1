"""The learning rate as a function of the step, and optimizers as one object."""

from typing import Any

import attrs
import pytest
import torch
from torch import nn
from toy import ToyModality

from inrkit.config.run import RunConfig
from inrkit.core.noise import make_readout
from inrkit.errors import DataError
from inrkit.training.muon import Muon, orthogonalised
from inrkit.training.optimizer import Optimizer, hidden_matrices, learning_rate

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
    """2-D weights of linear layers in repeated blocks; embeddings, heads, modulation, biases and norms go to AdamW."""
    model = pipeline()
    hidden = {id(p) for p in hidden_matrices(model)}
    names = {name for name, p in model.named_parameters() if id(p) in hidden}
    assert names
    assert all(name.startswith(("denoiser.encoder.", "denoiser.decoder.")) for name in names)
    assert not any("modulation" in name for name in names)
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


def test_a_state_of_another_division_is_refused() -> None:
    """Momentum alone, where AdamW's two averages belong, would only fail in the next step."""
    config, model = attrs.evolve(CONFIG, optimizer="muon"), pipeline()
    optimizer = Optimizer(config, model)
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    optimizer.step(0.01)
    name = next(name for name in optimizer.names.values() if "modulation" in name and name.endswith("weight"))
    tensors = {key: value for key, value in optimizer.tensors().items() if not key.endswith(f":{name}")}
    with pytest.raises(DataError, match="another division"):
        Optimizer(config, model).load(tensors | {f"momentum_buffer:{name}": torch.zeros(2)})


def matrices(rows: int, *shape: int) -> torch.Tensor:
    return torch.randn(rows, *shape, generator=torch.Generator().manual_seed(3))


def test_muon_agrees_with_torch() -> None:
    """Weights move as those of `torch.optim.Muon` with iterations that converge, to the accuracy of two."""
    ours, theirs = ([nn.Parameter(m.clone()) for m in matrices(3, 8, 24)] for _ in range(2))
    a = Muon(ours, lr=0.1, weight_decay=0.1)
    exact: dict[str, Any] = {"ns_coefficients": (15 / 8, -10 / 8, 3 / 8), "ns_steps": 20}
    b = torch.optim.Muon(theirs, lr=0.1, weight_decay=0.1, adjust_lr_fn="match_rms_adamw", **exact)
    for seed in range(3):
        for p, q, g in zip(ours, theirs, matrices(3, 8, 24) + seed, strict=True):
            p.grad, q.grad = g.clone(), g.clone()
        a.step()
        b.step()
    for p, q, start in zip(ours, theirs, matrices(3, 8, 24), strict=True):
        assert (p - q).norm() < 0.25 * (q - start).norm()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(24, 24), (24, 32), (24, 96), (96, 24)])
def test_updates_are_nearly_orthogonal(shape: tuple[int, int], dtype: torch.dtype) -> None:
    """Singular vectors stay; singular values that are not small come near 1. Wide, high and square ones alike."""
    u, _, v = torch.linalg.svd(matrices(2, *shape), full_matrices=False)
    values = torch.linspace(1, 6, 24)
    found = orthogonalised(u * values @ v, dtype).float()
    middle = u.mT @ found @ v.mT
    diagonal = middle.diagonal(dim1=1, dim2=2)
    assert 0.74 < diagonal.min() <= diagonal.max() < 1.26
    rounding = 1e-5 if dtype == torch.float32 else 0.05
    torch.testing.assert_close(middle, torch.diag_embed(diagonal), rtol=0, atol=rounding)


@pytest.mark.parametrize("high", [False, True])
def test_columns_of_zeros_change_nothing(high: bool) -> None:
    """Law: a wide matrix, which takes other products, is orthogonalised as the same matrix without its zeros."""
    x = matrices(3, 16, 20)
    wide = nn.functional.pad(x, (0, 60))
    found = orthogonalised(wide.mT).mT if high else orthogonalised(wide)
    torch.testing.assert_close(found[..., :20], orthogonalised(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("scale", [1e-9, 1e6])
def test_the_size_of_a_gradient_does_not_matter(scale: float) -> None:
    """Law: orthogonalising forgets it; a gradient of zero moves nothing."""
    x = matrices(3, 16, 20)
    torch.testing.assert_close(orthogonalised(scale * x), orthogonalised(x), rtol=1e-4, atol=1e-5)
    assert not orthogonalised(torch.zeros_like(x)).any()


def test_muon_computes_in_the_precision_of_the_run() -> None:
    """Where a machine lacks bf16 instructions, a run in fp32 must not multiply in bf16."""
    config = attrs.evolve(CONFIG, optimizer="muon")
    assert [Optimizer(config, pipeline(), p).parts[0].dtype for p in ("fp32", "bf16")] == [
        torch.float32,
        torch.bfloat16,
    ]
