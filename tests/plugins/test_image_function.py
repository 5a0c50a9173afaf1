"""ANR: places attend to the tokens of an image; and the size of the papers' model."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from inrkit import Grid, HyperTransformer, PatchTokenizer, SampleGrid, UsageError, grid_centers, make_heads
from inrkit_image.function import ANR, ANROptions
from inrkit_image.options import PRESETS


def small(axes: int = 2, **options: Any) -> ANR:
    grid = options.pop("grid", (4,) * axes)
    width = options.pop("width", 24)
    how = ANROptions(patch=1, width=width, inner=16, heads=2, depth=3, max_frequency=8.0, **options)
    return ANR(axes, 3, grid, how)


def tokens_of(function: ANR, rows: int = 2) -> dict[str, Tensor]:
    return {"tokens": torch.randn(rows, *function.param_shapes["tokens"])}


def attention_of(function: ANR, params: dict[str, Tensor], coords: Tensor) -> Tensor:
    """How much each place attends to each token, (B, heads, P, n), by hand."""
    q, k = function.q(function.features(coords)), function.k(params["tokens"])
    width = q.shape[-1] // function.heads
    parts = [slice(h * width, (h + 1) * width) for h in range(function.heads)]
    logits = torch.stack([q[..., part] @ k[..., part].transpose(1, 2) / math.sqrt(width) for part in parts], 1)
    weights = logits.softmax(-1)
    if function.threshold:
        weights = (weights - function.threshold).clamp_min(0)
        weights = weights / weights.sum(-1, keepdim=True)
    return weights


@pytest.mark.parametrize("threshold", [0.0, 0.0015, 0.02])
def test_function_by_hand(threshold: float) -> None:
    """Attention above the threshold, renormalised; no residual, no norm; then the shared MLP."""
    function = small(threshold=threshold)
    params, coords = tokens_of(function), grid_centers((6, 6))[None]
    weights = attention_of(function, params, coords)
    assert torch.allclose(weights.sum(-1), torch.ones(()))
    v = function.v(params["tokens"]).unflatten(-1, (2, -1)).transpose(1, 2)
    x = function.out((weights @ v).transpose(1, 2).flatten(2))
    for layer in [m for m in function.mlp if isinstance(m, nn.Linear)][:-1]:
        x = layer(x).relu()
    assert torch.allclose(function(params, coords), function.mlp[-1](x), atol=1e-4)


def test_threshold_cuts_off_the_weak() -> None:
    """Law: a token that gets less attention than the threshold does not change the answer; without one it does."""
    cut, soft = small(threshold=0.2), small()
    soft.load_state_dict(cut.state_dict())
    params, coords = tokens_of(cut, 1), torch.tensor([[[0.1, -0.3]]])
    full = attention_of(soft, params, coords)
    weak = int(full.amax((0, 1, 2)).argmin())
    assert full[..., weak].max() < 0.2
    other = {"tokens": params["tokens"].clone()}
    other["tokens"][:, weak] *= 1.01
    assert not torch.equal(soft(other, coords), soft(params, coords))
    kept = attention_of(cut, params, coords)
    assert kept[..., weak].sum() == 0
    assert torch.allclose(kept.sum(-1), torch.ones(()))


def test_all_below_threshold_is_finite() -> None:
    """Where no token reaches the threshold the answer is finite, and so is its gradient."""
    function = small(threshold=0.9)
    params = {"tokens": torch.zeros(2, 16, 24, requires_grad=True)}
    values = function(params, grid_centers((5, 5))[None])
    assert torch.isfinite(values).all()
    values.sum().backward()
    assert params["tokens"].grad is not None
    assert torch.isfinite(params["tokens"].grad).all()


def test_small_threshold_tends_to_none() -> None:
    """Law: as the threshold goes to zero the answer becomes that of fused attention."""
    fused, cut = small(), small(threshold=1e-9)
    cut.load_state_dict(fused.state_dict())
    params, coords = tokens_of(fused), grid_centers((6, 6))[None]
    assert torch.allclose(fused(params, coords), cut(params, coords), atol=1e-4)


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("threshold", [0.0, 0.01])
def test_any_number_of_axes(axes: int, threshold: float) -> None:
    """Outputs (B, P, channels) for coordinates of one, two or three axes, for sound, images or volumes."""
    function = small(axes, threshold=threshold)
    params = tokens_of(function)
    assert function.param_shapes == {"tokens": (4**axes, 24)}
    assert function.bind(params)(torch.rand(1, 7, axes) * 2 - 1).shape == (2, 7, 3)


@pytest.mark.parametrize("threshold", [0.0, 0.01])
def test_shared_coordinates_equal_repeated_ones(threshold: float) -> None:
    """Law: coordinates (1, P, axes) mean the same places for every row."""
    function, coords = small(threshold=threshold), torch.rand(1, 9, 2) * 2 - 1
    params = tokens_of(function, 3)
    assert torch.allclose(function(params, coords), function(params, coords.expand(3, -1, -1)), atol=1e-5)


@pytest.mark.parametrize("threshold", [0.0, 0.01])
def test_rows_and_places_are_independent(threshold: float) -> None:
    """Law: a batch of two equals two batches of one, and places in parts equal all of them."""
    function, coords = small(threshold=threshold), torch.rand(2, 9, 2) * 2 - 1
    params = tokens_of(function)
    both = function(params, coords)
    for i in range(2):
        row = slice(i, i + 1)
        assert torch.allclose(function({"tokens": params["tokens"][row]}, coords[row]), both[row], atol=1e-5)
    parts = [function(params, coords[:, a:b]) for a, b in ((0, 4), (4, 9))]
    assert torch.allclose(torch.cat(parts, 1), both, atol=1e-5)


def test_any_size_by_chunks() -> None:
    """An image is rendered at any size, by chunks as well as at once."""
    function = small()
    field = function.bind(tokens_of(function))
    with torch.no_grad():
        for size in ((4, 4), (9, 17)):
            whole, chunked = SampleGrid()(field, Grid(size)), SampleGrid(10)(field, Grid(size))
            assert whole.shape == (2, 3, *size)
            assert torch.allclose(chunked, whole, atol=1e-5)


def test_heads_divide_the_attention() -> None:
    """Said when the function is built, by the names of the options."""
    with pytest.raises(UsageError, match="'inner' must be a multiple of 'heads' \\(got 16 and 6\\)"):
        ANR.build(ANROptions(inner=16, heads=6), axes=2, channels=3, size=(16, 16))


def test_wrong_tokens_are_refused() -> None:
    """Tokens of another number or width cannot be bound."""
    with pytest.raises(UsageError, match="`ANR` needs params"):
        small().bind({"tokens": torch.zeros(2, 15, 24)})


@pytest.mark.parametrize(("axes", "grid"), [(1, (8,)), (2, (4, 4)), (2, (8, 8))])
def test_places_start_out_looking_at_the_nearest_token(axes: int, grid: tuple[int, ...]) -> None:
    """Localized: with tokens at their start, a token's own place attends to it most, in the mean over heads."""
    function = ANR(axes, 3, grid, ANROptions(patch=1, width=64, inner=64, heads=2, depth=3))
    params, coords = {"tokens": function.token_positions()[None]}, grid_centers(grid)[None]
    weights = attention_of(function, params, coords).mean(1)[0].detach()
    assert torch.equal(weights.argmax(-1), torch.arange(len(weights)))
    distance = torch.cdist(coords[0], coords[0])
    assert float((weights * distance).sum(-1).mean()) < 0.6 * float(distance.mean())


