"""A network with weights of the user's, by whose features sets are compared."""

import hashlib
import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

from inrkit import Classifier, DataError, UsageError, make_features
from inrkit.cli import main
from inrkit.metrics.feature import extract
from inrkit.testing import Case, cases_of
from inrkit_features.resnet import ResNet20, ResNet56


def random_weights(network: nn.Module) -> dict[str, torch.Tensor]:
    """Its weights, with statistics that are not trivial."""
    for name, tensor in network.state_dict().items():
        if "running_mean" in name:
            tensor.copy_(0.1 * torch.randn_like(tensor))
        elif "running_var" in name:
            tensor.copy_(0.2 + torch.rand_like(tensor))
    return network.state_dict()


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of random weights."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "resnet20.safetensors"
    save_file(random_weights(ResNet20()), path)
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
        with pytest.raises(DataError, match=r"expected .*'resnet20'.*, found"):
            make_features("resnet20", [f"weights={tmp_path / name}"])
    with pytest.raises(UsageError, match="needs the file of its weights"):
        make_features("resnet20")
    with pytest.raises(UsageError, match=r"no feature named 'resnet18'; installed: .*resnet20 \(inrkit\)"):
        make_features("resnet18")


def test_evaluate_compares_sets_by_it_too(weights: Path, tmp_path: Path) -> None:
    """Beside the network with random weights, in a space of its own name."""
    run = CliRunner().invoke
    options = {"width": 16, "heads": 2, "hidden": 16, "depth": 1, "inr_width": 16, "inr_inner": 16, "count": 40}
    small = [part for key, value in options.items() for part in ("--set", f"options.{key}={value}")]
    trained = run(main, ["train", "--steps", "1", "--no-progress", "--out", str(tmp_path / "run"), *small])
    assert trained.exit_code == 0, trained.output
    words = ["evaluate", str(tmp_path / "run"), "-n", "16", "--metrics", "frechet,classes,perceptual", "--json"]
    found = run(main, [*words, "--features", "resnet20", "--set", f"weights={weights}"])
    assert found.exit_code == 0, found.output
    assert {"random-filters", "resnet20"} <= set(json.loads(found.stdout)["sets"]["spaces"])
    assert set(json.loads(found.stdout)["classes"]["resnet20"]) >= {"1 step", "held_out", "real"}
    assert "perceptual distance by resnet20 ↓" in json.loads(found.stdout)["reconstruction"]
    refused = run(main, words)
    assert refused.exit_code == 2
    assert "'classes' needs a classifier" in refused.output
    alone = run(main, [*words, "--set", "weights=x"])
    assert alone.exit_code == 2
    assert "'--set' is for the network of '--features'" in alone.output


def test_checkpoints_of_both_forms_are_read(tmp_path: Path) -> None:
    """Shortcuts without weights, other names, one channel and other classes; as if they were of the usual form."""
    torch.manual_seed(0)
    network = ResNet56(channels=1, classes=3, projected=False).eval()
    tensors = random_weights(network)
    renamed = {f"module.{key.replace('fc.', 'linear.')}": tensor for key, tensor in tensors.items()}
    save_file(renamed, tmp_path / "other.safetensors")
    found = make_features("resnet56", [f"weights={tmp_path / 'other.safetensors'}"])
    assert isinstance(found, Classifier)
    values = torch.rand(2, 3, 32, 32) * 2 - 1
    assert torch.equal(found(values), network(values))
    assert found.logits(found(values)).shape == (2, 3)
    with pytest.raises(DataError, match=r"expected weights of 'resnet20', found those of a ResNet-56"):
        make_features("resnet20", [f"weights={tmp_path / 'other.safetensors'}"])


def test_broken_weights_are_one_line(tmp_path: Path, weights: Path) -> None:
    """NaN, a tensor too few, and a file of PyTorch's."""
    tensors = load_file(weights)
    spoilt = {
        "finite weights.*'fc.bias'": {**tensors, "fc.bias": torch.full((10,), float("nan"))},
        "'fc.bias' of shape .*missing": {key: t for key, t in tensors.items() if key != "fc.bias"},
        "'extra', which it does not have": {**tensors, "extra": torch.zeros(2)},
    }
    for pattern, content in spoilt.items():
        save_file(content, tmp_path / "spoilt.safetensors")
        with pytest.raises(DataError, match=pattern):
            make_features("resnet20", [f"weights={tmp_path / 'spoilt.safetensors'}"])
    torch.save(tensors, tmp_path / "pickled.pt")
    with pytest.raises(DataError, match=r"a pickle; docs/evaluation\.md"):
        make_features("resnet20", [f"weights={tmp_path / 'pickled.pt'}"])
