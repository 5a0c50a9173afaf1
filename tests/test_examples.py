"""Every example runs, at a tiny size, as a user would run it."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import inrkit
from inrkit.nn.fourier import grid_centers
from inrkit.storage.named import find_run
from inrkit.testing import Subject
from inrkit_image.embedded.faces import EmbeddedFaces
from inrkit_image.formats.picture import write_image

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
SMALL = ["options.width=16", "options.heads=2", "options.hidden=16", "options.depth=1", "options.decoder_depth=1"]
SMALL += ["options.count=64", "options.inr_width=16", "options.inr_inner=16", "batch_size=8"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("example") / "run"
    inrkit.train(modality="image", steps=2, overrides=SMALL, out=out, progress=False)
    return out


class Runner:
    """Runs a script with arguments in a folder of its own, and returns what it says."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.monkeypatch, self.capsys = folder, monkeypatch, capsys
        monkeypatch.chdir(folder)

    def __call__(self, name: str, *args: object) -> str:
        script = next(path for path in EXAMPLES if path.name == name)
        self.monkeypatch.setattr(sys, "argv", [str(script), *map(str, args)])
        runpy.run_path(str(script), run_name="__main__")
        return self.capsys.readouterr().out


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Runner:
    return Runner(tmp_path, monkeypatch, capsys)


def test_every_example_is_tested() -> None:
    """A script without a test here would rot."""
    text = Path(__file__).read_text()
    assert EXAMPLES
    assert all(f'"{path.name}"' in text for path in EXAMPLES)


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda path: path.stem)
def test_help_shows_how_to_start_it(script: Path, run: Runner) -> None:
    """`--help` ends well and shows the docstring with its command, which names the script."""
    with pytest.raises(SystemExit) as end:
        run(script.name, "--help")
    assert end.value.code == 0
    assert f"python examples/{script.name}" in run.capsys.readouterr().out


def test_fit_one_image(run: Runner) -> None:
    """Fitting a single picture gets better with more steps, and leaves a large picture, which it reads as well."""
    short = float(run("fit_one_image.py", "--steps", 2, "--size", "64x48").split(" dB")[0])
    longer = float(run("fit_one_image.py", "fitted.png", "--steps", 20, "--out", "again.png").split(" dB")[0])
    assert longer > short + 1
    assert (run.folder / "again.png").exists()


def test_train_on_a_folder(run: Runner) -> None:
    """Pictures in, a run with a report out, broken files reported; the same command again finds all done."""
    (run.folder / "pictures").mkdir()
    for i, picture in enumerate(EmbeddedFaces("train", 24, (36, 32)).read(range(24))["values"]):
        write_image(picture / 127.5 - 1, run.folder / "pictures" / f"{i:02d}.png")
    (run.folder / "pictures" / "broken.png").write_bytes(b"not a picture")
    command = ["pictures", "--size", 16, "--steps", 2, "--out", "runs/f", *(p for s in SMALL for p in ("--set", s))]
    said = run("train_on_a_folder.py", *command)
    assert "trained 2 steps" in said
    assert "skipped broken.png" in said
    assert (run.folder / "runs" / "f" / "report.html").exists()
    assert "trained 2 steps" in run("train_on_a_folder.py", *command)


def test_sample_and_save(trained: Path, run: Runner) -> None:
    """As many pictures and INR files as announced."""
    run("sample_and_save.py", trained, "-n", 2, "--size", "40x30")
    assert len(list((run.folder / "generated").glob("*.png"))) == 4
    assert len(list((run.folder / "generated").glob("*.inr"))) == 4


def test_render_finer(trained: Path, run: Runner) -> None:
    """Prints the comparison with the truth, and shows it."""
    assert "averaged back" in run("render_finer.py", trained, "-n", 2, "--scale", 2)
    assert (run.folder / "finer.png").exists()


OBJECTS = [
    "width=16",
    "heads=2",
    "hidden=16",
    "depth=1",
    "decoder_depth=1",
    "query_views=1",
    "query_rays=8",
    "groups=4",
]
OBJECTS += ["samples=4", "render_samples=4", "function_options.width=16", "size=16,16"]


