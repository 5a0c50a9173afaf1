"""One word sets how large a network is; what the user sets beside it wins."""

import re
from pathlib import Path

import pytest

from inrkit.config.resolve import resolve
from inrkit.core.objective.inrct import Inrct
from inrkit.core.size import SIZES, Size
from inrkit.errors import UsageError

PAGE = (Path(__file__).parents[2] / "docs/recipe.md").read_text()


@pytest.mark.parametrize("modality", ["image", "nerf"])
@pytest.mark.parametrize("name", SIZES)
def test_a_size_sets_the_network_and_its_training(modality: str, name: str) -> None:
    config, size = resolve(modality, flags={"network": name}).config, SIZES[name]
    assert config.network == name
    assert (config.batch_size, config.steps, config.optimizer) == (size.batch_size, size.steps, "muon")
    options = config.options
    assert (options["width"], options["depth"], options["decoder_depth"]) == (
        size.width,
        size.depth,
        size.decoder_depth,
    )
    assert options["width"] == 64 * options["heads"] == options["hidden"] / 4


def test_the_largest_size_is_the_papers_network() -> None:
    options = resolve("image", flags={"network": "paper"}).config.options
    assert [options[key] for key in ("width", "heads", "hidden", "depth", "decoder_depth")] == [768, 12, 3072, 8, 6]
    assert [options[key] for key in ("inr_width", "inr_inner", "inr_heads")] == [512, 384, 6]


def test_larger_is_larger_and_learns_more_slowly() -> None:
    rates = [Size.named(name).training()["lr"] for name in SIZES]
    assert rates == sorted(rates, reverse=True)
    assert [size.width for size in SIZES.values()] == sorted(size.width for size in SIZES.values())


def test_what_is_set_beside_a_size_wins() -> None:
    config = resolve("image", overrides=["options.depth=1"], flags={"network": "base", "steps": 7}).config
    assert (config.steps, config.options["depth"], config.options["width"]) == (7, 1, SIZES["base"].width)


def test_a_size_says_nothing_of_a_function_that_the_preset_replaces() -> None:
    """The width of the MLP is none of the options of voxels."""
    options = resolve("nerf", "tiny-voxels", flags={"network": "small"}).config.options
    assert (options["function"], options["function_options"], options["width"]) == ("voxels", {}, SIZES["small"].width)
    assert resolve("nerf", flags={"network": "small"}).config.options["function_options"]["width"] == 64


def test_a_misspelt_size_and_a_modality_without_sizes() -> None:
    with pytest.raises(UsageError, match=r"no network of size 'bse'; there are small.*Did you mean 'base'"):
        resolve("image", flags={"network": "bse"})
    with pytest.raises(UsageError, match="'params' has no networks by size"):
        resolve("params", flags={"network": "base"})


def test_the_page_says_what_the_sizes_are() -> None:
    for name, size in SIZES.items():
        depths = f"{size.depth} + {size.decoder_depth}"
        assert f"| `{name}` | {size.width} | {depths} | {size.batch_size} | {size.steps:,} |" in PAGE


def test_the_page_says_what_the_default_recipe_is() -> None:
    default = Inrct()
    assert (default.distance, default.weight_gene, default.curriculum.stages) == ("l2", "1/(t-r)", 8)
    assert (default.p_mean, default.p_std, default.lambda_recon, default.clean_share) == (-1.1, 2.0, 10.0, 0.2)
    assert all(text in PAGE for text in ("`l2`", "`1/(t-r)`", "| -1.1, 2:", "stages` | 8 |", "| 10, .2 |"))
    assert resolve("image").config.objective_options["lambda_recon"] == default.lambda_recon


def test_the_page_s_config_begins_as_a_diffusion_model(tmp_path: Path) -> None:
    block, *_ = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "first.toml").write_text(block)
    phases = resolve("image", file=tmp_path / "first.toml").phases
    assert [(phase.name, phase.start, phase.stop) for phase in phases] == [("diffusion", 0, 400), ("inrct", 400, 1000)]
