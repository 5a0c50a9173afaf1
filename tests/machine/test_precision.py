"""bf16 where the machine is fast with it, and only for matrix products."""

import pytest
import torch
from toy import ToyModality
from toy_run import train_toy

from inrkit.errors import UsageError
from inrkit.machine import precision
from inrkit.machine.precision import autocast, choose_device, choose_precision

CPU = torch.device("cpu")


def test_auto_follows_the_measured_gain(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor that emulates bf16 is slower with it."""
    monkeypatch.setattr(precision, "cpu_gain", lambda: 3.0)
    assert choose_precision("auto", CPU) == "bf16"
    monkeypatch.setattr(precision, "cpu_gain", lambda: 0.4)
    assert choose_precision("auto", CPU) == "fp32"
    assert [choose_precision(wanted, CPU) for wanted in ("fp32", "bf16")] == ["fp32", "bf16"]


def test_the_gain_is_a_positive_number() -> None:
    """Measured once a process."""
    assert precision.cpu_gain() > 0
    assert precision.cpu_gain() == precision.cpu_gain()


def test_products_are_bf16_and_the_rest_is_not() -> None:
    """Norms, sums and what the weights are stored in keep fp32."""
    x, layer, norm = torch.randn(4, 8), torch.nn.Linear(8, 8), torch.nn.LayerNorm(8)
    with autocast("bf16", CPU):
        assert layer(x).dtype is torch.bfloat16
        assert (x + layer(x)).dtype is torch.float32
        assert norm(x).dtype is torch.float32
    with autocast("fp32", CPU):
        assert layer(x).dtype is torch.float32


def test_a_bf16_run_keeps_its_state_in_fp32(tmp_path) -> None:
    """Master weights, averages and optimizer; and it learns about what fp32 learns."""
    from inrkit.storage.weights import find_checkpoint

    train_toy(tmp_path / "bf16", precision="bf16")
    checkpoint = find_checkpoint(tmp_path / "bf16")
    for group in ("model", "ema", "optimizer"):
        assert {tensor.dtype for tensor in checkpoint.tensors[group].values()} == {torch.float32}
    assert checkpoint.state["precision"] == "bf16"


def test_a_resumed_run_keeps_the_precision_it_began_with(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What "auto" measured at first decides, even if the machine is another one now."""
    from inrkit.storage.weights import find_checkpoint

    monkeypatch.setattr(precision, "cpu_gain", lambda: 3.0)
    train_toy(tmp_path, precision="auto", steps=5)
    monkeypatch.setattr(precision, "cpu_gain", lambda: 0.4)
    train_toy(tmp_path, precision="auto", steps=8, extend=True)
    assert find_checkpoint(tmp_path).state["precision"] == "bf16"


def test_devices_are_chosen_or_refused() -> None:
    """ "auto" finds one; a device that is not there is named."""
    assert choose_device("cpu") == CPU
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(UsageError, match="'device' must be"):
        choose_device("quantum")
    with pytest.raises(UsageError, match="no device 'cuda:99'"):
        choose_device("cuda:99")


@pytest.mark.gpu
def test_a_gpu_run_resumes(tmp_path) -> None:
    """On the device that "auto" finds, in the precision that suits it."""
    model = train_toy(tmp_path, precision="auto")
    assert model.device.type == "cuda"
    assert train_toy(tmp_path, precision="auto", steps=24, extend=True).step == 24
    assert ToyModality.name == model.modality.name
