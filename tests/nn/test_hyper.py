"""The hyper-network: params of the shapes that were declared, from observation, level and class."""

import math

import pytest
import torch
from torch import Tensor, nn

from inrkit import (
    ColumnHead,
    Grid,
    GridObservation,
    HyperTransformer,
    Level,
    PatchTokenizer,
    TokenHead,
    UsageError,
    WeightHead,
    grid_centers,
    make_heads,
    position_embedding,
)

SHAPES = {"tokens": (4, 6), "values": (3, 5), "layer.0.weight": (5, 8)}
TIMES = torch.tensor([-1.0, 0.3])
LEVEL = Level(TIMES)


def network(
    *,
    classes: int = 0,
    depth: int = 2,
    spread: bool = True,
    grid: tuple[int, ...] | None = None,
    decoder_depth: int = 2,
) -> HyperTransformer:
    """A small one; ``spread`` gives all weights random values, so that nothing starts at zero."""
    heads: dict[str, WeightHead] = {
        "tokens": TokenHead((4, 6), 16),
        "values": TokenHead((3, 5), 16),
        "layer.0.weight": ColumnHead((5, 8), 16, groups=4),
    }
    if grid is not None:
        heads = make_heads({"tokens": (4, 6)}, "tokens", 16)
    made = HyperTransformer(
        PatchTokenizer((8,), 1, 2, 16),
        heads,
        dim=16,
        depth=depth,
        decoder_depth=decoder_depth,
        attention_heads=2,
        hidden=32,
        classes=classes,
        token_grid=grid,
    )
    if spread:
        with torch.no_grad():
            for p in made.parameters():
                p.normal_(0, 0.2)
    return made


def observation(rows: int = 2) -> GridObservation:
    return GridObservation(torch.randn(rows, 1, 8), Grid((8,)))


def same(a: dict[str, Tensor], b: dict[str, Tensor], **tolerance: float) -> bool:
    return all(torch.allclose(a[name], b[name], **tolerance) for name in SHAPES)


def test_params_have_the_declared_names_and_shapes() -> None:
    """Law: every declared param comes out, whatever its name, in its shape, in single precision."""
    params = network()(observation(), LEVEL)
    assert {name: tuple(value.shape) for name, value in params.items()} == {n: (2, *s) for n, s in SHAPES.items()}
    with torch.autocast("cpu", torch.bfloat16):
        assert all(value.dtype == torch.float32 for value in network()(observation(), LEVEL).values())


@pytest.mark.parametrize("name", ["values", "keys", "items", "forward", "training", "a.b", "pop"])
def test_params_may_have_any_name(name: str) -> None:
    """Names that mean something to torch's containers are names like any other."""
    heads = {name: TokenHead((3, 5), 8)}
    made = HyperTransformer(
        PatchTokenizer((8,), 1, 2, 8), heads, dim=8, depth=1, decoder_depth=1, attention_heads=1, hidden=8
    )
    assert list(made(observation(), LEVEL)) == [name]
    assert any(key.startswith("heads.") for key in made.state_dict())


def test_each_head_reads_its_own_tokens() -> None:
    """Law: the decoder's tokens are dealt out in the order of the params."""
    made, x = network(), observation()
    tokens = made.tokens.expand(2, -1, -1)
    condition = made.condition(LEVEL, None)
    seen = made.tokenizer(x)
    for block in made.encoder:
        seen = block(seen, condition)
    for block in made.decoder:
        tokens = block(tokens, seen)
    params, start = made(x, LEVEL), 0
    for name, head in zip(SHAPES, made.heads.values(), strict=True):
        assert isinstance(head, WeightHead)
        assert torch.allclose(params[name], head(tokens[:, start : start + head.count]), atol=1e-6)
        start += head.count
    assert start == made.tokens.shape[0] == 4 + 3 + 4


def test_rows_are_independent() -> None:
    """Law: a batch of two equals two batches of one, with classes."""
    made, x, label = network(classes=3), observation(), torch.tensor([2, -1])
    both = made(x, LEVEL, label)
    for i in range(2):
        row = slice(i, i + 1)
        one = made(x.rows(row), Level(TIMES[row]), label[row])
        assert same(one, {name: value[row] for name, value in both.items()}, atol=1e-5)


