"""`inrkit compare`: what is trained, what is measured, what is left behind."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from inrkit.cli import main
from inrkit.comparison.compare import compare, compared_runs, summary
from inrkit.comparison.measure import frechet_of
from inrkit.comparison.operations import of_training
from inrkit.comparison.scoreboard import tables_of
from inrkit.config.resolve import Resolved, resolve
from inrkit.config.toml import to_toml, unstructure
from inrkit.errors import UsageError
from inrkit.evaluation.generation import ratio_of
from inrkit.evaluation.names import ENOUGH
from inrkit.plugins import load_plugins

OPTIONS = ["size=[8,8]", "patch=4", "width=16", "depth=1", "decoder_depth=1", "heads=2", "hidden=16", "inr_width=16"]
OPTIONS += ["inr_inner=16", "inr_depth=2", "count=80"]
SETS = [*(f"options.{option}" for option in OPTIONS), "batch_size=8", "precision=fp32"]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison of two configs that differ in their batch, made through the command line."""
    folder = tmp_path_factory.mktemp("compare")
    for name, batch in (("small", 8), ("large", 24)):
        (folder / f"{name}.toml").write_text(f'modality = "image"\npreset = "tiny"\nsteps = 6\nbatch_size = {batch}\n')
    sets = [part for text in SETS[: len(OPTIONS)] for part in ("--set", text)]
    args = [str(folder / "small.toml"), str(folder / "large.toml"), *sets, "--set", "precision=fp32"]
    ended = CliRunner().invoke(main, ["compare", *args, "-n", "16", "--sizes", "16x16", "-o", str(folder / "table")])
    assert ended.exit_code == 0, ended.output
    assert "small" in ended.stdout
    assert "FLOPs per sample" in ended.stdout
    return folder / "table"


def test_everything_that_was_asked_for_is_there(out: Path) -> None:
    """Table as JSON, Markdown and HTML; every figure of every system; sheets."""
    found = json.loads((out / "compare.json").read_text())
    assert [row["name"] for row in found["systems"]] == ["small", "large"]
    for row in found["systems"]:
        assert row["parameters"] > 0
        assert row["sample_flops"] > 0
        assert row["training_flops"] > 0
        assert row["sample_seconds"]["mean"] > 0
        assert row["rate"]["size=16x16"]["mean"] > 0
        assert row["training_memory"]["mean"] > 2**20
        assert row["training_seconds"]["mean"] > 0
        assert set(row["frechet"]) == {"1 step", "2 steps", "1 step, edge filters", "2 steps, edge filters"}
    assert len((out / "compare.md").read_text().splitlines()) >= 5
    page = (out / "compare.html").read_text()
    assert page.count("<img") >= 7
    assert "<script" not in page
    assert {path.name for path in out.glob("*.png")} == {"1-step.png", "2-steps.png", "encode.png"}


def test_compute_is_equal(out: Path) -> None:
    """The system whose step costs three times as much gets a third of the steps."""
    found = {row["name"]: row for row in json.loads((out / "compare.json").read_text())["systems"]}
    assert found["small"]["step"] == 6
    assert found["large"]["step"] == 2
    assert found["large"]["training_flops"] == pytest.approx(found["small"]["training_flops"], rel=0.3)


def test_runs_are_not_trained_again(out: Path) -> None:
    """Runs are compared as they are; the first decides what all are held to; a name that is taken gets a number."""
    runs = [out / "runs" / "small", out / "runs" / "large", out / "runs" / "small"]
    before = [(run / "metrics.jsonl").read_bytes() for run in runs]
    result = compare(runs, out / "again", n=16)
    assert [row["name"] for row in result["rows"]] == ["small", "large", "small (2)"]
    assert result["rows"][0]["frechet"] == result["rows"][2]["frechet"]
    assert [(run / "metrics.jsonl").read_bytes() for run in runs] == before


