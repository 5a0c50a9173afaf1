"""bf16 where the machine is fast with it, and only for matrix products."""

import pytest
import torch
from toy_run import train_toy

from inrkit.errors import UsageError
from inrkit.machine import precision
from inrkit.machine.precision import autocast, choose_device, choose_precision, tf32
from inrkit.machine.randomness import preserve_random_state

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


def with_accelerators(monkeypatch: pytest.MonkeyPatch, kind: str, count: int) -> None:
    """A machine with so many accelerators of a kind; or none."""
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device(kind) if count else None)
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: count)


@pytest.mark.parametrize("kind", ["cuda", "xpu"])
def test_auto_is_the_accelerator_one_for_each_process(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Whatever the machine has; a name without a number is the process's own as well."""
    with_accelerators(monkeypatch, kind, 2)
    assert choose_device("auto") == torch.device(kind, 0)
    assert choose_device("auto", local_rank=1) == choose_device(kind, local_rank=1) == torch.device(kind, 1)
    assert choose_device(f"{kind}:1") == torch.device(kind, 1)
    assert choose_device("cpu") == CPU
    with pytest.raises(UsageError, match=f"process 2 has no {kind.upper()} device of its own, found 2; start fewer"):
        choose_device("auto", local_rank=2)
    with pytest.raises(UsageError, match=f"no device '{kind}:2': found 2 {kind.upper()} devices; try device"):
        choose_device(f"{kind}:2")


def test_an_apple_computer_has_one_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    """MPS has no numbers, and computes in fp32 unless it is told otherwise."""
    with_accelerators(monkeypatch, "mps", 1)
    assert choose_device("auto") == choose_device("mps") == torch.device("mps")
    assert choose_precision("auto", torch.device("mps")) == "fp32"
    assert choose_precision("bf16", torch.device("mps")) == "bf16"
    with pytest.raises(UsageError, match="no device 'cuda': found 0 CUDA devices"):
        choose_device("cuda")


def test_without_an_accelerator_auto_is_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a device that is not there is named, with the way out."""
    with_accelerators(monkeypatch, "cuda", 0)
    assert choose_device("auto") == choose_device("auto", local_rank=3) == CPU
    with pytest.raises(UsageError, match="'device' must be auto, cpu, cuda, mps, xpu"):
        choose_device("quantum")
    with pytest.raises(UsageError, match="no device 'cuda:99': found 0 CUDA devices"):
        choose_device("cuda:99")


def test_bf16_on_an_accelerator_is_as_its_module_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Emulation does not count."""
    for fast, precision_of in ((True, "bf16"), (False, "fp32")):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, fast=fast: fast)
        monkeypatch.setattr(torch.xpu, "is_bf16_supported", lambda fast=fast: fast)
        assert choose_precision("auto", torch.device("cuda")) == precision_of
        assert choose_precision("auto", torch.device("xpu")) == precision_of


def test_tf32_ends_where_it_began() -> None:
    """Only CUDA is told, and only inside."""
    before = torch.get_float32_matmul_precision()
    with tf32(CPU):
        assert torch.get_float32_matmul_precision() == before
    with tf32(torch.device("cuda")):
        assert torch.get_float32_matmul_precision() == "high"
    assert torch.get_float32_matmul_precision() == before


@pytest.mark.parametrize(("kind", "told"), [("cuda", 1), ("mps", 0)])
def test_random_states_of_an_accelerator_are_kept_too(monkeypatch: pytest.MonkeyPatch, kind: str, told: int) -> None:
    """By the device's own module; that of MPS takes no device."""
    states, calls = {"now": torch.tensor([1])}, []

    class Module:
        @staticmethod
        def get_rng_state(*device: torch.device) -> torch.Tensor:
            calls.append(len(device))
            return states["now"]

        @staticmethod
        def set_rng_state(state: torch.Tensor, *device: torch.device) -> None:
            calls.append(len(device))
            states["now"] = state

    monkeypatch.setattr(torch, "get_device_module", lambda device: Module)
    with preserve_random_state(torch.device(kind)):
        states["now"] = torch.tensor([2])
    assert states["now"].item() == 1
    assert calls == [told, told]
