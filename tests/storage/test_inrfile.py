"""One signal in one file: it comes back whole or not at all."""

import io
import pickle
import zipfile
from pathlib import Path

import attrs
import pytest
import torch

from inrkit.errors import DataError
from inrkit.storage.inrfile import InrFile, load_inr, save_inr


def signal(**changes: object) -> InrFile:
    inr = InrFile(
        params={"layer0": torch.randn(5, 3), "layer1": torch.randn(5).to(torch.bfloat16)},
        function="anr",
        function_state={"shared.weight": torch.randn(4, 4).T},
        modality="image",
        modality_options={"size": [32, 32]},
        readout={"name": "literal"},
        t=80.0,
        provenance={"run": "r", "step": 3},
    )
    return attrs.evolve(inr, **changes)


def test_a_signal_comes_back(tmp_path: Path) -> None:
    """load(save(x)) is x, field by field and bit by bit."""
    inr = signal()
    back = load_inr(save_inr(tmp_path / "a.inr", inr))
    for field in attrs.fields(InrFile):
        ours, theirs = getattr(inr, field.name), getattr(back, field.name)
        if field.name in ("params", "function_state"):
            assert ours.keys() == theirs.keys()
            assert all(torch.equal(ours[name], theirs[name]) for name in ours)
            assert all(ours[name].dtype == theirs[name].dtype for name in ours)
        else:
            assert ours == theirs


def test_damage_never_goes_unnoticed(tmp_path: Path, damaged) -> None:
    """Of 80 damaged versions each is refused, or holds exactly what was saved (a bit of padding)."""
    path = save_inr(tmp_path / "a.inr", signal())
    saved, refused = load_inr(path), 0
    for data in damaged(path.read_bytes(), 80, seed=1):
        path.write_bytes(data)
        try:
            back = load_inr(path)
        except DataError:
            refused += 1
            continue
        for name in ("params", "function_state"):
            ours, theirs = getattr(saved, name), getattr(back, name)
            assert ours.keys() == theirs.keys()
            assert all(torch.equal(ours[key], theirs[key]) for key in ours)
        empty = {"params": None, "function_state": None}
        assert attrs.asdict(attrs.evolve(back, **empty)) == attrs.asdict(attrs.evolve(saved, **empty))
    assert refused >= 78


def test_one_flipped_weight_is_named_with_both_hashes(tmp_path: Path) -> None:
    """The message says which file, what was expected and what was found."""
    path = save_inr(tmp_path / "a.inr", signal())
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"a\.inr: expected sha256 [0-9a-f]{12}, found [0-9a-f]{12}"):
        load_inr(path)


def foreign() -> dict[str, bytes]:
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("data.pkl", "x")
    from safetensors.torch import save

    return {
        "empty": b"",
        "pickle": pickle.dumps({"a": 1}),
        "zip": zipped.getvalue(),
        "text": b"hello, this is no signal at all",
        "safetensors": save({"x": torch.zeros(3)}),
        "bomb": (2**60).to_bytes(8, "little") + b"{}",
        "format": save({"x": torch.zeros(3)}, {"format": "inrkit-inr", "version": "2"}),
        "bare": save({"x": torch.zeros(3)}, {"format": "inrkit-inr", "version": "1"}),
    }


@pytest.mark.parametrize("kind", foreign())
def test_foreign_files_are_refused(tmp_path: Path, kind: str) -> None:
    """Other people's files, bombs, other versions: one kind of error, naming the file."""
    path = tmp_path / "foreign.inr"
    path.write_bytes(foreign()[kind])
    with pytest.raises(DataError, match=r"foreign\.inr"):
        load_inr(path)


def test_missing_files_and_folders_are_data_errors(tmp_path: Path) -> None:
    """Nothing there is said plainly."""
    for path in (tmp_path / "none.inr", tmp_path):
        with pytest.raises(DataError, match="expected"):
            load_inr(path)


@pytest.mark.parametrize(
    "changes",
    [{"t": float("nan")}, {"function": ""}, {"provenance": {1: 2}}, {"readout": "literal"}, {"params": {"a": 3}}],
)
def test_what_cannot_be_written_is_refused_when_saving(tmp_path: Path, changes: dict[str, object]) -> None:
    """A file that could not be read back is never written."""
    with pytest.raises(DataError):
        save_inr(tmp_path / "a.inr", signal(**changes))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"a": torch.tensor([1.0, float("nan")])}, "found 1 of 2 in 'a' that are not"),
        ({"a": torch.tensor([1, 2])}, "floating-point params, found 'a' of torch.int64"),
    ],
)
def test_params_that_no_function_can_be_bound_to_are_refused(
    tmp_path: Path, params: dict[str, torch.Tensor], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither written nor read: integers and numbers that are none."""
    with pytest.raises(DataError, match=said):
        save_inr(tmp_path / "a.inr", signal(params=params))
    with monkeypatch.context() as unchecked:
        unchecked.setattr("inrkit.storage.inrfile._check_params", lambda *_: None)
        save_inr(tmp_path / "a.inr", signal(params=params))
    with pytest.raises(DataError, match=said):
        load_inr(tmp_path / "a.inr")