def test_not_localized_starts_by_chance() -> None:
    """Without localisation queries and keys start apart."""
    function = small()
    assert torch.equal(function.q.weight, function.k.weight)
    other = small(localized=False)
    assert not torch.equal(other.q.weight, other.k.weight)


@pytest.mark.parametrize(("width", "inner", "heads"), [(64, 64, 2), (512, 384, 6), (32, 64, 4), (256, 128, 4)])
def test_first_logits_are_about_eight(width: int, inner: int, heads: int) -> None:
    """Whatever the sizes, a place's logit for the token right there starts at about 8 in the mean."""
    function = ANR(2, 3, (8, 8), ANROptions(patch=1, width=width, inner=inner, heads=heads))
    q = function.q(function.token_positions())
    logits = q.unflatten(-1, (heads, -1)).square().sum(-1) / math.sqrt(inner / heads)
    assert float(logits.mean().detach()) == pytest.approx(8, rel=0.25)


def test_gradients_reach_tokens_and_weights() -> None:
    """Law: a loss on the field trains the tokens and every shared weight."""
    function = small()
    params = {"tokens": torch.randn(2, 16, 24, requires_grad=True)}
    function(params, grid_centers((6, 6))[None]).square().sum().backward()
    assert params["tokens"].grad is not None
    assert params["tokens"].grad.abs().sum() > 0
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in function.parameters())


