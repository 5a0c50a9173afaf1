"""A pretended device: CUDA's rules for tensors of two devices hold on it, and planted mistakes are found."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from toy import ToyModality

from inrkit import Draws, GridObservation, KnownCells, Observation
from inrkit.nn.grid import Grid
from inrkit.testing import CHECKS, Subject, UnmetError
from inrkit.testing.strangers import MixedDevicesError, Strangers

HOST = torch.arange(3)


@pytest.mark.parametrize(
    "mix",
    [
        lambda x: x + torch.ones(3),
        lambda x: torch.ones(3) + x.sum(),
        lambda x: x.add_(torch.ones(3)),
        lambda x: x @ torch.ones(3),
        lambda x: torch.stack([x.sum(), torch.tensor(1.0)]),
        lambda x: torch.cat([x, torch.ones(3)]),
        lambda x: torch.where(torch.ones(3) > 0, x, x),
        lambda x: HOST[x.long()],
        lambda x: x.gather(0, HOST),
        lambda x: x.index_select(0, HOST),
        lambda x: x.numpy(),
        lambda x: torch.randn(3, device=x.device, generator=torch.Generator()),
        lambda x: nn.Linear(3, 3)(x),
        lambda x: (torch.ones_like(x, requires_grad=True) * x).backward(torch.ones(3)),
    ],
)
def test_an_operation_does_not_mix_devices(mix: Callable[[Tensor], Any]) -> None:
    """What CUDA refuses ends in an error that says where."""
    with Strangers(), pytest.raises(MixedDevicesError, match=r"test_strangers\.py"):
        mix(torch.ones(3, device="cuda"))


@pytest.mark.parametrize(
    "cross",
    [
        lambda x: x + torch.tensor(1.0),
        lambda x: x[HOST],
        lambda x: x + torch.ones(3).to(x),
        lambda x: x.copy_(torch.ones(3)),
        lambda x: x.where(x > 0, torch.tensor(0.0)),
        lambda x: x.new_tensor([1.0, 2.0, 3.0]) + x,
        lambda x: torch.full_like(x, 2) * x.new_zeros(3),
        lambda x: nn.functional.one_hot(x.long(), 3) * x,
        lambda x: torch.randn(3, device=x.device, generator=torch.Generator(x.device)) + x,
        lambda x: nn.Linear(3, 3).to(x.device)(x),
    ],
)
def test_what_cuda_allows_is_allowed(cross: Callable[[Tensor], Tensor]) -> None:
    """Numbers of the host, its indices, and whatever is moved first; the result is the device's."""
    with Strangers() as strangers:
        found = cross(torch.ones(3, device="cuda"))
        assert found.device == strangers.device
        assert (found.cpu() + torch.ones(3)).device.type == "cpu"


def test_a_gradient_goes_back_to_where_it_came_from() -> None:
    """Of a tensor that was moved, on the side where it was before."""
    weight = torch.ones(3, requires_grad=True)
    with Strangers():
        (weight.to("cuda") * torch.ones(3, device="cuda")).sum().backward()
        assert weight.grad is not None
        assert weight.grad.device.type == "cpu"


def test_numbers_are_those_of_the_host() -> None:
    """A step of training gives the same bits as without the pretence."""

    def trained(device: str) -> Tensor:
        torch.manual_seed(0)
        layer = nn.Linear(3, 3).to(device)
        optimizer = torch.optim.AdamW(layer.parameters(), fused=True)
        for _ in range(2):
            layer(torch.ones(2, 3, device=device)).square().mean().backward()
            optimizer.step()
            optimizer.load_state_dict(optimizer.state_dict())
        return layer.weight.detach().cpu()

    with Strangers():
        pretended = trained("cuda")
    assert torch.equal(pretended, trained("cpu"))
    assert not torch.accelerator.is_available() or torch.cuda.is_available()  # nothing is left of it


@pytest.mark.parametrize(
    ("wait", "told"),
    [
        (lambda x: float(x.sum()), "_local_scalar_dense"),
        (lambda x: x.cpu(), "a copy from cuda:0 to cpu"),
        (lambda x: torch.tensor([1.0], device=x.device), "a copy from cpu to cuda:0"),
        (lambda x: x[x > 0], "by a mask"),
        (lambda x: x[HOST], "by the host's numbers"),
        (lambda x: x.nonzero(), "nonzero"),
        (lambda x: x.tolist(), "tolist"),
    ],
)
def test_waiting_for_the_device_is_written_down(wait: Callable[[Tensor], Any], told: str) -> None:
    """With the operation and the line."""
    with Strangers() as strangers:
        x = torch.ones(3, device="cuda")
        x.mul_(2).masked_fill_(x > 0, 1.0)
        x[x > 0] = 2.0
        x.copy_(torch.ones(3), non_blocking=True)
        assert not strangers.waits
        wait(x)
    assert len(strangers.waits) == 1
    assert told in strangers.waits[0]
    assert "test_strangers.py" in strangers.waits[0]


def noise_of_the_host(self: GridObservation, noise: Tensor, query: Observation, draws: Draws) -> Tensor:
    return torch.randn(query.values.shape)


def coordinates_of_the_host(self: Grid, start: int, stop: int) -> Tensor:
    return torch.linspace(-1, 1, stop - start)[None, :, None]


def mask_of_the_host(self: KnownCells, values: Tensor) -> Tensor:
    return values * self.mask


@pytest.mark.parametrize(
    ("owner", "name", "planted", "check"),
    [
        (GridObservation, "share_noise", noise_of_the_host, "training_stays_on_its_device"),
        (Grid, "coords", coordinates_of_the_host, "a_model_stays_on_its_device"),
        (KnownCells, "apply", mask_of_the_host, "a_model_stays_on_its_device"),
    ],
)
def test_a_planted_mistake_is_found_and_named(
    monkeypatch: pytest.MonkeyPatch, owner: type, name: str, planted: Callable[..., Tensor], check: str
) -> None:
    """In an observation's noise, in a function's coordinates, in an edit's mask: nothing on a host shows it."""
    monkeypatch.setattr(owner, name, planted)
    with pytest.raises(UnmetError, match=r"mixes tensors of two devices, .* of cuda:0"):
        CHECKS[check].function(Subject(ToyModality))
