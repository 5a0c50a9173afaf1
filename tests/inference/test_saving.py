"""A trained model as a folder: it travels without its run, and what was altered on the way is refused."""

import json
import shutil
import sys
import types
from pathlib import Path

import attrs
import pytest
import torch
from toy import ToyModality
from toy_run import train_toy

import inrkit
from inrkit.errors import DataError, UsageError
from inrkit.inference.evaluated import FORMAT
from inrkit.storage import hub, modelfolder, sealed
from inrkit.storage.weights import find_checkpoint


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> inrkit.Model:
    run = tmp_path_factory.mktemp("saving") / "run"
    train_toy(run)
    evaluation = {"format": FORMAT, "step": 20, "seed": 0, "taken": 700, "times": {"step": 20, "middle": 0.5}}
    distances = {name: {"frechet": value} for name, value in (("real", 2.0), ("noise", 9.0), ("1 step", 3.5))}
    evaluation |= {"reconstruction": {"psnr": {"mean": 23.25, "std": 1.0}}}
    needed = {"random-filters": 337, "inception": 2049}
    evaluation |= {"sets": {"count": 700, "needed": needed, "spaces": dict.fromkeys(needed, distances)}}
    (run / "evaluation.json").write_text(json.dumps(evaluation))
    return inrkit.load(run, modality=ToyModality)


@pytest.fixture
def saved(model: inrkit.Model, tmp_path: Path) -> Path:
    return model.save(tmp_path / "travelling")


def load(folder: Path | str) -> inrkit.Model:
    return inrkit.load(folder, modality=ToyModality)


def test_a_saved_model_is_the_model(model: inrkit.Model, saved: Path) -> None:
    """It samples what the run samples, by the noise levels that were searched for it, and can be started from."""
    found = load(saved)
    assert torch.equal(found.sample(3).signal, model.sample(3).signal)
    assert found.times(2) == model.times(2) == (80.0, 0.5)
    assert (found.step, found.facts) == (model.step, model.facts)
    assert {*(path.name for path in saved.iterdir())} == {*modelfolder.FILES}
    weights = find_checkpoint(saved).tensors["model"]
    assert weights.keys() == model.pipeline.state_dict().keys()
    with pytest.raises(DataError, match="expected the weights of step 5, found a model of step 20"):
        inrkit.load(saved, step=5, modality=ToyModality)


def test_bf16_halves_matrices_and_changes_little(model: inrkit.Model, tmp_path: Path) -> None:
    """Vectors and buffers keep their precision."""
    weights = find_checkpoint(model.save(tmp_path / "small", "bf16")).tensors["model"]
    learned = dict(model.pipeline.named_parameters())
    for name, value in weights.items():
        assert (value.dtype == torch.bfloat16) == (name in learned and value.ndim > 1), name
    one, other = load(tmp_path / "small").sample(4).signal, model.sample(4).signal
    assert (one - other).abs().max() < 0.1 * other.abs().max()


def test_the_card_says_what_is_known(saved: Path, model: inrkit.Model, tmp_path: Path) -> None:
    """Figures beside their floors, the command that trains it again, the terms."""
    card = (saved / "README.md").read_text()
    assert "| reconstruction PSNR of held-out signals | 23.25 |  |" in card
    assert "| Fréchet distance, 1 step, features `random-filters` | 3.5 | 2 |" in card
    assert "over 700 held-out signals" in card
    assert "inception" not in card  # a Fréchet distance on 2048 features needs more signals than 700
    assert "inrkit train --config config.toml" in card
    assert "no licence is given" in card
    model.save(tmp_path / "licensed", license="Apache-2.0", data_terms="Drawn by us.")
    card = (tmp_path / "licensed" / "README.md").read_text()
    assert "license: apache-2.0" in card
    assert "Training data: Drawn by us." in card


def test_no_path_of_the_trainer_travels() -> None:
    """Of data, and of runs that a run began with or learned from, the name stays."""
    options = {"teacher": "/home/me/runs/teacher"}
    config = inrkit.RunConfig(modality="toy", data="/home/me/data.h5", init="/home/me/runs/first", objective="cd")
    clean = modelfolder.without_paths(attrs.evolve(config, objective_options=options))
    assert (clean.data, clean.init, clean.objective_options) == ("data.h5", "first", {"teacher": "teacher"})
    files = attrs.evolve(config, data="files:///home/me/photos?size=8x8")
    assert modelfolder.without_paths(files).data == "files://photos?size=8x8"


