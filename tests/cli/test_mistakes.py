"""Mistakes that the arguments alone show are answered before torch is imported, which takes most of a start."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from inrkit.cli import remembered
from inrkit.storage.cache import VARIABLE

MISTAKES = {
    "train --readout directt": "there are literal, two-headed, direct. Did you mean 'direct'?",
    "train --set options.wdith=64": "'options.wdith': no such key",
    "train --set options.width=wide": "--set: 'options.width': expected int, found 'wide'",
    "train --set options.width=-64": "options: 'width' must be at least 4 (got -64)",
    "train --config wrong.toml": "options: 'widht': no such key. Did you mean 'options.width'?",
    "train --set options.widht=3": "'options.widht': no such key. Did you mean 'options.width'?",
    "train --set optimizer.rl=1": "found 'rl' below it. Did you mean 'lr'?",
    "train --set phases.0.x=1": "expected items first: the list is empty, found '0'",
    "train --modality nerf --set options.viewz=2": "Did you mean 'options.views'?",
    "data import images . -o out.h5 --siez 8x8": "No such option '--siez'",
    "data import images . -o out.h5 --limit many": "--limit: expected int",
    "data import nerfstudio . -o out.h5 --viewz 3": "Did you mean one of: '--size', '--views'",
    "data import colmap . -o out.h5 --limit many": "--limit: expected int",
    "data import colmap . -o out.h5 --limit 0": "'--limit' must be at least 1 (got 0)",
    "train --set objective_options.lambda_reconn=1": "Did you mean 'objective_options.lambda_recon'?",
    "train --set objective_options.lambda_recon=much": "'objective_options.lambda_recon': expected float, found 'much'",
    "train --set objective_options.lambda_recon=-1": "objective_options: 'lambda_recon' must be >= 0 (got -1.0)",
    "train --set objective_options.curriculum.qq=1": "Did you mean 'objective_options.curriculum.q'?",
    "train --objective meanflow --set objective_options.jmps=1": "Did you mean 'objective_options.jumps'?",
    "train --set readout_options.widht=1": "Did you mean 'readout_options.width'?",
    "train --readout literal --set readout_options.width=1": "'readout_options.width': no such key; expected one of",
    "train --preset ect-cifar10 --set objective_options.lambda_gene=1": "'objective_options.lambda_gene': no such key",
    "export faces mesh --set cellz=3": "Did you mean 'cells'?",
    "evaluate faces --features mobilenet --set wieghts=a": "Did you mean 'weights'?",
    "data import images . out.h5": "without it. Did you mean 'inrkit data import images . -o out.h5'?",
    "data import npz .": "Missing option '-o' / '--out'",
    "train --preset nope": "'image' has no preset 'nope'; there are tiny,",
    "train --modality nope": "no modality named 'nope'",
    "train --modality nerf --preset tiny-mlpp": "'nerf' has no preset 'tiny-mlpp'",
    "train --objective nope": "no objective named 'nope'",
    "train --tracker nope": "no tracker named 'nope'",
    "train --stepz 4": "No such option '--stepz'",
    "train --set nope=3": "'nope': no such key",
    "train --steps -1": "'--steps' must be at least 1 (got -1)",
    "train --size huge": "huge",
    "train --device gpu": "'--device' must be auto, cpu, cuda, mps, xpu, or one of several as cuda:1 (got 'gpu')",
    "train --dry-run --device gpu": "'--device' must be auto",
    "train --data no/such": "no/such: expected a file, found none of that name",
    "evaluate faces --metrics fid": "no metric named 'fid': 'frechet' is the same distance",
    "evaluate faces --features nope": "no feature named 'nope'",
    "evaluate nope": "nope: expected a run directory, or the name of a model",
    "evaluate faces --data no.h5": "no.h5: expected a file",
    "sample no/such": "no/such: expected a run directory",
    "sample .": ".: expected a run directory with a config.toml, found none; train one first",
    "sample facez": "Did you mean 'faces'?",
    "sample faces --sampler nope": "no sampler named 'nope'",
    "sample faces --size 3y": "'--size' is positive numbers such as 64x64",
    "sample faces --device gpu": "'--device' must be auto",
    "encode nope mistakes.json": "nope: expected a run directory",
    "encode faces no.png": "Path 'no.png' does not exist",
    "edit nope mistakes.json --task denoise": "nope: expected a run directory",
    "evaluate faces -n 10": "'-n' must be at least 16, and 300 for figures of sets such as Fréchet (got 10)",
    "compare faces faces --limit 4 -o out": "'-n' must be at least 16",
    "edit faces mistakes.json --task colourise": "'interpolate'. Did you mean 'colorize'? See",
    "edit faces mistakes.json --task super-resolution": "Did you mean 'superres'?",
    "edit faces mistakes.json --task inpainting": "Did you mean 'inpaint'?",
    "edit faces mistakes.json --task denoising": "Did you mean 'denoise'?",
    "edit faces mistakes.json --task upscale": "Did you mean 'superres'?",
    "encode faces mistakes.json --split held-out": "'--split': 'held-out' is not one of 'train', 'test', 'all'.",
    "encode faces mistakes.json --dtype fp16": "Did you mean 'bf16'?",
    "edit faces mistakes.json --task inpaint": "'inpaint' needs one of '--mask', '--box' and '--text'",
    "render no.inr": "no.inr: expected a file, found none of that name; check the path",
    "export no.inr mesh": "no.inr: expected a file",
    "export nope mesh": "nope: expected a run directory",
    "export faces nope": "no exporter named 'nope'",
    "compare no1 no2 -o out": "no1: expected a run directory, a .toml file or MODALITY:PRESET, found none of them",
    "compare image:tiny nerv:cars -o out": "Did you mean 'nerf'?",
    "report nope": "nope: expected a run directory",
    "models save nope -o out": "nope: expected a run directory",
    "data import nope here": "no importer named 'nope'",
    "data import transforms here": "Did you mean 'nerfstudio'?",
    "data import images nope -o out.h5": "nope: expected a file",
    "data info no.h5": "no.h5: expected a file",
    "data info mistake.jsn": "check the path. Did you mean 'mistakes.json'?",
    "sample mistaken.json": "train one first. Did you mean 'mistakes.json'?",
    "data verify no.h5": "no.h5: expected a file",
    "plugins check nope": "no plugin or modality named 'nope'",
    "generate": "Did you mean 'sample'?",
}

REMEMBERED = {
    "modality": ["image", "nerf"],
    "objective": ["inrct", "ect", "meanflow"],
    "importer": ["nerfstudio", "colmap"],
    "exporter": ["mesh"],
    "feature": ["mobilenet"],
}


def test_mistakes_are_answered_without_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line that names what is wrong, whatever was mistyped; presets are remembered from the last time."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    for kind, names in REMEMBERED.items():
        assert all(remembered.settings(kind, name) is not None for name in names)
    assert all(remembered.readout(name) is not None for name in ("direct", "literal"))
    (tmp_path / "wrong.toml").write_text("[options]\nwidht = 64\n")
    (tmp_path / "mistakes.json").write_text(json.dumps(MISTAKES))
    script = """
import json, sys
from pathlib import Path
from click.testing import CliRunner
from inrkit.cli import main
sys.modules["torch"] = None
for line, said in json.loads(Path("mistakes.json").read_text()).items():
    done = CliRunner().invoke(main, line.split())
    assert done.exit_code in (2, 3) and said in done.stderr, (line, done.stderr)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
