"""Training by a distance that a feature network sees: its gradient reaches the pictures, and its weights stay."""

import json
from functools import partial
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save_file
from torch import Tensor, nn

from inrkit import UsageError
from inrkit.cli import main
from inrkit.config.parts import training_features
from inrkit.core.objective.distance import distance_of
from inrkit.metrics.perceptual import training_distance
from inrkit.storage.checkpoint import latest_checkpoint
from inrkit.storage.modelfolder import without_paths
from inrkit.storage.rundir import read_config
from inrkit_features.resnet import ResNet20

SMALL = [
    *("--no-progress", "--batch-size", "8"),
    *(
        word
        for option in ("size=[16,16]", "width=16", "heads=2", "hidden=16", "depth=1", "inr_width=16", "inr_inner=16")
        for word in ("--set", f"options.{option}")
    ),
    *("--set", "options.count=40", "--set", "sample_every=100"),
]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of random weights."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "resnet20.safetensors"
    save_file(ResNet20().state_dict(), path)
    return path


def train(*words: str) -> str:
    """The output of a short run; an exit code other than 0 is put before it."""
    found = CliRunner().invoke(main, ["train", *SMALL, *words])
    return found.output if found.exit_code == 0 else f"exit {found.exit_code}: {found.output}"


@pytest.mark.parametrize("channels", [1, 3])
def test_its_gradient_makes_pictures_alike(weights: Path, channels: int) -> None:
    """Equal pictures are at 0; a step along the gradient brings different ones nearer; the network has none."""
    network = training_features("resnet20", {"weights": str(weights)})
    assert network is not None
    distance = distance_of("features", features=partial(training_distance, network))
    generator = torch.Generator().manual_seed(1)
    x, y = (nn.Parameter(torch.rand(2, channels, 16, 16, generator=generator) * 2 - 1) for _ in range(2))
    assert distance(x, x).tolist() == pytest.approx([0, 0])
    before: Tensor = distance(x, y.detach())
    (slope,) = torch.autograd.grad(before.sum(), x)
    assert (slope.flatten(1).norm(dim=1) > 0).all()
    after = distance(x - 0.01 * slope / slope.abs().amax(), y)
    assert (after < before).all()
    assert not any(p.requires_grad for p in network.parameters())


def test_a_phase_is_trained_by_it(weights: Path, tmp_path: Path) -> None:
    """The first phase by values, the second by what the network sees; paths leave no trace."""
    config = tmp_path / "config.toml"
    config.write_text(
        f'features = "resnet20"\nfeatures_options = {{ weights = "{weights}" }}\n'
        '[[phases]]\nobjective = "reconstruction"\nshare = 0.5\n'
        '[[phases]]\nobjective = "ect"\nshare = 0.5\noptions = { distance = "features" }\n'
    )
    words = ("--config", str(config), "--steps", "4", "--set", "log_every=1")
    assert not train(*words, "--out", str(tmp_path / "run")).startswith("exit")
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss/gene"] for line in lines if "loss/gene" in line]
    assert len(losses) == 2
    assert all(0 < loss < 1000 for loss in losses)
    checkpoint, _ = latest_checkpoint(tmp_path / "run" / "checkpoints")
    assert checkpoint is not None
    assert not any("features" in name for group in checkpoint.tensors.values() for name in group)
    kept = read_config(tmp_path / "run")
    assert kept.features_options["weights"] == str(weights)
    assert without_paths(kept).features_options["weights"] == weights.name


def test_every_loss_of_a_run_can_be_compared_by_it(weights: Path, tmp_path: Path) -> None:
    """Reconstruction and consistency of INRCT, and denoising, from the command line."""
    words = ["--set", "features=resnet20", "--set", f"features_options.weights={weights}"]
    words += ["--set", "objective_options.distance=features", "--steps", "2", "--set", "warmup_share=0.5"]
    for objective in ("inrct", "diffusion"):
        found = train(*words, "--objective", objective, "--out", str(tmp_path / objective))
        assert not found.startswith("exit"), found


def test_what_cannot_be_compared_is_refused(weights: Path, tmp_path: Path) -> None:
    """Without a network, without its weights, for nothing, and of sounds; before anything is written."""
    by_features = ("--set", "objective_options.distance=features")
    named = ("--set", "features=resnet20", "--set", f"features_options.weights={weights}")
    for words, pattern in (
        (by_features, "needs a feature network, found none"),
        ((*by_features, "--set", "features=resnet20"), "needs the file of its weights"),
        ((*by_features, "--set", "features=resnet21"), "no feature named 'resnet21'"),
        ((*by_features, "--set", f"features_options.weights={weights}"), "needs a feature network, found none"),
        (named, "no objective compares by"),
    ):
        found = train(*words, "--steps", "1", "--out", str(tmp_path / "run"))
        assert found.startswith("exit 2: ")
        assert pattern in " ".join(found.split())
    assert not (tmp_path / "run").exists()
    network = training_features("resnet20", {"weights": str(weights)})
    assert network is not None
    with pytest.raises(UsageError, match=r"whole pictures of 1 or 3 channels, found values of shape \(2, 1, 64\)"):
        training_distance(network, torch.zeros(2, 1, 64), torch.zeros(2, 1, 64))
