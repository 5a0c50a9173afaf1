"""From tokens to params: weight tokens of ANR, weight columns of TransINR."""

import math

import pytest
import torch

from inrkit import ColumnHead, GridHead, TokenHead, UsageError, WeightHead, make_heads

NVS = {"0": (121, 256), **{str(i): (257, 256) for i in range(1, 5)}, "5": (257, 4)}
"""TransINR's NeRF: 40 frequencies' features of 3 coordinates, five hidden layers, colour and density."""


def test_nvs_needs_164_weight_tokens() -> None:
    """With 32 groups: 32 for each of five layers of width 256, 4 for the last."""
    heads = make_heads(NVS, "columns", 16, groups=32)
    assert [head.count for head in heads.values()] == [32, 32, 32, 32, 32, 4]
    assert sum(head.count for head in heads.values()) == 164


@pytest.mark.parametrize(("fan_out", "groups", "count"), [(256, 64, 64), (4, 64, 4), (6, 3, 3), (6, 6, 6), (1, 9, 1)])
def test_number_of_groups(fan_out: int, groups: int, count: int) -> None:
    """g = min(groups, fan_out)."""
    assert ColumnHead((5, fan_out), 8, groups=groups).count == count


def test_columns_share_groups_in_turn() -> None:
    """Law: column j is normalize(base_j * x_(j mod g)) times sqrt(2); the last row is the bias, the base's own."""
    head = ColumnHead((6, 12), 8, groups=4)
    torch.nn.init.normal_(head.bias)
    tokens = torch.randn(3, 4, 8)
    x = head.linear(head.norm(tokens))  # (3, 4, 5)
    weights = head(tokens)
    assert weights.shape == (3, 6, 12)
    for j in range(12):
        column = head.base[:, j] * x[:, j % 4]
        expected = math.sqrt(2) * column / column.norm(dim=1, keepdim=True)
        assert torch.allclose(weights[:, :-1, j], expected, atol=1e-6)
        assert torch.equal(weights[:, -1, j], head.bias[0, j].expand(3))


def test_columns_have_the_norm_sqrt_2() -> None:
    """Law: every column has the norm sqrt(2), whatever the tokens, so that ReLU keeps the scale of activations."""
    weights = ColumnHead((33, 16), 8, groups=8)(100 * torch.randn(4, 8, 8))
    assert torch.allclose(weights[:, :-1].norm(dim=1), torch.full((4, 16), math.sqrt(2)), atol=1e-5)


def test_scale_of_activations_is_kept() -> None:
    """Five ReLU layers of such columns leave the mean square of activations as it was, within a factor."""
    head = ColumnHead((129, 128), 8, groups=32)
    x = torch.randn(1000, 128)
    start = float(x.square().mean())
    for _ in range(5):
        weights = head(torch.randn(1, 32, 8))[0]
        x = (x @ weights[:-1] + weights[-1]).relu()
    assert 0.3 < float(x.square().mean().detach()) / start < 3


def test_groups_must_divide_the_width() -> None:
    """Groups that do not divide the function's width are refused."""
    with pytest.raises(UsageError, match="'groups' must divide"):
        ColumnHead((5, 6), 8, groups=4)


def test_token_head_by_hand() -> None:
    """w * Linear(LN(token)) + b; w starts at one, b at random."""
    head = TokenHead((7, 4), 8)
    tokens = torch.randn(2, 7, 8)
    normal = (tokens - tokens.mean(-1, keepdim=True)) / (tokens.var(-1, keepdim=True, correction=0) + 1e-5).sqrt()
    expected = head.linear(normal) + head.offset
    assert head.count == 7
    assert torch.allclose(head(tokens), expected, atol=1e-5)
    assert torch.equal(head.scale.detach(), torch.ones(7, 4))
    assert float(head.offset.detach().std()) > 0.5


def test_start_of_token_heads() -> None:
    """Given a start, tokens start from it; each head owns its copy, so that training one leaves the others."""
    start = torch.randn(7, 4)
    first, second = make_heads({"a": (7, 4), "b": (7, 4)}, "tokens", 8, start=start).values()
    assert isinstance(first, TokenHead)
    assert isinstance(second, TokenHead)
    assert torch.equal(first.offset.detach(), start)
    with torch.no_grad():
        first.offset.zero_()
    assert torch.equal(second.offset.detach(), start)
    assert start.abs().sum() > 0


@pytest.mark.parametrize("head", [TokenHead((6, 4), 8), ColumnHead((5, 6), 8)], ids=lambda h: type(h).__name__)
def test_rows_are_independent(head: WeightHead) -> None:
    """Law: a batch of two equals two batches of one."""
    tokens = torch.randn(2, head.count, 8)
    both = head(tokens)
    assert all(torch.allclose(head(tokens[i : i + 1]), both[i : i + 1], atol=1e-6) for i in range(2))


def test_unknown_kind_is_refused() -> None:
    """A head of unknown name is answered with the names there are."""
    with pytest.raises(UsageError, match="no weight head named 'rows'; there are tokens, columns"):
        make_heads({"a": (2, 2)}, "rows", 8)


def test_head_is_abstract() -> None:
    """The interface alone reads nothing."""
    with pytest.raises(TypeError, match="abstract"):
        WeightHead()


def test_grid_head_writes_a_grid() -> None:
    """Law: one token a patch: a change of one token changes the values of its patch alone."""
    head = GridHead((3, 8, 16), 12, patch=4)
    tokens = torch.randn(2, head.count, 12)
    values = head(tokens)
    assert values.shape == (2, 3, 8, 16)
    other = tokens.clone()
    other[:, 5] += torch.randn(12)  # the second row of patches, the second patch
    changed = (head(other) != values).any(0).any(0)
    assert changed[4:8, 4:8].all()
    assert not changed[:4].any()
    assert not changed[:, 8:].any()


def test_grid_head_chooses_patches() -> None:
    """Without a patch: at least 8 patches along the longest axis; one that does not divide the grid is refused."""
    assert GridHead((1, 32, 32), 8).patch == 4
    assert GridHead((1, 7), 8).patch == 1
    with pytest.raises(UsageError, match="'patch' must divide the grid's size"):
        GridHead((1, 8, 6), 8, patch=4)
