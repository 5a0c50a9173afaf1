"""Attention and the blocks of the hyper-network."""

import pytest
import torch
from torch import Tensor

from inrkit import Attention, DecoderBlock, EncoderBlock, FeedForward, UsageError


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def by_hand(attention: Attention, x: Tensor, to: Tensor) -> Tensor:
    """Softmax attention, head by head."""
    dim, width = x.shape[-1], x.shape[-1] // attention.heads
    q, kv = attention.q(x), attention.kv(to)
    k, v = kv[..., :dim], kv[..., dim:]
    heads = []
    for h in range(attention.heads):
        part = slice(h * width, (h + 1) * width)
        weights = (q[..., part] @ k[..., part].transpose(1, 2) / width**0.5).softmax(-1)
        assert torch.allclose(weights.sum(-1), torch.ones(()))
        heads.append(weights @ v[..., part])
    return attention.proj(torch.cat(heads, -1))


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")  # torch's own use of it
def test_forward_mode_derivatives() -> None:
    """Law: `torch.func.jvp` gives the slope that finite differences do; fused kernels have no such derivative."""
    attention, x, v = Attention(8, 2), torch.randn(2, 5, 8), torch.randn(2, 5, 8)
    _, slope = torch.func.jvp(attention, (x,), (v,))
    with torch.no_grad():
        difference = (attention(x + 1e-2 * v) - attention(x - 1e-2 * v)) / 2e-2
    assert torch.allclose(slope, difference, atol=1e-3)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("heads", [1, 2, 4])
def test_attention_by_hand(heads: int, tied: bool) -> None:
    """softmax(q k / sqrt(width of a head)) v, joined and projected; to itself or to other tokens."""
    attention = Attention(8, heads, tied=tied)
    x, to = torch.randn(2, 5, 8), torch.randn(2, 7, 8)
    assert torch.allclose(attention(x), by_hand(attention, x, x), atol=1e-5)
    assert torch.allclose(attention(x, to), by_hand(attention, x, to), atol=1e-5)


def test_attention_ignores_the_order_of_what_it_looks_at() -> None:
    """Law: attention is invariant to the order of ``to`` and equivariant to that of x."""
    attention, x, to = Attention(8, 2), torch.randn(2, 5, 8), torch.randn(2, 7, 8)
    order = torch.randperm(7)
    assert torch.allclose(attention(x, to[:, order]), attention(x, to), atol=1e-5)
    assert torch.allclose(attention(x[:, [4, 0, 2, 1, 3]], to), attention(x, to)[:, [4, 0, 2, 1, 3]], atol=1e-5)


def test_tied_attention_looks_at_what_resembles() -> None:
    """Law: tied at the start, a token's own copy among orthogonal others gets the most attention."""
    attention = Attention(16, 1, tied=True)
    tokens = torch.eye(16)[None] * 8
    q, k = attention.q(tokens), attention.kv(tokens)[..., :16]
    assert torch.equal((q @ k.transpose(1, 2)).argmax(-1)[0], torch.arange(16))
    assert torch.equal(attention.q.weight, attention.kv.weight[:16])


def test_tied_weights_may_part() -> None:
    """Tied means equal at the start only: the two are separate weights."""
    attention = Attention(8, 2, tied=True)
    assert attention.q.weight.data_ptr() != attention.kv.weight.data_ptr()


def test_heads_must_divide_the_width() -> None:
    """A width that heads do not divide is refused."""
    with pytest.raises(UsageError, match="multiple of the number of heads"):
        Attention(10, 4)


def test_encoder_block_starts_as_the_identity() -> None:
    """adaLN-Zero: whatever the condition, the block starts by changing nothing."""
    block = EncoderBlock(16, 2, 32)
    x, condition = torch.randn(2, 5, 16), 10 * torch.randn(2, 16)
    assert torch.equal(block(x, condition), x)


def test_encoder_block_learns_from_its_gates() -> None:
    """At the start the gradient reaches the modulation, so that the block can leave the identity."""
    block = EncoderBlock(16, 2, 32)
    block(torch.randn(2, 5, 16), torch.randn(2, 16)).square().sum().backward()
    assert block.adaLN_modulation[1].weight.grad is not None
    assert block.adaLN_modulation[1].weight.grad.abs().sum() > 0