@pytest.mark.parametrize("name", ["config.toml", "model.safetensors", "README.md", "sheet.png", "manifest.json"])
def test_a_tampered_model_is_refused(saved: Path, name: str) -> None:
    """Each byte of each file counts."""
    data = bytearray((saved / name).read_bytes())
    data[len(data) // 2] ^= 1
    (saved / name).write_bytes(data)
    with pytest.raises(DataError, match=r"damaged or altered|expected JSON") as caught:
        load(saved)
    assert "\n" not in str(caught.value)


def test_a_manifest_reads_nothing_outside_its_folder(saved: Path) -> None:
    """Sealed again by someone who means harm."""
    body = json.loads((saved / "manifest.json").read_text())
    del body["sha256"]
    body["files"]["../secret"] = body["files"]["README.md"]
    (saved / "manifest.json").write_bytes(sealed.seal(body))
    with pytest.raises(DataError, match="not to be trusted"):
        load(saved)


def test_only_a_model_is_replaced(model: inrkit.Model, saved: Path, tmp_path: Path) -> None:
    """Nothing else of the user's goes."""
    model.save(saved, "bf16")
    assert load(saved).step == 20
    (tmp_path / "notes").mkdir()
    with pytest.raises(UsageError, match="expected a new folder, or one with a model to replace"):
        model.save(tmp_path / "notes")


def test_an_unknown_name_is_told_with_the_nearest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is neither a folder nor an installed model; a run directory comes before a model of its name."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"the name of a model \(.*faces.*\), found neither.* Did you mean 'faces'\?"):
        inrkit.load("facse")
    (tmp_path / "faces").mkdir()
    assert inrkit.load("faces").run == Path("faces")
    shutil.copy(inrkit.load_plugins().model("faces") / "config.toml", "faces")
    with pytest.raises(DataError, match="expected a run directory with 'checkpoints'"):
        inrkit.load("faces")


class HubError(Exception):
    """What a stand-in for the package of the hub raises."""


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder that takes the place of the hub, behind the package's functions; its repositories are folders."""
    here, package = tmp_path / "hub", types.ModuleType("huggingface_hub")
    here.mkdir()
    names = ("RepositoryNotFoundError", "RevisionNotFoundError", "LocalEntryNotFoundError")
    kinds = {name: type(name, (HubError,), {}) for name in names}

    def snapshot_download(name, *, revision, local_dir, allow_patterns, endpoint):
        if name == "no/network":
            raise kinds["LocalEntryNotFoundError"]
        if not (here / name).is_dir():
            raise kinds["RepositoryNotFoundError"]
        ignored = shutil.ignore_patterns("secret.pkl")
        assert "secret.pkl" not in allow_patterns
        shutil.copytree(here / name, local_dir, dirs_exist_ok=True, ignore=ignored)

    class HfApi:
        def __init__(self, endpoint):
            assert endpoint == "http://127.0.0.1:9"

        def create_repo(self, name, *, private, exist_ok):
            assert private
            assert exist_ok
            (here / name).mkdir(parents=True)

        def upload_folder(self, *, repo_id, folder_path, **_):
            shutil.copytree(folder_path, here / repo_id, dirs_exist_ok=True)
            return f"http://127.0.0.1:9/{repo_id}"

    package.snapshot_download, package.HfApi = snapshot_download, HfApi
    package.errors = types.SimpleNamespace(**kinds)
    monkeypatch.setitem(sys.modules, "huggingface_hub", package)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("INRKIT_CACHE", str(tmp_path / "cache"))
    return here


def test_a_model_goes_to_the_hub_and_comes_back(model: inrkit.Model, stand_in: Path) -> None:
    """Nothing but a model's own files is fetched; what was altered there is refused."""
    assert model.push("me/toys") == "http://127.0.0.1:9/me/toys"
    (stand_in / "me" / "toys" / "secret.pkl").write_bytes(b"\x80\x04.")
    found = load("hf://me/toys")
    assert (found.step, found.run) == (20, Path("toys"))
    (stand_in / "me" / "toys" / "config.toml").write_text("modality = 'toy'")
    with pytest.raises(DataError, match=r"config\.toml: expected \d+ bytes"):
        load("hf://me/toys")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("hf://me/none", "found none of that name"),
        ("hf://no/network", "found no connection; check the network"),
        ("hf://../x", "expected hf://owner/name"),
        ("hf://alone", "expected hf://owner/name"),
    ],
)
def test_what_the_hub_does_not_have_is_told_in_a_line(stand_in: Path, address: str, said: str) -> None:
    """An unknown name, no network, what is no address."""
    with pytest.raises((DataError, UsageError), match=said) as caught:
        load(address)
    assert "\n" not in str(caught.value)


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else needs it."""
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UsageError, match=r'pip install "inrkit\[hub\]"'):
        hub.fetch("me/toys")
