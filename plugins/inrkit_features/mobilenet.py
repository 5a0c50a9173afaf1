"""MobileNet-v1 of any width (Howard et al., arXiv:1704.04861), weights from a local file.

Names, and the padding of strided layers, are those of Keras (``conv1/kernel``, ``conv_dw_1/depthwise_kernel``,
``conv_pw_1_bn/gamma``, ...); the number of channels and classes is the file's.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inrkit import Classifier, DataError
from inrkit_features.weights import WeightsOptions, read

_SIZE = (224, 224)
_BLOCKS = 13
_HALVING = (2, 4, 6, 12)  # blocks; the first layer halves, too
_EPS = 1e-3


@final
class MobileNet(Classifier):
    """Features are the averaged channels before the last layer, of images resized to 224 x 224."""

    name = "mobilenet"
    Options = WeightsOptions

    def __init__(self, layers: Sequence[nn.Conv2d], last: nn.Linear) -> None:
        super().__init__()
        self.layers, self.fc = nn.ModuleList(layers), last

    @classmethod
    def build(cls, options: WeightsOptions) -> Self:
        path, tensors = read(options, cls.name)
        names = ["conv1", *(f"conv_{part}_{i}" for i in range(1, _BLOCKS + 1) for part in ("dw", "pw"))]
        try:
            layers = [_layer(tensors, name) for name in names]
            weight, bias = tensors["conv_preds/kernel"][0, 0].T, tensors["conv_preds/bias"]
            last = nn.Linear(weight.shape[1], len(weight))
            last.load_state_dict({"weight": weight.contiguous(), "bias": bias})
            network = cls(layers, last).eval().requires_grad_(False)
            network(torch.zeros(1, 3, *_SIZE))
        except KeyError as error:
            raise DataError(
                f"{path}: expected weights of '{cls.name}' with {error}, found none of that name"
            ) from error
        except (RuntimeError, IndexError) as error:
            reason = " ".join(str(error).split())[:120]
            raise DataError(f"{path}: expected weights of '{cls.name}', found shapes of another: {reason}") from error
        _check_known(tensors, names, path)
        return network

    @property
    def dim(self) -> int:
        return self.fc.in_features

    def stages(self, values: Tensor) -> Sequence[Tensor]:
        """After the layers before each halving, and the last."""
        x, found = F.interpolate(values, _SIZE, mode="bilinear", antialias=True, align_corners=False), []
        for layer in self.layers:
            if isinstance(layer, nn.Conv2d) and layer.stride[0] == 2:
                found.append(x)
                x = F.pad(x, (0, 1, 0, 1))
            x = F.relu6(layer(x))
        return [*found[1:], x]

    def forward(self, values: Tensor) -> Tensor:
        return self.stages(values)[-1].mean((2, 3))

    def logits(self, features: Tensor) -> Tensor:
        scores: Tensor = self.fc(features)
        return scores


def _layer(tensors: Mapping[str, Tensor], name: str) -> nn.Conv2d:
    """A convolution with the normalisation that follows it folded in."""
    apart = "_dw_" in name
    kernel = tensors[f"{name}/depthwise_kernel"] if apart else tensors[f"{name}/kernel"]
    weight = kernel.permute(2, 3, 0, 1) if apart else kernel.permute(3, 2, 0, 1)
    gamma, beta, mean, var = (tensors[f"{name}_bn/{x}"] for x in ("gamma", "beta", "moving_mean", "moving_variance"))
    scale = gamma / (var + _EPS).sqrt()
    halves = name == "conv1" or (apart and int(name.rpartition("_")[2]) in _HALVING)
    wide, size = weight.shape[0], weight.shape[2]
    narrow, groups = (wide, wide) if apart else (weight.shape[1], 1)
    layer = nn.Conv2d(narrow, wide, size, 1 + halves, padding=0 if halves else size // 2, groups=groups)
    layer.load_state_dict({"weight": weight * scale.view(-1, 1, 1, 1), "bias": beta - mean * scale})
    return layer


def _check_known(tensors: Mapping[str, Tensor], names: Sequence[str], path: Path) -> None:
    known = {*names, *(f"{name}_bn" for name in names), "conv_preds"}
    if odd := sorted(key for key in tensors if key.partition("/")[0] not in known):
        raise DataError(f"{path}: expected weights of 'mobilenet', found '{odd[0]}', which it does not have")