def test_each_config_meets_each_seed(tmp_path: Path) -> None:
    """Names and directories tell them apart; steps of one system are the same for all seeds."""
    (tmp_path / "a.toml").write_text('modality = "image"\nsteps = 4\n')
    found = compared_runs([tmp_path / "a.toml", tmp_path / "a.toml"], tmp_path, seeds=(0, 7), equal=True, sets=SETS)
    assert [c.name for c in found] == ["a #0", "a #7", "a (2) #0", "a (2) #7"]
    assert len({c.path for c in found}) == 4
    assert [c.config.seed for c in found] == [0, 7, 0, 7]
    assert len({c.config.steps for c in found}) == 1
    assert of_training(Resolved.of(found[0].config)) > 0


def test_runs_with_other_seeds_are_one_system(tmp_path: Path) -> None:
    """Whatever their directories are called."""
    for seed, name in ((3, "mine-3"), (4, "other"), (5, "third")):
        resolved = resolve("image", overrides=[*SETS, f"steps={5 if name == 'third' else 4}"], flags={"seed": seed})
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.toml").write_text(to_toml(unstructure(resolved.config)))
    runs = [tmp_path / name for name in ("mine-3", "other", "third")]
    found = compared_runs(runs, tmp_path, seeds=(0,), equal=False, sets=())
    assert [c.name for c in found] == ["mine", "mine #4", "third"]


def test_a_failure_is_a_row(tmp_path: Path, out: Path) -> None:
    """A run that diverges is told, and the others are compared."""
    (tmp_path / "wild.toml").write_text('modality = "image"\nsteps = 4\nlr = 1e30\nwarmup = 0\noptimizer = "adamw"\n')
    result = compare([out / "runs" / "small", tmp_path / "wild.toml"], tmp_path / "t", n=16, sets=SETS, equal=False)
    assert result["systems"][1]["reason"] == "training ended with exit code 5"
    assert "exit code 5" in (tmp_path / "t" / "compare.md").read_text()
    assert result["systems"][0]["reconstruction"]["mean"] > 0


def test_means_and_spread_over_seeds() -> None:
    """Figures of luck have a standard deviation, figures of a config have none."""
    row = {
        "parameters": 3,
        "sample_flops": 1,
        "step_flops": 1,
        "training_flops": 1,
        "step": 5,
        "steps": 5,
        "training_seconds": 1.0,
        "training_memory": None,
        "sample_seconds": 0.1,
        "rate": {},
    }
    runs = [
        {
            **row,
            "system": "a",
            "name": f"a #{i}",
            "reconstruction": value,
            "frechet": {"1 step": 2 * value},
            "frechet_ratio": {"1 step": value},
            "frechet_ratio_error": {"1 step": 0.25},
        }
        for i, value in enumerate((1.0, 2.0, 3.0))
    ]
    found = summary([*runs, {"system": "a", "name": "a #3", "failed": "it broke"}])
    assert found["reconstruction"] == {"mean": 2.0, "std": 1.0}
    assert found["frechet"]["1 step"] == {"mean": 4.0, "std": 2.0}
    assert found["frechet_ratio"]["1 step"] == {"mean": 2.0, "std": 1.0}
    assert summary(runs[:1])["frechet_ratio"]["1 step"] == {"mean": 1.0, "error": 0.25}
    assert found["training_memory"] == {}
    assert (found["name"], found["runs"], found["failed"], found["parameters"]) == ("a", 4, 1, 3)


def test_a_diffusion_model_is_held_to_its_own_sampler(tmp_path: Path, out: Path) -> None:
    """Its samples come from the end of its path."""
    (tmp_path / "diffusion.toml").write_text('modality = "image"\nsteps = 2\nobjective = "diffusion"\n')
    given = [out / "runs" / "small", tmp_path / "diffusion.toml"]
    result = compare(given, tmp_path / "t", n=16, sets=SETS, equal=False)
    assert [set(row["frechet"]) for row in result["systems"]] == [
        {"1 step", "2 steps", "1 step, edge filters", "2 steps, edge filters"},
        {"18 steps", "18 steps, edge filters"},
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["nothing"], "at least two"),
        (["here", "there"], "expected a run directory, a .toml file or MODALITY:PRESET"),
        (["image:tiny", "none.toml"], "none.toml: expected a config, found none"),
        (["image:none", "image:tiny"], "has no preset 'none'"),
    ],
)
def test_what_cannot_be_compared_is_told(given: list[str], said: str, tmp_path: Path) -> None:
    """One line says what was expected."""
    with pytest.raises(UsageError, match=said):
        compare(given, tmp_path, equal=False)


