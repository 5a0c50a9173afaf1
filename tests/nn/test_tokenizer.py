"""Patches of any number of axes."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from inrkit import (
    Grid,
    GridObservation,
    PatchTokenizer,
    Tokenizer,
    UsageError,
    patchify,
    position_embedding,
    unpatchify,
)


def patches_by_loops(values: Tensor, patch: tuple[int, ...]) -> Tensor:
    """Cut out every patch, one after the other."""
    size = values.shape[2:]
    corners = itertools.product(*[range(0, n, p) for n, p in zip(size, patch, strict=True)])
    cut = [
        values[(slice(None), slice(None), *[slice(i, i + p) for i, p in zip(corner, patch, strict=True)])].flatten(1)
        for corner in corners
    ]
    return torch.stack(cut, 1)


@pytest.mark.parametrize(
    ("size", "patch"),
    [
        ((8,), (2,)),
        ((12,), (12,)),
        ((6, 4), (3, 2)),
        ((4, 4), (1, 1)),
        ((4, 6, 2), (2, 3, 1)),
        ((2, 2, 2, 4), (1, 2, 2, 2)),
    ],
)
def test_patchify_cuts_patches(size: tuple[int, ...], patch: tuple[int, ...]) -> None:
    """Law: patch k holds the values, channels first, of the k-th patch in row-major order."""
    values = torch.randn(2, 3, *size)
    found = patchify(values, patch)
    assert found.shape == (2, math.prod(size) // math.prod(patch), 3 * math.prod(patch))
    assert torch.equal(found, patches_by_loops(values, patch))


@pytest.mark.parametrize("size", [(8,), (8, 4), (4, 4, 8)])
def test_tokens_are_embedded_patches_plus_positions(size: tuple[int, ...]) -> None:
    """One token per patch: a linear map of its values and the learned position."""
    tokenizer = PatchTokenizer(size, 2, 4, 12)
    values = torch.randn(3, 2, *size)
    tokens = tokenizer(GridObservation(values, Grid(size)))
    expected = tokenizer.embed(patches_by_loops(values, (4,) * len(size))) + tokenizer.position
    assert tokens.shape == (3, math.prod(size) // 4 ** len(size), 12)
    assert torch.allclose(tokens, expected, atol=1e-6)


def test_localized_positions_start_as_embeddings() -> None:
    """Localized tokenizers start with sines of where patches lie, others by chance; both are learned."""
    grid = (4, 2)
    localized, other = (PatchTokenizer((16, 8), 3, 4, 16, localized=flag) for flag in (True, False))
    assert localized.grid == grid
    assert torch.equal(localized.position.detach(), position_embedding(grid, 16))
    assert 0.01 < float(other.position.detach().std()) < 0.03
    assert localized.position.requires_grad


@pytest.mark.parametrize("shape", [(2, 3, 8, 8), (2, 1, 8, 4), (2, 3, 32), (2, 3, 4, 8)])
def test_wrong_shapes_are_refused(shape: tuple[int, ...]) -> None:
    """Law: values of another number of channels or another size are refused with what is needed."""
    tokenizer = PatchTokenizer((8, 4), 3, 4, 12)
    with pytest.raises(UsageError, match=r"needs values of shape \(3, 8, 4\), got"):
        tokenizer(GridObservation(torch.zeros(shape), Grid(shape[2:])))


def test_patch_must_divide_the_size() -> None:
    """A patch that does not divide the size is refused when the tokenizer is made."""
    with pytest.raises(UsageError, match=r"'patch' must divide the support's size \(got 5 and 8x10\)"):
        PatchTokenizer((8, 10), 3, 5, 12)


def test_rows_are_independent() -> None:
    """Law: a batch of two equals two batches of one."""
    tokenizer, values = PatchTokenizer((8,), 1, 2, 6), torch.randn(2, 1, 8)
    both = tokenizer(GridObservation(values, Grid((8,))))
    for i in range(2):
        one = tokenizer(GridObservation(values[i : i + 1], Grid((8,))))
        assert torch.allclose(one, both[i : i + 1], atol=1e-6)


def test_tokenizer_is_abstract() -> None:
    """The interface alone reads nothing."""
    with pytest.raises(TypeError, match="abstract"):
        Tokenizer()


@pytest.mark.parametrize("size", [(12,), (8, 4), (4, 8, 4)])
def test_unpatchify_is_the_inverse_of_patchify(size: tuple[int, ...]) -> None:
    """Law: values cut into patches and put together are the same values."""
    values = torch.randn(2, 3, *size)
    patch = (4,) * len(size)
    grid = tuple(n // 4 for n in size)
    assert torch.equal(unpatchify(patchify(values, patch), grid, patch), values)