def test_level_and_values_matter() -> None:
    """Law: other values and another noise level give other params; the same give the same."""
    made, x = network(), observation()
    params = made(x, LEVEL)
    assert same(made(x, LEVEL), params)
    assert not same(made(x, Level(TIMES + 0.1)), params)
    assert not same(made(observation(), LEVEL), params)


def test_class_changes_the_answer() -> None:
    """Law: every class, and none, gives other params."""
    made, x = network(classes=2), observation()
    answers = [made(x, LEVEL, torch.full((2,), label)) for label in (-1, 0, 1)]
    assert not same(answers[0], answers[1])
    assert not same(answers[1], answers[2])
    assert not same(answers[0], answers[2])


def test_missing_label_is_no_class() -> None:
    """Law: no label at all means the label -1."""
    made, x = network(classes=2), observation()
    assert same(made(x, LEVEL), made(x, LEVEL, torch.tensor([-1, -1])))


def test_model_without_classes_refuses_labels() -> None:
    """Without classes there is no embedding of them, and a label is a mistake."""
    made = network()
    assert made.condition.label is None
    with pytest.raises(UsageError, match="a label was given to a network that learned no classes"):
        made(observation(), LEVEL, torch.tensor([0, 1]))


@pytest.mark.parametrize("label", [[0, 3], [-2, 0], [99, -1]])
def test_unknown_label_is_refused(label: list[int]) -> None:
    """Labels beyond the classes are refused with those found."""
    with pytest.raises(UsageError, match=r"a label must be 0 to 2, or -1 for none \(got"):
        network(classes=3)(observation(), LEVEL, torch.tensor(label))


def test_encoder_starts_as_the_identity() -> None:
    """adaLN-Zero: at the start the number of encoder blocks, the level and the class change nothing."""
    made, x = network(classes=2, spread=False), observation()
    params = made(x, LEVEL, torch.tensor([0, 1]))
    assert same(made(x, Level(TIMES + 1), torch.tensor([1, -1])), params)
    made.encoder = nn.ModuleList()
    assert same(made(x, LEVEL), params)


def test_tokens_on_a_grid_start_localized() -> None:
    """With a grid, tokens start as embeddings of their places and cross-attention is tied; without, by chance."""
    localized, other = network(spread=False, grid=(4,)), network(spread=False)
    assert torch.equal(localized.tokens.detach(), position_embedding((4,), 16))
    assert 0.01 < float(other.tokens.detach().std()) < 0.03
    for made, tied in ((localized, True), (other, False)):
        cross = made.decoder[0].cross_attn
        assert torch.equal(cross.q.weight, cross.kv.weight[:16]) == tied


@pytest.mark.parametrize(("tokens", "patches"), [((16,), (8,)), ((8,), (16,)), ((16, 16), (8, 8)), ((8, 8), (8, 8))])
def test_tokens_attend_to_the_patches_around_them(tokens: tuple[int, ...], patches: tuple[int, ...]) -> None:
    """Law: tokens of a new network resemble the patches at the nearest place most, whichever of the grids is finer."""
    tokenizer = PatchTokenizer(patches, 1, 1, 128)
    heads: dict[str, WeightHead] = {"tokens": TokenHead((math.prod(tokens), 4), 128)}
    made = HyperTransformer(
        tokenizer, heads, dim=128, depth=1, decoder_depth=1, attention_heads=1, hidden=8, token_grid=tokens
    )
    nearest = torch.cdist(grid_centers(tokens), grid_centers(patches))
    found = nearest.gather(1, (made.tokens @ tokenizer.position.T).argmax(1, keepdim=True))
    assert torch.allclose(found, nearest.min(1, keepdim=True).values)


def test_a_second_level_can_be_learned() -> None:
    """Law: told until which level the answer leads, a new network answers as before, bit for bit, and can learn it."""
    made, x = network(), observation()
    plain = made(x, LEVEL)
    made.take_until()
    told = Level(TIMES, TIMES - 1)
    assert made.two_times
    assert same(made(x, told), plain)
    assert made.condition.until is not None
    torch.nn.init.normal_(made.condition.until[2].get_parameter("weight"))
    assert not same(made(x, told), plain)
    assert not same(made(x, told), made(x, Level(TIMES, TIMES - 2)))


