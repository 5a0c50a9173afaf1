"""One word sets how large a network is; what the user sets beside it wins."""

import pytest

from inrkit.config.resolve import resolve
from inrkit.core.size import SIZES, Size
from inrkit.errors import UsageError


@pytest.mark.parametrize("modality", ["image", "nerf"])
@pytest.mark.parametrize("name", SIZES)
def test_a_size_sets_the_network_and_its_training(modality: str, name: str) -> None:
    config, size = resolve(modality, flags={"size": name}).config, SIZES[name]
    assert config.size == name
    assert (config.batch_size, config.steps, config.optimizer) == (size.batch_size, size.steps, "muon")
    options = config.options
    assert (options["width"], options["depth"], options["decoder_depth"]) == (
        size.width,
        size.depth,
        size.decoder_depth,
    )
    assert options["width"] == 64 * options["heads"] == options["hidden"] / 4


def test_the_largest_size_is_the_papers_network() -> None:
    options = resolve("image", flags={"size": "paper"}).config.options
    assert [options[key] for key in ("width", "heads", "hidden", "depth", "decoder_depth")] == [768, 12, 3072, 8, 6]
    assert [options[key] for key in ("inr_width", "inr_inner", "inr_heads")] == [512, 384, 6]


def test_larger_is_larger_and_learns_more_slowly() -> None:
    rates = [Size.named(name).training()["lr"] for name in SIZES]
    assert rates == sorted(rates, reverse=True)
    assert [size.width for size in SIZES.values()] == sorted(size.width for size in SIZES.values())


def test_what_is_set_beside_a_size_wins() -> None:
    config = resolve("image", overrides=["options.depth=1"], flags={"size": "base", "steps": 7}).config
    assert (config.steps, config.options["depth"], config.options["width"]) == (7, 1, SIZES["base"].width)


def test_a_misspelt_size_and_a_modality_without_sizes() -> None:
    with pytest.raises(UsageError, match=r"no size 'bse'; there are small.*Did you mean 'base'"):
        resolve("image", flags={"size": "bse"})
    with pytest.raises(UsageError, match="'params' has no networks by size"):
        resolve("params", flags={"size": "base"})