def test_encoder_block_by_hand() -> None:
    """x + gate · part(norm(x) (1 + scale) + shift), with attention and then feed-forward."""
    block = EncoderBlock(8, 2, 16)
    torch.nn.init.normal_(block.adaLN_modulation[1].weight)
    x, condition = torch.randn(2, 3, 8), torch.randn(2, 8)
    modulation = block.adaLN_modulation(condition)
    shift_a, scale_a, gate_a, shift_f, scale_f, gate_f = (m[:, None] for m in modulation.split(8, -1))

    def normalized(y: Tensor) -> Tensor:
        return (y - y.mean(-1, keepdim=True)) / (y.var(-1, keepdim=True, correction=0) + 1e-6).sqrt()

    y = x + gate_a * block.attn(normalized(x) * (1 + scale_a) + shift_a)
    y = y + gate_f * block.mlp(normalized(y) * (1 + scale_f) + shift_f)
    assert torch.allclose(block(x, condition), y, atol=1e-5)


def test_decoder_block_by_hand() -> None:
    """The tokens look at each other, then at the un-normed observation, then think; each added."""
    block = DecoderBlock(8, 2, 16)
    x, to = torch.randn(2, 4, 8), torch.randn(2, 6, 8)
    y = x + by_hand(block.self_attn, block.norm1(x), block.norm1(x))
    y = y + by_hand(block.cross_attn, block.norm2(y), to)
    y = y + block.mlp(block.norm3(y))
    assert torch.allclose(block(x, to), y, atol=1e-5)


def test_rows_are_independent() -> None:
    """Law: in every block a batch of two equals two batches of one."""
    encoder, decoder = EncoderBlock(8, 2, 16), DecoderBlock(8, 2, 16, tied=True)
    torch.nn.init.normal_(encoder.adaLN_modulation[1].weight, std=0.2)
    x, to, condition = torch.randn(2, 4, 8), torch.randn(2, 6, 8), torch.randn(2, 8)
    both = encoder(x, condition), decoder(x, to)
    for i in range(2):
        row = slice(i, i + 1)
        assert torch.allclose(encoder(x[row], condition[row]), both[0][row], atol=1e-5)
        assert torch.allclose(decoder(x[row], to[row]), both[1][row], atol=1e-5)


def test_dropout_is_in_the_feed_forward_layers() -> None:
    """Dropout acts in training only."""
    layer, x = FeedForward(8, 64, dropout=0.5), torch.randn(2, 3, 8)
    assert not torch.equal(layer.train()(x), layer.train()(x))
    assert torch.equal(layer.eval()(x), layer.eval()(x))


@pytest.mark.parametrize(
    ("block", "number"),
    [
        (EncoderBlock, 4 * 64**2 + 4 * 64 + 2 * 64 * 256 + 256 + 64 + 64 * 384 + 384),
        (DecoderBlock, 2 * (4 * 64**2 + 64) + 2 * 64 * 256 + 256 + 64 + 3 * 2 * 64),
    ],
)
def test_number_of_parameters(block: type[EncoderBlock] | type[DecoderBlock], number: int) -> None:
    """Encoder: biased attention, feed-forward, modulation. Decoder: two attentions, q, k, v unbiased, three norms."""
    assert count(block(64, 4, 256)) == number


@pytest.mark.parametrize("block", [EncoderBlock, DecoderBlock])
def test_blocks_run_under_autocast(block: type[EncoderBlock] | type[DecoderBlock]) -> None:
    """In bfloat16 the blocks give what they give in single precision, but for rounding."""
    made = block(32, 4, 64)
    if isinstance(made, EncoderBlock):
        torch.nn.init.normal_(made.adaLN_modulation[1].weight, std=0.1)
    x, other = torch.randn(2, 5, 32), torch.randn(2, 32) if block is EncoderBlock else torch.randn(2, 6, 32)
    with torch.autocast("cpu", torch.bfloat16):
        half = made(x, other)
    assert torch.allclose(half.float(), made(x, other), atol=0.1)


def test_rows_that_begin_alike_may_be_given_once() -> None:
    """Law: a decoder block of one row of tokens and several observations is that of the same tokens in every row."""
    block, tokens, to = DecoderBlock(8, 2, 16), torch.randn(1, 5, 8), torch.randn(3, 7, 8)
    direction = torch.randn(3, 5, 8)
    found, gradients = [], []
    for x in (tokens, tokens.expand(3, -1, -1)):
        block.zero_grad()
        found.append(block(x, to))
        (found[-1] * direction).sum().backward()
        gradients.append([p.grad for p in block.parameters()])
    torch.testing.assert_close(*found)
    torch.testing.assert_close(*gradients)
