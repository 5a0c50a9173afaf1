"""From the host to a device without waiting for what the device still has to do."""

import torch
from torch import Tensor


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on that device. Of a CUDA or XPU device nobody waits: the copy is made from pinned memory."""
    if device.type not in ("cuda", "xpu") or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