def test_field_is_smooth_at_the_start() -> None:
    """The band limit keeps neighbouring places alike: no jump between pixels when rendered finer."""
    function = small()
    field = function.bind({"tokens": function.token_positions()[None]})
    with torch.no_grad():
        fine = SampleGrid()(field, Grid((64, 64)))
    assert float(fine.diff(dim=3).abs().max()) < 0.5 * float(fine.max() - fine.min())


# ------------------------------------------------------------------------------------------------- the papers' model


def paper_model(channels: int = 3) -> tuple[HyperTransformer, ANR]:
    """The preset celeba-64 without memory for its weights."""
    o: dict[str, Any] = dict(PRESETS["celeba-64"]["options"])
    size = tuple(o["size"])
    inr = {name: o[f"inr_{name}"] for name in ("width", "inner", "heads", "depth")}
    with torch.device("meta"):
        function = ANR(2, channels, size, ANROptions(patch=o["token_patch"], max_frequency=32.0, **inr))
        denoiser = HyperTransformer(
            PatchTokenizer(size, channels, o["patch"], o["width"]),
            make_heads(function.param_shapes, "tokens", o["width"]),
            dim=o["width"],
            depth=o["depth"],
            decoder_depth=o["decoder_depth"],
            attention_heads=o["heads"],
            hidden=o["hidden"],
            token_grid=function.grid,
        )
    return denoiser, function


def count(*modules: nn.Module | nn.Parameter) -> int:
    return sum(m.numel() if isinstance(m, nn.Parameter) else sum(p.numel() for p in m.parameters()) for m in modules)


@pytest.fixture(scope="module")
def paper() -> tuple[HyperTransformer, ANR]:
    return paper_model()


def parts_of(denoiser: HyperTransformer, function: ANR) -> dict[str, int]:
    return {
        "encoder": count(denoiser.encoder),
        "decoder": count(denoiser.decoder),
        "time": count(denoiser.condition),
        "patches": count(denoiser.tokenizer, denoiser.tokens),
        "read-out": count(denoiser.heads),
        "function": count(function),
    }


@pytest.mark.parametrize(
    ("part", "millions"),
    [
        ("encoder", 85.03),
        ("decoder", 56.68),
        ("time", 0.79),
        ("patches", 0.43),
        ("read-out", 0.66),
        ("function", 1.84),
    ],
)
def test_parameters_of_each_part(paper: tuple[HyperTransformer, ANR], part: str, millions: float) -> None:
    """INRCT's image model for 64 x 64, part by part, in millions of parameters."""
    assert round(parts_of(*paper)[part] / 1e6, 2) == millions


def test_parameters_in_all(paper: tuple[HyperTransformer, ANR]) -> None:
    """145.43 million, as the paper's 145 million; the parts are all there is."""
    assert round(count(*paper) / 1e6, 2) == 145.43
    assert sum(parts_of(*paper).values()) == count(*paper)


def test_parameters_without_decoder_self_attention(paper: tuple[HyperTransformer, ANR]) -> None:
    """Without self-attention in the decoder it would be 131.3 million: the paper's decoder has it."""
    denoiser, function = paper
    saved = sum(count(block.self_attn, block.norm1) for block in denoiser.decoder)
    assert round((count(denoiser, function) - saved) / 1e6, 1) == 131.3


def test_paper_tokens(paper: tuple[HyperTransformer, ANR]) -> None:
    """256 patches, 256 INR tokens of width 512, six heads of 64, four hidden layers."""
    denoiser, function = paper
    assert denoiser.tokens.shape == (256, 768)
    assert function.param_shapes == {"tokens": (256, 512)}
    assert function.q.out_features // function.heads == 64
    assert len([m for m in function.mlp if isinstance(m, nn.Linear)]) == 5
    assert function.features.frequencies.shape == (128,)


def test_near_tokens_are_told_apart_in_mixed_precision() -> None:
    """What a place sees changes with the tokens as in fp32; its attention in bf16 would change by chance instead."""
    function = small()
    tokens = tokens_of(function)
    moved = {"tokens": tokens["tokens"] + torch.randn_like(tokens["tokens"]) / 256}
    coords = grid_centers((6, 6))[None]
    with torch.no_grad():
        exact = function(moved, coords) - function(tokens, coords)
        with torch.autocast("cpu", torch.bfloat16):
            found = function(moved, coords) - function(tokens, coords)
    assert (found - exact).norm() < exact.norm()  # 1.1 to 1.7 times it, were all of it in bf16