def posed(folder: Path) -> Path:
    """Three cars, each from four sides, as a user would keep them."""
    from inrkit_nerf.cameras import orbit
    from inrkit_nerf.embedded.cars import render_cars

    cameras = orbit(4, 1.13, 25, size=(20, 20))
    listed = []
    for car, views in enumerate(render_cars(torch.arange(3), cameras)):
        for i, view in enumerate(views):
            (folder / f"{car}").mkdir(parents=True, exist_ok=True)
            write_image(view * 2 - 1, folder / f"{car}/{i}.png")
            pose, intrinsics = cameras.pose[i].tolist(), cameras.intrinsics[i].tolist()
            listed.append({"file": f"{car}/{i}.png", "object": f"car {car}", "pose": pose, "intrinsics": intrinsics})
    (folder / "cameras.json").write_text(json.dumps({"convention": "opencv", "images": listed}))
    return folder


def test_posed_pictures_become_a_model_and_its_turntable(run: Runner) -> None:
    """From a folder to a store, a run and an animation; the turntable example then takes one of the pictures."""
    folder = posed(run.folder / "cars")
    sets = [part for option in OBJECTS for part in ("--set", f"options.{option}")]
    small = ["--set", "batch_size=4", "--set", "precision=fp32"]
    said = run(
        "posed_pictures.py", folder, "--size", "16x16", "--steps", 2, "--out", run.folder / "posed", *small, *sets
    )
    assert said.splitlines()[-1] == f"written: {run.folder / 'posed' / 'new.gif'}"
    said = run("turntable.py", run.folder / "posed", folder / "0/1.png", "--views", 3, "--size", "12x12")
    no_mesh = (
        "no mesh: object.inr: expected the mesh of a solid, found no surface at level 15"  # it has learned nothing
    )
    assert said.startswith(f"written: turn.webp\n{no_mesh}")
    with Image.open(run.folder / "turn.webp") as animation:
        assert (animation.n_frames, animation.size) == (3, (12, 12))


def test_an_operator_of_ones_own_is_kept(run: Runner, trained: Path) -> None:
    """What was measured is kept however little the model has learned, and a picture is written."""
    said = run("edit_with_operator.py", trained, "-n", "2")
    kept = float(said.split("is kept to ")[1].split(";")[0])
    assert kept < 1e-5
    with Image.open(run.folder / "recovered.png") as picture:
        assert picture.size == (2 * 32, 3 * 32)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"function_options": {"threshold": 0.004}},
        {"function": "mlp", "function_options": {"width": 32, "depth": 3, "frequencies": 5}},
        {"function": "siren", "function_options": {"width": 32, "latent": 24}},
        {"function": "grid"},
        {"function": "triplane", "function_options": {"grid": 4, "patch": 2, "features": 3, "width": 8}},
        {"function": "windows", "function_options": {"patch": 4, "width": 8, "hidden": 16}},
        {"function": "voxels", "function_options": {"side": 8, "patch": 4}},
    ],
    ids=["anr", "anr-cut", "mlp", "siren", "grid", "triplane", "windows", "voxels"],
)
def test_numpy_alone_reads_an_inr(options: dict[str, object], run: Runner) -> None:
    """Of each function, in each number format, what numpy finds is what torch finds, to 1e-5."""
    tiny = {"size": [16, 16], "width": 16, "heads": 2, "hidden": 16, "depth": 1, "decoder_depth": 1}
    subject = Subject("nerf" if options.get("function") == "voxels" else "image", options={**tiny, **options})
    inrs = [subject.model.inr(subject.encoded, i) for i in range(2)]
    for dtype in ("fp32", "bf16", "int8"):
        file = inrkit.save_inr(run.folder / "two.inr", inrs, dtype)
        run("read_inr.py", file, "--row", 1, "--side", 5)
        opened = inrkit.open_inr(file, row=1)
        side = (5,) * opened.measure.function.built_with["axes"]
        wanted = opened.measure.function(opened.params, grid_centers(side)[None])[0].view(*side, -1)
        found = torch.from_numpy(np.load(run.folder / "two.npy"))
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


def test_numpy_alone_reads_an_inr_whose_function_lies_with_a_model(run: Runner) -> None:
    """The weights that a file leaves out are read from the folder of the model that it names."""
    model = inrkit.load("faces")
    inr = model.inr(model.sample(1), 0)
    file = inrkit.save_inr(run.folder / "face.inr", inr, function_of="faces")
    run("read_inr.py", file, "--side", 5, "--model", find_run("faces")[0])
    opened = inrkit.open_inr(inr)
    wanted = opened.measure.function(opened.params, grid_centers((5, 5))[None])[0].view(5, 5, 3)
    torch.testing.assert_close(torch.from_numpy(np.load(run.folder / "face.npy")), wanted, atol=1e-5, rtol=1e-5)
