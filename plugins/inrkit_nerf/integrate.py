"""Where nerfacc is called to sum up: densities and colours along rays to the colours that arrive.

nerfacc's packed functions need its CUDA kernels, which are compiled by nvcc when they are first used; its batched ones
are plain torch and work everywhere. Which to call is tried once.
"""

import contextlib
import functools
import io
import shutil
import sys
from collections.abc import Sequence

import torch
from torch import Tensor


def integrate(
    starts: Tensor, ends: Tensor, density: Tensor, colours: Tensor, background: Tensor, active: Tensor | None = None
) -> Tensor:
    """C = Σ w_i c_i + (1 - Σ w_i) background, with w_i = T_i (1 - exp(-σ_i δ_i)): (B, R, 3).

    Args:
        starts, ends: Of intervals, (B or 1, R, S).
        density: (B, R, S).
        colours: (B, R, S, 3).
        background: (B or 1, 3).
        active: Which intervals are not empty, (B, R, S); None for all.
    """
    shape = density.shape
    starts, ends = (x.to(density).expand(shape).flatten(0, 1) for x in (starts, ends))
    density, colours = density.flatten(0, 1), colours.flatten(0, 1)
    if active is not None:
        active = active.flatten(0, 1)
    if active is not None and density.is_cuda and packed_works(density.device):
        weighed, opacity = _packed(starts, ends, density, colours, active)
    else:
        weighed, opacity = _batched(starts, ends, density, colours, active)
    return _before(background, weighed, opacity, shape[:2])


def integrate_packed(parts: Sequence[Tensor], background: Tensor, ray: Tensor, rays: torch.Size) -> Tensor:
    """`integrate` of ``parts``, starts, ends, densities (P,) and colours (P, 3), that lie end to end.

    ``ray`` (P,) tells whose each is among rays of the shape (B, R).
    """
    return _before(background, *_along(parts, ray, rays.numel()), rays)


def arriving(starts: Tensor, ends: Tensor, density: Tensor, ray: Tensor, rays: int) -> Tensor:
    """The share of light (P,) that is left where each of such intervals begins."""
    import nerfacc

    light: Tensor
    light, _ = nerfacc.render_transmittance_from_density(starts, ends, density, ray_indices=ray, n_rays=rays)
    return light


def _before(background: Tensor, weighed: Tensor, opacity: Tensor, rays: torch.Size) -> Tensor:
    arrived, opacity = torch.unflatten(weighed, 0, rays), torch.unflatten(opacity, 0, rays)
    return arrived + (1 - opacity) * background.to(arrived)[:, None]


@functools.cache
def packed_works(device: torch.device) -> bool:
    """Whether nerfacc's kernels compute on this device. Where there is nvcc they are compiled now, which takes minutes.

    Whatever nerfacc prints goes to standard error, or nowhere when there is nothing to wait for.
    """
    one = torch.ones(1, 1, device=device)
    heard = sys.stderr if shutil.which("nvcc") else io.StringIO()
    try:
        with contextlib.redirect_stdout(heard):
            _packed(one - 1, one, one, one[..., None], one > 0)
    except Exception:  # no compiler, one that fails, kernels for another device: there is another way for all of them
        return False
    return True


def _batched(
    starts: Tensor, ends: Tensor, density: Tensor, colours: Tensor, active: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Σ w c (N, 3) and Σ w (N, 1); an interval that is not active has length 0."""
    import nerfacc

    if active is not None:
        ends = torch.where(active, ends, starts)
    weights, _, _ = nerfacc.render_weight_from_density(starts, ends, density)
    return nerfacc.accumulate_along_rays(weights, colours), nerfacc.accumulate_along_rays(weights, None)


def _packed(starts: Tensor, ends: Tensor, density: Tensor, colours: Tensor, active: Tensor) -> tuple[Tensor, Tensor]:
    """The same from the active intervals alone, laid end to end."""
    parts = [part[active] for part in (starts, ends, density, colours)]
    return _along(parts, active.nonzero()[:, 0], len(active))


def _along(parts: Sequence[Tensor], ray: Tensor, rays: int) -> tuple[Tensor, Tensor]:
    import nerfacc

    starts, ends, density, colours = parts
    weights, _, _ = nerfacc.render_weight_from_density(starts, ends, density, ray_indices=ray, n_rays=rays)
    weighed = nerfacc.accumulate_along_rays(weights, colours, ray_indices=ray, n_rays=rays)
    return weighed, nerfacc.accumulate_along_rays(weights, None, ray_indices=ray, n_rays=rays)