def test_a_guidance_scale_can_be_told() -> None:
    """Law: told a scale, a new network answers as before, bit for bit, and can learn it."""
    made, x = network(), observation()
    plain = made(x, LEVEL)
    made.take_guidance(1.0, 8.0)
    told = [Level(TIMES, guidance=torch.full_like(TIMES, scale)) for scale in (2.0, 5.0)]
    assert made.guidance_range == (1.0, 8.0)
    assert same(made(x, told[0]), plain)
    assert made.condition.guidance is not None
    torch.nn.init.normal_(made.condition.guidance[2].get_parameter("weight"))
    assert not same(made(x, told[0]), plain)
    assert not same(made(x, told[0]), made(x, told[1]))


def test_gradients_reach_every_weight() -> None:
    """Law: all weights are trained, those of every class included."""
    made, label = network(classes=2), torch.tensor([0, 1, -1])
    params = made(observation(3), Level(torch.tensor([-1.0, 0.0, 1.0])), label)
    sum((value * torch.randn_like(value)).sum() for value in params.values()).backward()
    for name, p in made.named_parameters():
        assert p.grad is not None, name
        assert p.grad.abs().sum() > 0, name


def test_state_round_trip() -> None:
    """Law: a network with the saved weights gives the same params, names with dots included."""
    made, twin, x = network(), network(), observation()
    assert not same(made(x, LEVEL), twin(x, LEVEL))
    twin.load_state_dict(made.state_dict())
    assert same(made(x, LEVEL), twin(x, LEVEL))


def test_without_a_decoder_patches_become_tokens() -> None:
    """Law: the params are the heads' reading of the encoded patches, modulated by the level once more."""
    made, x = network(decoder_depth=0, grid=(4,)), observation()
    condition, seen = made.condition(LEVEL, None), made.tokenizer(x)
    for block in made.encoder:
        seen = block(seen, condition)
    assert made.final is not None
    shift, scale = made.final.adaLN_modulation(condition)[:, None].chunk(2, -1)
    expected = made.heads["tokens"](torch.nn.functional.layer_norm(seen, (16,), eps=1e-6) * (1 + scale) + shift)
    assert torch.allclose(made(x, LEVEL)["tokens"], expected, atol=1e-5)
    assert not hasattr(made, "tokens")


def test_without_a_decoder_a_new_network_says_the_same_of_all() -> None:
    """Law: its last layer starts at zero, so that all params are what their tokens start from."""
    made = network(decoder_depth=0, grid=(4,), spread=False)
    head = made.heads["tokens"]
    assert isinstance(head, TokenHead)
    assert torch.equal(made(observation(), LEVEL)["tokens"], head.offset.expand(2, -1, -1))


def test_without_a_decoder_and_encoder_the_level_does_not_matter() -> None:
    """A phase that trains the decoder alone passes over blocks and condition; what is left still answers."""
    made, x = network(decoder_depth=0, grid=(4,)), observation()
    made.skips_encoder = True
    assert torch.equal(made(x, LEVEL)["tokens"], made(x, Level(TIMES + 1))["tokens"])
    assert not torch.equal(made(x, LEVEL)["tokens"], made(observation(), LEVEL)["tokens"])


@pytest.mark.parametrize(
    ("tokens", "found"), [((2, 2), "4 and 2x2.: set 'patch' and"), (None, "4 and none.: take a function whose")]
)
def test_without_a_decoder_both_must_lie_on_one_grid(tokens: tuple[int, ...] | None, found: str) -> None:
    with pytest.raises(UsageError, match=f"same grid .found {found}"):
        network(decoder_depth=0, grid=tokens)


def test_tokens_begin_with_what_is_shown_where_they_are() -> None:
    """Law: what ``aligned`` says of an observation is added to the tokens that are learned."""
    told = torch.randn(11, 16)

    class Aligned(torch.nn.Module):
        def forward(self, observation: GridObservation) -> Tensor:
            return (told * observation.values.mean()).expand(len(observation.values), -1, -1)

    made, x = network(), observation()
    before = made(x, LEVEL)
    made.aligned = Aligned()
    found = made(x, LEVEL)
    assert not same(found, before)
    made.aligned = None
    with torch.no_grad():
        made.tokens.add_(told * x.values.mean())
    assert same(made(x, LEVEL), found, atol=1e-5)
