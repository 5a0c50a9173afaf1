"""A network with weights of the user's, by whose features sets are compared."""

import hashlib
import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save_file
from torch.nn import functional as F

from inrkit import DataError, UsageError, make_features
from inrkit.cli import main
from inrkit.metrics.feature import extract
from inrkit.testing import Case, cases_of
from inrkit_features.resnet import ResNet20


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of random weights, with statistics that are not trivial."""
    torch.manual_seed(0)
    network = ResNet20()
    for name, tensor in network.state_dict().items():
        if "running_mean" in name:
            tensor.copy_(0.1 * torch.randn_like(tensor))
        elif "running_var" in name:
            tensor.copy_(0.2 + torch.rand_like(tensor))
    path = tmp_path_factory.mktemp("weights") / "resnet20.safetensors"
    save_file(network.state_dict(), path)
    return path


def test_it_keeps_every_law_of_features(weights: Path) -> None:
    """With weights that are there."""
    cases: list[Case] = cases_of("resnet20", kind="feature", options={"weights": str(weights)})
    assert [case.result().state for case in cases] == ["passed"]


def test_it_is_the_network_of_the_paper() -> None:
    """20 layers with weights in a row, 272,474 weights, and the names of common checkpoints."""
    network = ResNet20()
    assert sum(p.numel() for p in network.parameters()) == 272_474
    layers = [name for name, p in network.named_parameters() if p.ndim > 1 and "downsample" not in name]
    assert len(layers) == 20
    names = set(network.state_dict())
    assert {"conv1.weight", "bn1.running_var", "layer2.0.downsample.0.weight", "layer3.2.bn2.bias", "fc.bias"} <= names


def test_features_are_those_of_the_normalised_image(weights: Path) -> None:
    """On [-1, 1], whatever the size: an image that is enlarged and one that is not are much alike."""
    network = make_features("resnet20", [f"weights={weights}"])
    values = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    seen: list[torch.Tensor] = []
    handle = network.get_submodule("conv1").register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    small = extract(network, values)
    expected = ((values[:, 0] + 1) / 2 - 0.4914) / 0.2023
    assert torch.allclose(seen[0][:, 0], expected, atol=1e-6)
    handle.remove()
    large = extract(network, F.interpolate(values, scale_factor=2, mode="nearest"))
    assert small.std() > 0
    assert (large - small).abs().mean() < 0.5 * small.std()


def test_weights_are_checked_and_never_fetched(weights: Path, tmp_path: Path) -> None:
    """A file of another hash, of another network, or none at all is refused."""
    found = hashlib.sha256(weights.read_bytes()).hexdigest()
    make_features("resnet20", [f"weights={weights}", f"sha256={found}"])
    with pytest.raises(DataError, match=rf"expected sha256 {'0' * 64}, found {found}"):
        make_features("resnet20", [f"weights={weights}", f"sha256={'0' * 64}"])
    save_file({"other": torch.zeros(3)}, tmp_path / "other.safetensors")
    (tmp_path / "garbage").write_bytes(bytes(range(256)))
    for name in ("other.safetensors", "garbage", "missing"):
        with pytest.raises(DataError, match=r"expected .* ResNet-20, found"):
            make_features("resnet20", [f"weights={tmp_path / name}"])
    with pytest.raises(UsageError, match="needs the file of its weights"):
        make_features("resnet20")
    with pytest.raises(UsageError, match=r"no feature named 'resnet18'; installed: resnet20 \(inrkit\)"):
        make_features("resnet18")


def test_evaluate_compares_sets_by_it_too(weights: Path, tmp_path: Path) -> None:
    """Beside the network with random weights, in a space of its own name."""
    run = CliRunner().invoke
    options = {"width": 16, "heads": 2, "hidden": 16, "depth": 1, "inr_width": 16, "inr_inner": 16, "count": 40}
    small = [part for key, value in options.items() for part in ("--set", f"options.{key}={value}")]
    trained = run(main, ["train", "--steps", "1", "--no-progress", "--out", str(tmp_path / "run"), *small])
    assert trained.exit_code == 0, trained.output
    words = ["evaluate", str(tmp_path / "run"), "-n", "16", "--metrics", "frechet", "--json"]
    found = run(main, [*words, "--features", "resnet20", "--set", f"weights={weights}"])
    assert found.exit_code == 0, found.output
    assert {"random-conv", "resnet20"} <= set(json.loads(found.stdout)["sets"]["spaces"])
    alone = run(main, [*words, "--set", "weights=x"])
    assert alone.exit_code == 2
    assert "'--set' is for the network of '--features'" in alone.output
