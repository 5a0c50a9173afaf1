"""INRs and encoders as ONNX and as torch.export writes them, against torch; in ONNX Runtime where it is installed."""

import importlib.util
import io
import json
from pathlib import Path

import pytest
import torch
from toy import ToyModality

import inrkit
from inrkit.inference.export import export
from inrkit.inference.opened import open_inr
from inrkit.inference.programs import OnnxExporter, ProgramOptions, Pt2Exporter
from inrkit.testing import CHECKS, Subject

SMALL = {"size": [16, 16], "width": 16, "heads": 2, "hidden": 16, "depth": 1, "decoder_depth": 1}
MLP = {"width": 32, "depth": 3, "frequencies": 5, "octaves": 4.0}
FUNCTIONS = {
    "anr-cut": ("image", {"function_options": {"threshold": 0.004}}),
    "mlp": ("image", {"function": "mlp", "function_options": MLP}),
    "siren": ("image", {"function": "siren", "function_options": {"width": 32, "latent": 24}}),
    "grid": ("image", {"function": "grid", "function_options": {"interpolation": "cubic"}}),
    "nearest": ("image", {"function": "grid", "function_options": {"interpolation": "nearest"}}),
    "windows": ("image", {"function": "windows", "function_options": {"patch": 4, "width": 18, "hidden": 16}}),
    "triplane": ("image", {"function": "triplane", "function_options": {"grid": 4, "features": 6}}),
    "voxels": (
        "nerf",
        {"function": "voxels", "function_options": {"side": 8, "patch": 4}, "render_samples": 8, "occupancy": 0},
    ),
    "cones": ("nerf", {"function_options": {**MLP, "mip": True}, "render_samples": 8, "occupancy": 0}),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("law", ["functions_can_be_exported", "shaders_are_well_formed"])
def test_every_function_keeps_the_laws_of_exports(name: str, law: str) -> None:
    """Those that no modality's own checks build by default."""
    modality, options = FUNCTIONS[name]
    if law == "functions_can_be_exported":
        pytest.importorskip("onnxruntime")
    CHECKS[law].function(Subject(modality, options={**SMALL, **options}))


@pytest.fixture(scope="module")
def subject() -> Subject:
    return Subject("image", options=SMALL)


def test_an_inr_is_a_program_of_coordinates(subject: Subject, tmp_path: Path) -> None:
    """Any number of them, in a file that needs nothing of inrkit."""
    inr = subject.model.inr(subject.encoded, 0)
    (path,) = export(inr, Pt2Exporter(), ProgramOptions(), tmp_path / "one.pt2")
    program = torch.export.load(io.BytesIO(path.read_bytes()), extra_files=(facts := {"inrkit.json": ""}))
    opened = open_inr(inr)
    for count in (1, 40):
        coords = 2 * torch.rand(count, 2) - 1
        wanted = opened.measure.function(opened.params, coords[None])[0]
        torch.testing.assert_close(program.module()(coords), wanted, atol=1e-5, rtol=1e-5)
    assert json.loads(facts["inrkit.json"])["built_with"]["name"] == "anr"


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("image", {}),
        ("image", {"decoder_depth": 0}),
        ("nerf", FUNCTIONS["cones"][1]),
        ("nerf", FUNCTIONS["voxels"][1]),
    ],
    ids=["image", "image-encoder", "nerf", "nerf-voxels"],
)
def test_a_run_is_an_encoder_and_a_function(name: str, more: dict[str, object], tmp_path: Path) -> None:
    """From values, and from where they were measured if that differs from signal to signal, to params."""
    options = {**SMALL, **more}
    subject = Subject(name, options=options)
    paths = export(subject.model, Pt2Exporter(), ProgramOptions(), tmp_path / "encoder.pt2")
    assert [path.name for path in paths] == ["encoder.pt2", "encoder-function.pt2"]
    encoder = torch.export.load(io.BytesIO(paths[0].read_bytes())).module()
    batch = subject.batch.rows(slice(0, 2))
    where = batch.support.where
    places = [where.cameras.pose, where.cameras.intrinsics] if name == "nerf" else []
    found = encoder(batch.support.values, *places)
    wanted = subject.pipeline.encode(batch.support).params
    for value, (key, other) in zip(found, wanted.items(), strict=True):
        torch.testing.assert_close(value, other, atol=1e-5, rtol=1e-5, msg=lambda text, key=key: f"{key}: {text}")


def test_what_cannot_be_exported_is_told_in_a_line(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A function that looks at values, a package that is missing; nothing is written."""
    toys = Subject(ToyModality)
    opened = open_inr(toys.model.inr(toys.encoded, 0), modality=ToyModality)
    monkeypatch.setattr(
        type(opened.measure.function), "forward", lambda self, params, coords: coords * float(coords[0])
    )
    with pytest.raises(inrkit.UsageError, match="cannot be exported for any number of signals and points") as caught:
        Pt2Exporter().run(opened, ProgramOptions(), tmp_path / "a.pt2")
    assert "\n" not in str(caught.value)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(inrkit.UsageError, match=r'needs the package \'onnx\'.* pip install "inrkit\[onnx\]"'):
        OnnxExporter().run(open_inr(subject.model.inr(subject.encoded, 0)), ProgramOptions(), tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())


def test_onnx_runtime_shows_what_torch_does(subject: Subject, tmp_path: Path) -> None:
    """The file as it lies on the disk."""
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    inr = subject.model.inr(subject.encoded, 0)
    (path,) = export(inr, OnnxExporter(), ProgramOptions(), tmp_path / "one.onnx")
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    coords = 2 * torch.rand(40, 2) - 1
    (found,) = session.run(None, {"coords": coords.numpy()})
    opened = open_inr(inr)
    wanted = opened.measure.function(opened.params, coords[None])[0]
    torch.testing.assert_close(torch.from_numpy(found), wanted, atol=1e-5, rtol=1e-5)
    assert "built_with" in session.get_modelmeta().custom_metadata_map["inrkit"]
