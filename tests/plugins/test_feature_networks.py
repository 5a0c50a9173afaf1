"""Inception, MobileNet and the networks of LPIPS, held against implementations of their own, with random weights."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from inrkit import Classifier, DataError, make_features
from inrkit.metrics.perceptual import perceptual_distance
from inrkit.testing import cases_of
from inrkit_features.inception import Inception
from inrkit_features.lpips import VGG16, AlexNet, SqueezeNet

VALUES = torch.rand(2, 3, 20, 24, generator=torch.Generator().manual_seed(0)) * 2 - 1


def lively(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Random weights with which every layer answers."""
    torch.manual_seed(0)
    for name, tensor in tensors.items():
        if tensor.ndim > 1:
            tensor.copy_(torch.randn_like(tensor) * (2 / tensor[0].numel()) ** 0.5)
        elif tensor.is_floating_point():
            tensor.copy_(torch.rand_like(tensor) + 0.5 if "var" in name else 0.1 * torch.randn_like(tensor))
        if name.endswith("bn.weight"):
            tensor.add_(1)
    return tensors


def inception_features(w: dict[str, Tensor], values: Tensor) -> Tensor:
    """As pytorch-fid's network is described, block by block."""

    def conv(x: Tensor, name: str, stride: int = 1, pad: tuple[int, int] = (0, 0)) -> Tensor:
        y = F.conv2d(x, w[f"{name}.conv.weight"], stride=stride, padding=pad)
        mean, var, gain, bias = (
            w[f"{name}.bn.{k}"].view(-1, 1, 1) for k in ("running_mean", "running_var", "weight", "bias")
        )
        return ((y - mean) / (var + 0.001) ** 0.5 * gain + bias).clamp_min(0)

    def mean_pool(x: Tensor) -> Tensor:
        ones = torch.ones_like(x[:1, :1])
        return F.avg_pool2d(x, 3, 1, 1) / F.avg_pool2d(ones, 3, 1, 1)

    byte = torch.clip(torch.round((values + 1) / 2 * 255), 0, 255) / 255
    x = 2 * F.interpolate(byte, size=(299, 299), mode="bilinear", align_corners=False) - 1
    x = conv(x, "Conv2d_1a_3x3", 2)
    x = conv(conv(x, "Conv2d_2a_3x3"), "Conv2d_2b_3x3", pad=(1, 1))
    x = conv(F.max_pool2d(x, 3, 2), "Conv2d_3b_1x1")
    x = F.max_pool2d(conv(x, "Conv2d_4a_3x3"), 3, 2)
    for n in ("Mixed_5b", "Mixed_5c", "Mixed_5d"):
        five = conv(conv(x, f"{n}.branch5x5_1"), f"{n}.branch5x5_2", pad=(2, 2))
        three = conv(conv(x, f"{n}.branch3x3dbl_1"), f"{n}.branch3x3dbl_2", pad=(1, 1))
        three = conv(three, f"{n}.branch3x3dbl_3", pad=(1, 1))
        x = torch.cat([conv(x, f"{n}.branch1x1"), five, three, conv(mean_pool(x), f"{n}.branch_pool")], 1)
    three = conv(conv(x, "Mixed_6a.branch3x3dbl_1"), "Mixed_6a.branch3x3dbl_2", pad=(1, 1))
    three = conv(three, "Mixed_6a.branch3x3dbl_3", 2)
    x = torch.cat([conv(x, "Mixed_6a.branch3x3", 2), three, F.max_pool2d(x, 3, 2)], 1)
    flat, tall = (0, 3), (3, 0)
    for n in ("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"):
        one = conv(conv(x, f"{n}.branch7x7_1"), f"{n}.branch7x7_2", pad=flat)
        one, two = conv(one, f"{n}.branch7x7_3", pad=tall), conv(x, f"{n}.branch7x7dbl_1")
        for i, pad in enumerate((tall, flat, tall, flat), 2):
            two = conv(two, f"{n}.branch7x7dbl_{i}", pad=pad)
        x = torch.cat([conv(x, f"{n}.branch1x1"), one, two, conv(mean_pool(x), f"{n}.branch_pool")], 1)
    three = conv(conv(x, "Mixed_7a.branch3x3_1"), "Mixed_7a.branch3x3_2", 2)
    seven = conv(conv(x, "Mixed_7a.branch7x7x3_1"), "Mixed_7a.branch7x7x3_2", pad=flat)
    seven = conv(conv(seven, "Mixed_7a.branch7x7x3_3", pad=tall), "Mixed_7a.branch7x7x3_4", 2)
    x = torch.cat([three, seven, F.max_pool2d(x, 3, 2)], 1)
    for n, pool in (("Mixed_7b", mean_pool), ("Mixed_7c", lambda x: F.max_pool2d(x, 3, 1, 1))):
        three, double = conv(x, f"{n}.branch3x3_1"), conv(x, f"{n}.branch3x3dbl_1")
        double = conv(double, f"{n}.branch3x3dbl_2", pad=(1, 1))
        ends = [
            conv(y, f"{n}.{name}{k}", pad=pad)
            for y, name in ((three, "branch3x3_2"), (double, "branch3x3dbl_3"))
            for k, pad in (("a", (0, 1)), ("b", (1, 0)))
        ]
        x = torch.cat([conv(x, f"{n}.branch1x1"), *ends, conv(pool(x), f"{n}.branch_pool")], 1)
    return x.mean((2, 3))


