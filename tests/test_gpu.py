"""`make gpu` without a GPU: whatever happens in a part, the others run and gpu.json is whole."""

import importlib.metadata
import importlib.util
import json
import signal
import sys
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

ROOT = Path(__file__).parents[1]


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """scripts/gpu.py as a module, in no hurry and patient with nobody."""
    spec = importlib.util.spec_from_file_location("gpu_script", ROOT / "scripts" / "gpu.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "gpu_script", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "MARGIN", 0.0)
    monkeypatch.setattr(module, "GRACE", 0.5)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return module


def part_of(gpu: ModuleType, folder: Path, name: str, code: str, share: float = 60.0, needs: Any = ()) -> Any:
    """A part that runs this code."""
    script = folder / f"{name}.py"
    script.write_text(
        f"import json, os, signal, sys, time\ndef row(**cells): print(json.dumps(cells), flush=True)\n{code}"
    )
    return gpu.Part(name, script, share, needs)


def found(gpu: ModuleType, folder: Path, *parts: Any) -> tuple[int, dict[str, Any]]:
    """The exit code, and gpu.json."""
    code = gpu.main(["--device", "cpu", "--out", str(folder / "out")], parts)
    return code, json.loads((folder / "out" / "gpu.json").read_text())


def test_a_crash_or_a_hang_costs_the_other_parts_nothing(gpu: ModuleType, tmp_path: Path) -> None:
    """What a part had found before stays, lines that are no rows do not count, and the best figure is picked."""
    code, report = found(
        gpu,
        tmp_path,
        part_of(
            gpu,
            tmp_path,
            "crash",
            "row(a=1)\nprint('half a li', flush=True)\nprint('why', file=sys.stderr)\nos.abort()",
        ),
        part_of(gpu, tmp_path, "hang", "signal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(99)", share=2.0),
        part_of(gpu, tmp_path, "fine", "row(figure='P6', s=3.0, what='slow')\nrow(figure='P6', s=2.0, what='fast')"),
        part_of(gpu, tmp_path, "error", "row(what='x', error='no memory')"),
    )
    parts = report["parts"]
    assert code == 1
    assert report["state"] == "finished"
    assert {name: part["state"] for name, part in parts.items()} == {
        "crash": "failed",
        "hang": "cut",
        "fine": "done",
        "error": "done",
    }
    assert parts["crash"]["rows"] == [{"a": 1}]
    assert "why" in parts["crash"]["log"]
    assert parts["hang"]["seconds"] < 60
    assert parts["error"]["errors"] == 1
    assert (report["figures"]["P6"]["s"], report["figures"]["P6"]["by"]) == (2.0, "fast")


def test_a_signal_leaves_what_there_is(gpu: ModuleType, tmp_path: Path) -> None:
    """SIGTERM ends the part that runs; the file says what was not begun, and the exit code which signal it was."""
    before = signal.getsignal(signal.SIGTERM)
    stopping = "row(a=1)\nos.kill(os.getppid(), signal.SIGTERM)\ntime.sleep(99)"
    first, second = part_of(gpu, tmp_path, "first", stopping), part_of(gpu, tmp_path, "second", "row(b=1)")
    code, report = found(gpu, tmp_path, first, second)
    assert code == 128 + signal.SIGTERM
    assert report["state"] == "stopped"
    assert report["parts"]["first"]["rows"] == [{"a": 1}]
    assert report["parts"]["second"] == {"state": "skipped", "reason": "stopped"}
    assert signal.getsignal(signal.SIGTERM) == before


def test_no_time_and_no_package_are_said(gpu: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that lacks a package, or time, is left out with a reason, which is no failure."""
    monkeypatch.setattr(gpu, "bounds", lambda: {"no-such-package": "1.0", "torch": "2.6"})
    monkeypatch.setattr(gpu, "MARGIN", 5.0)
    lacking = part_of(gpu, tmp_path, "lacking", "row(a=1)", needs=("no-such-package",))
    late = part_of(gpu, tmp_path, "late", "row(a=1)", share=4.0)
    code, report = found(gpu, tmp_path, lacking, late, part_of(gpu, tmp_path, "fine", "row(a=1)"))
    assert code == 0
    assert report["lacking"] == ["no-such-package"]
    assert report["parts"]["lacking"] == {"state": "left out", "reason": "needs no-such-package"}
    assert report["parts"]["late"]["state"] == "skipped"
    assert report["parts"]["fine"]["state"] == "done"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_there_is_one_line(gpu: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is run or written."""
    assert gpu.main(["--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr()
    assert told.err.startswith("gpu.py: expected a CUDA device, found none")
    assert told.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_wheels_stand_in_for_what_is_missing(gpu: ModuleType, tmp_path: Path) -> None:
    """Those that this Python can use as they are; what is installed stays, and a damaged one is passed over."""
    names = {
        "lonely_package-1.0-py3-none-any.whl": "lonely.py",
        "foreign_package-1.0-cp312-cp312-win_amd64.whl": "foreign.py",
        "torch-99.0-py3-none-any.whl": "torch.py",
    }
    for name, member in names.items():
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr(member, "")
    (tmp_path / "damaged_package-1.0-py3-none-any.whl").write_bytes(b"PK not a zip")
    site = tmp_path / "site"
    site.mkdir()
    assert gpu.unpack(tmp_path, site) == ["lonely_package-1.0-py3-none-any.whl"]
    assert [path.name for path in site.iterdir()] == ["lonely.py"]


def test_plugins_are_announced_as_an_installation_would(gpu: ModuleType, tmp_path: Path) -> None:
    """A checkout that was never installed has the version and the entry points of pyproject.toml."""
    gpu.announce(tmp_path)
    (ours,) = importlib.metadata.distributions(path=[str(tmp_path)])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (ours.name, ours.version) == (project["name"], project["version"])
    points = {point.name: point.value for point in ours.entry_points.select(group="inrkit")}
    assert points == project["entry-points"]["inrkit"]


def test_the_tests_marked_gpu_are_a_part(gpu: ModuleType, tmp_path: Path) -> None:
    """Here they are skipped or pass; each is a row, and so is how many there were of each outcome."""
    arguments = ["--device", "cpu", "--smoke", "--minutes", "20", "--out", str(tmp_path / "out"), "--parts", "tests"]
    assert gpu.main(arguments) == 0
    *each, whole = json.loads((tmp_path / "out" / "gpu.json").read_text())["parts"]["tests"]["rows"]
    assert whole.pop("what") == "tests"
    assert sum(whole.values()) == len(each) > 0
