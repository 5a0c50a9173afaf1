"""The page that evaluates INRs in a browser, against `inrkit render`; in a real one, where there is one."""

import re
import shutil
import subprocess
from html import escape
from pathlib import Path

import attrs
import pytest
import torch
from torch import Tensor
from toy import ToyModality

import inrkit
from inrkit.inference.export import export
from inrkit.inference.opened import open_inr
from inrkit.inference.viewer import GlslExporter, GlslOptions, PageExporter, PageOptions
from inrkit.metrics.metric import psnr
from inrkit.storage.inrfile import InrFile
from inrkit.testing import Subject

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = ["--headless", "--no-sandbox", "--use-gl=angle", "--window-size=300,600"]
SOFTWARE = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
N = 16
SMALL = {"size": [16, 16], "width": 16, "heads": 2, "hidden": 16, "depth": 1, "decoder_depth": 1}
MLP = {"width": 32, "depth": 3, "frequencies": 5, "octaves": 4.0}
FUNCTIONS = {
    "anr": ("image", {"inr_width": 24, "inr_inner": 20}),
    "anr-cut": ("image", {"function_options": {"threshold": 0.004}}),
    "mlp": ("image", {"function": "mlp", "function_options": MLP}),
    "siren": ("image", {"function": "siren", "function_options": {"width": 32, "latent": 24}}),
    "grid": ("image", {"function": "grid", "function_options": {"interpolation": "cubic"}}),
    "nearest": ("image", {"function": "grid", "function_options": {"interpolation": "nearest"}}),
    "windows": ("image", {"function": "windows", "function_options": {"patch": 4, "width": 18, "hidden": 16}}),
    "triplane": ("image", {"function": "triplane", "function_options": {"grid": 4, "features": 6}}),
    "blurred": (
        "nerf",
        {
            "function": "triplane",
            "function_options": {"grid": 4, "patch": 2, "features": 6, "width": 16, "mip": True},
            "render_samples": 8,
            "occupancy": 0,
        },
    ),
    "voxels": (
        "nerf",
        {
            "function": "voxels",
            "function_options": {"side": 8, "patch": 4},
            "render_samples": 8,
            "occupancy": 0,
        },
    ),
    "object": ("nerf", {"function_options": MLP, "render_samples": 8, "occupancy": 0}),
    "cones": ("nerf", {"function_options": {**MLP, "mip": True}, "render_samples": 8, "occupancy": 0}),
}


def signal(name: str) -> InrFile:
    """An INR of a small untrained model, its params moved so that there is something to see."""
    modality, options = FUNCTIONS[name]
    subject = Subject(modality, options={**SMALL, **options})
    inr = subject.model.inr(subject.encoded, 0, {"title": f"<b>{name}"})
    generator = torch.Generator().manual_seed(1)
    moved = {key: value + 0.3 * torch.randn(value.shape, generator=generator) for key, value in inr.params.items()}
    return attrs.evolve(inr, params=moved)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page for each function."""
    folder = tmp_path_factory.mktemp("pages")
    for name in FUNCTIONS:
        export(signal(name), PageExporter(), PageOptions(), folder / f"{name}.html")
    return folder


def seen_in_a_browser(pages: Path, flags: list[str]) -> str:
    """The document after all pages were shown in frames of it, with what each frame has to say."""
    frames = []
    for name in FUNCTIONS:
        asked = f"inr.render({N}, {N}).data.join()"
        told = f"const problem = document.getElementById('problem'), said = parent.document.getElementById('{name}');"
        told += f"inr.ready.then(() => said.textContent = problem.hidden ? {asked} : problem.textContent)"
        page = (pages / f"{name}.html").read_text().replace("</body>", f"<script>{{{told}}}</script></body>")
        frames.append(f'<p id="{name}"></p><iframe width=80 height=80 srcdoc="{escape(page)}"></iframe>')
    (pages / "all.html").write_text("<!doctype html><body>" + "".join(frames))
    command = [
        str(CHROMIUM),
        *FLAGS,
        *flags,
        f"--user-data-dir={pages / 'profile'}",
        "--virtual-time-budget=60000",
        "--dump-dom",
    ]
    return subprocess.run(
        [*command, (pages / "all.html").as_uri()], capture_output=True, text=True, timeout=200, check=True
    ).stdout


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_a_browser_shows_what_render_shows(pages: Path) -> None:
    """The canvas is within 40 dB of `inrkit render`, for every function, at a size that is not that of training."""
    document = seen_in_a_browser(pages, SOFTWARE)
    for name in FUNCTIONS:
        found = re.search(rf'<p id="{name}">(.*?)</p>', document, re.S)
        assert found, name
        assert re.fullmatch(r"[\d,]+", found[1]), f"{name}: {found[1][:500]}"
        pixels = torch.tensor([int(x) for x in found[1].split(",")]).view(N, N, 4)[..., :3].movedim(-1, 0) / 255
        wanted = shown(signal(name))
        assert wanted.std() > 0.03, name
        assert psnr(pixels[None], wanted, peak=1).item() > 40, name


def shown(inr: InrFile) -> Tensor:
    opened = open_inr(inr)
    return opened.modality.display.pictures(opened.render({"size": f"{N}x{N}"})[0][None])


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_a_browser_without_webgl_says_so(pages: Path) -> None:
    """The page tells its reader what is missing, and shows no controls."""
    document = seen_in_a_browser(pages, ["--disable-gpu", "--disable-3d-apis"])
    assert document.count("This page needs WebGL2") >= len(FUNCTIONS)


def test_a_page_is_one_small_file_that_fetches_nothing(pages: Path) -> None:
    """No address, no library; a title cannot become markup."""
    for name in FUNCTIONS:
        text = (pages / f"{name}.html").read_text()
        assert not re.search(r"https?:|src=|@import|<link", text.replace("src: signal", ""))
        assert "default-src 'none'" in text
        assert "<b>" not in text
        assert len(text) < 150_000


def test_glsl_has_its_numbers_beside_it(tmp_path: Path) -> None:
    """The file of numbers is a whole texture, in the order of the tables."""
    written = export(signal("mlp"), GlslExporter(), GlslOptions(), tmp_path / "one.glsl")
    assert [path.name for path in written] == ["one.glsl", "one.glsl.f32"]
    numbers = torch.frombuffer(bytearray(written[1].read_bytes()), dtype=torch.float32)
    assert len(numbers) % (4 * 1024) == 0
    shader = open_inr(signal("mlp"))
    wanted = shader.measure.function.glsl(shader.params).numbers()
    assert torch.equal(numbers[: wanted.numel()].view(-1, 4), wanted)
    assert "void field(vec4 x, vec4 v, out vec4 y[OUTPUTS])" in written[0].read_text()


def test_what_cannot_be_shown_is_said_and_nothing_is_written(tmp_path: Path) -> None:
    """A modality without a view, a function without GLSL: one line with what to do."""
    subject = Subject(ToyModality)
    opened = open_inr(subject.model.inr(subject.encoded, 0), modality=ToyModality)
    with pytest.raises(inrkit.UsageError, match=r"`Display\.view`"):
        PageExporter().run(opened, PageOptions(), tmp_path / "toy.html")
    with pytest.raises(inrkit.UsageError, match="does not say itself in GLSL"):
        GlslExporter().run(opened, GlslOptions(), tmp_path / "toy.glsl")
    assert not list(tmp_path.iterdir())