def test_other_kinds_of_signals_are_refused_before_anything_is_trained(tmp_path: Path) -> None:
    """Pictures beside objects are no comparison, though both can be shown as pictures."""
    with pytest.raises(UsageError, match="expected one kind of signals, found image and nerf"):
        compare(["image:tiny", "nerf:tiny"], tmp_path / "t", sets=["steps=1"])
    assert not list((tmp_path / "t").iterdir())


def system(name: str, ratio: float) -> dict[str, object]:
    """One system of a comparison."""
    one = {"mean": 1.5, "std": 0.25}
    return {
        "name": name,
        "runs": 2,
        "failed": 0,
        "parameters": 3e6,
        "sample_flops": 1e9,
        "step_flops": 1e12,
        "training_flops": 1e15,
        "step": 5000.0,
        "steps": 8000.0,
        "training_seconds": {"mean": 6e4, "std": 40.0},
        "training_memory": {"mean": 2.0**34},
        "sample_seconds": one,
        "rate": {"size=128x128": one},
        "reconstruction": one,
        "frechet": {"1 step": {"mean": ratio}},
        "frechet_ratio": {
            f"{n}{s}": {"mean": ratio, "std": 0.1} for n in ("1 step", "2 steps") for s in ("", ", edge filters")
        },
    }


@pytest.mark.parametrize(("n", "told"), [(1000, True), (ENOUGH - 1, False)])
def test_multiples_of_the_floor_need_enough_signals(n: int, told: bool) -> None:
    """Of a handful of signals noise can seem better than real ones: no multiple is shown, and the page says why."""
    ratios = system("a", 0.67)["frechet_ratio"] if told else {}
    result = {
        "n": n,
        "needed": ENOUGH,
        "spaces": ["random-filters"],
        "systems": [{**system("a", 0.67), "frechet_ratio": ratios}],
        "rows": [],
    }
    quality, *_ = tables_of(result)
    training = tables_of(result)[1]
    assert training.rows[0][training.head.index("steps")] == "5,000 of 8,000"
    assert any("Fréchet" in name for name in quality.head) == told
    assert ("floor" in quality.note) == told
    assert (f"need {ENOUGH} signals" in quality.note) != told
    assert (ratio_of({"frechet": 2.0, "count": n, "needed": 65}, {"frechet": 4.0}) is not None) == told


@pytest.mark.parametrize(("real", "floor"), [(1, 100), (100, 3)])
def test_too_few_signals_have_no_distances(real: int, floor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """No third neighbour, and no covariance: such runs are compared by what is left."""
    monkeypatch.setattr("inrkit.comparison.measure._pictures", None)
    reference: Any = SimpleNamespace(real=range(real), floor=range(floor))
    assert frechet_of(None, reference, (80.0,)) == {}  # type: ignore[arg-type]


def test_tables_fit_a_terminal_of_120_columns() -> None:
    """Three tables of which every line has its columns apart."""
    result = {
        "n": 1000,
        "needed": 337,
        "spaces": ["random-filters"],
        "systems": [system("image-tiny-unet", 1.2), system("b", 3.4)],
    }
    for table in tables_of(result):
        cells = [
            max(map(len, [*(row[i] for row in table.rows), *table.head[i].split()])) for i in range(len(table.head))
        ]
        assert sum(cells) + 2 * len(cells) <= 120


def test_runs_of_two_sizes_are_refused_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both sizes are named."""
    monkeypatch.setattr("inrkit.comparison.compare.run_figures", None)
    models = [load_plugins().model(name) for name in ("faces", "digits")]
    with pytest.raises(UsageError, match=r"its pictures are 28x28, those of the first run are 32x32; compare runs of"):
        compare(models, tmp_path, n=16)