def test_inception_is_that_of_fids(tmp_path: Path) -> None:
    """The same features as an implementation by its description; 24 M weights; other weights are refused."""
    network = Inception().eval().requires_grad_(False)
    assert sum(p.numel() for p in network.parameters()) == 23_834_568 + 8 * 2049  # as torchvision's, eight classes more
    tensors = lively(network.state_dict())
    save_file({**tensors, "AuxLogits.fc.bias": torch.zeros(3)}, tmp_path / "inception.safetensors")
    found = make_features("inception", [f"weights={tmp_path / 'inception.safetensors'}"])
    assert isinstance(found, Classifier)
    with torch.no_grad():
        answer, expected = found(VALUES[:1]), inception_features(tensors, VALUES[:1])
    assert expected.std() > 0.01
    assert torch.allclose(answer, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))
    assert found.logits(answer).shape == (1, 1008)


def keras_arrays(rng: np.random.Generator) -> dict[str, Any]:
    """MobileNet-v1, an eighth as wide as the paper's."""
    widths = [4, 8, 16, 16, 32, 32, 64, 64, 64, 64, 64, 64, 128, 128]
    arrays: dict[str, Any] = {"conv1/kernel": rng.normal(size=(3, 3, 3, widths[0])) * 0.3}
    for i in range(1, 14):
        arrays[f"conv_dw_{i}/depthwise_kernel"] = rng.normal(size=(3, 3, widths[i - 1], 1)) * 0.5
        arrays[f"conv_pw_{i}/kernel"] = rng.normal(size=(1, 1, widths[i - 1], widths[i])) * (2 / widths[i - 1]) ** 0.5
    for name in list(arrays):
        layer = name.partition("/")[0]
        wide = arrays[name].shape[2 if "_dw_" in name else 3]
        for part, low in (("gamma", 0.9), ("beta", 0.1), ("moving_mean", 0), ("moving_variance", 0.7)):
            arrays[f"{layer}_bn/{part}"] = low + 0.2 * rng.random(wide)
    arrays |= {"conv_preds/kernel": rng.normal(size=(1, 1, 128, 5)), "conv_preds/bias": rng.normal(size=5)}
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def mobile_logits(w: dict[str, Any], values: Tensor) -> Tensor:
    """Layer by layer, unfolded, padded as TensorFlow pads ("SAME")."""

    def layer(x: Tensor, name: str, kernel: Tensor, stride: int, groups: int) -> Tensor:
        reach = kernel.shape[2] - stride if stride == 2 else kernel.shape[2] - 1
        y = F.conv2d(F.pad(x, (reach // 2, reach - reach // 2) * 2), kernel, stride=stride, groups=groups)
        gamma, beta, mean, var = (
            torch.from_numpy(w[f"{name}_bn/{k}"]) for k in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        return F.batch_norm(y, mean, var, gamma, beta, eps=1e-3).clamp(0, 6)

    x = F.interpolate(values, (224, 224), mode="bilinear", antialias=True)
    x = layer(x, "conv1", torch.from_numpy(w["conv1/kernel"]).permute(3, 2, 0, 1), 2, 1)
    for i in range(1, 14):
        kernel = torch.from_numpy(w[f"conv_dw_{i}/depthwise_kernel"]).permute(2, 3, 0, 1)
        x = layer(x, f"conv_dw_{i}", kernel, 2 if i in (2, 4, 6, 12) else 1, x.shape[1])
        x = layer(x, f"conv_pw_{i}", torch.from_numpy(w[f"conv_pw_{i}/kernel"]).permute(3, 2, 0, 1), 1, 1)
    return x.mean((2, 3)) @ torch.from_numpy(w["conv_preds/kernel"])[0, 0] + torch.from_numpy(w["conv_preds/bias"])


def test_mobilenet_reads_keras_arrays(tmp_path: Path) -> None:
    """Folded layers answer as unfolded ones do; a missing array is named."""
    arrays = keras_arrays(np.random.default_rng(0))
    np.savez(tmp_path / "mobile.npz", **arrays)
    found = make_features("mobilenet", [f"weights={tmp_path / 'mobile.npz'}"])
    assert isinstance(found, Classifier)
    expected = mobile_logits(arrays, VALUES)
    assert expected.std() > 0.1
    assert torch.allclose(found.logits(found(VALUES)), expected, rtol=1e-3, atol=1e-3)
    assert [tuple(stage.shape[1:]) for stage in found.stages(VALUES[:1])][-1] == (128, 7, 7)
    del arrays["conv_pw_3/kernel"]
    np.savez(tmp_path / "less.npz", **arrays)
    with pytest.raises(DataError, match="'conv_pw_3/kernel', found none"):
        make_features("mobilenet", [f"weights={tmp_path / 'less.npz'}"])


@pytest.mark.parametrize("cls", [AlexNet, SqueezeNet, VGG16], ids=lambda cls: cls.name)
def test_lpips_is_its_formula(cls: Callable[[], AlexNet], tmp_path: Path) -> None:
    """0 for equal pictures, else the weighted sum over stages; heads of another network are refused."""
    network = cls()
    weights = tmp_path / "w.safetensors"
    save_file(lively(network.state_dict()), weights)
    heads = {f"lin{i}.model.1.weight": torch.rand(1, c, 1, 1) for i, c in enumerate(network.widths)}
    save_file(heads, tmp_path / "heads.safetensors")
    found = make_features(network.name, [f"weights={weights}", f"heads={tmp_path / 'heads.safetensors'}"])
    x, y = VALUES[:1], VALUES[1:]
    with torch.no_grad():
        assert perceptual_distance(found, x, x).tolist() == [0]
        expected = 0.0
        for a, b, head in zip(found.stages(x), found.stages(y), heads.values(), strict=True):
            apart = (F.normalize(a, dim=1) - F.normalize(b, dim=1)) ** 2
            expected += float(F.conv2d(apart, head).mean())
        assert float(perceptual_distance(found, x, y)) == pytest.approx(expected, rel=1e-4)
    save_file({**heads, "lin0.model.1.weight": torch.rand(1, 7, 1, 1)}, tmp_path / "other.safetensors")
    with pytest.raises(DataError, match=rf"expected heads of '{network.name}' with 64, .* channels, found 7, "):
        make_features(network.name, [f"weights={weights}", f"heads={tmp_path / 'other.safetensors'}"])


def test_a_perceptual_distance_can_be_descended(tmp_path: Path) -> None:
    """It has gradients with respect to the pictures."""
    save_file(lively(AlexNet().state_dict()), tmp_path / "w.safetensors")
    network = make_features("alexnet", [f"weights={tmp_path / 'w.safetensors'}"])
    x = VALUES[:1].clone().requires_grad_()
    perceptual_distance(network, x, VALUES[1:]).sum().backward()
    assert x.grad is not None
    assert x.grad.abs().max() > 0


def test_alexnet_keeps_every_law_of_features(tmp_path: Path) -> None:
    """Of pictures that are smaller than its kernels reach, too."""
    save_file(lively(AlexNet().state_dict()), tmp_path / "w.safetensors")
    cases = cases_of("alexnet", kind="feature", options={"weights": str(tmp_path / "w.safetensors")})
    assert [case.result().state for case in cases] == ["passed"]
