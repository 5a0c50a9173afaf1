"""An .inr file that leaves out its function, whose weights lie with an installed model."""

from pathlib import Path

import pytest
import torch

import inrkit
from inrkit.inference.opened import open_inr
from inrkit.storage import reference
from inrkit.storage.inrfile import InrFile, load_inr, load_inrs, pack_inr, save_inr


@pytest.fixture(scope="module")
def face() -> InrFile:
    model = inrkit.load("faces")
    return model.inr(model.sample(1), 0)


def test_a_face_takes_less_than_ten_thousand_bytes(face: InrFile, tmp_path: Path) -> None:
    """Without its function, in 16 bits; what it renders differs by the rounding of the params alone."""
    file = save_inr(tmp_path / "face.inr", face, "bf16", "faces")
    assert file.stat().st_size < 10_000
    back = load_inr(file)
    assert back.function_state.keys() == face.function_state.keys()
    assert all(torch.equal(back.function_state[name], value) for name, value in face.function_state.items())
    assert torch.equal(back.params["tokens"], face.params["tokens"].bfloat16().float())
    torch.testing.assert_close(open_inr(back).render()[0], open_inr(face).render()[0], atol=0.02, rtol=0)


def test_only_what_an_installed_model_has_is_left_out(face: InrFile) -> None:
    """A run, or other weights than those of the model of that name: refused, and the file is not written."""
    with pytest.raises(inrkit.UsageError, match=r"installed model .*faces"):
        pack_inr(face, function_of="runs/faces")
    with pytest.raises(inrkit.UsageError, match="other weights"):
        pack_inr(face, function_of="digits")


def test_a_file_without_its_function_needs_that_very_model(
    face: InrFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the model is not installed, or was trained anew, one line says so."""
    file = save_inr(tmp_path / "face.inr", [face, face], "int8", "faces")
    assert len(load_inrs(file)) == 2
    weights = {name: value + 1 for name, value in face.function_state.items()}
    monkeypatch.setattr(reference, "_weights", lambda model: weights)
    with pytest.raises(inrkit.DataError, match="has other weights, so install the version"):
        load_inrs(file)
    monkeypatch.setattr(reference, "load_plugins", lambda: type("None", (), {"models": {}}))
    with pytest.raises(inrkit.DataError, match="'faces' has; that is not installed, so install"):
        load_inrs(file)
