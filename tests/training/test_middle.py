"""The middle noise level of two steps: searched when a run ends, kept with its last checkpoint, also after a crash."""

from pathlib import Path

import pytest
from toy_run import fingerprint, train_toy

from inrkit.core.sample import MIDDLE
from inrkit.evaluation.search import TRIED
from inrkit.inference.model import Model
from inrkit.report.history import History
from inrkit.report.sheets import write_report
from inrkit.storage.checkpoint import list_checkpoints, load_checkpoint
from inrkit.training import loop

LONG = {"batch_size": 320, "sample_every": 100, "save_every": 10}
"""As many signals as a search needs, in 20 steps."""


class CrashError(Exception):
    """Stands for whatever ends a process."""


def crash(model: Model, run: Path, step: int) -> None:
    raise CrashError


def test_a_run_ends_with_the_level_of_its_two_steps(tmp_path: Path) -> None:
    """Found on training signals, used by its model and report; a crash after the last step changes nothing."""
    model = train_toy(tmp_path / "whole", **LONG)
    middle = load_checkpoint(list_checkpoints(tmp_path / "whole" / "checkpoints")[-1]).state["middle"]
    assert middle in TRIED
    assert model.times(2) == pytest.approx((80.0, middle))
    assert f"by way of noise level {middle:.3g}" in write_report(model, tmp_path / "whole").read_text()
    with pytest.raises(CrashError):
        train_toy(tmp_path / "crashed", on_sample=crash, **LONG)
    train_toy(tmp_path / "crashed", **LONG)
    assert fingerprint(tmp_path / "crashed") == fingerprint(tmp_path / "whole")


def test_it_is_said_where_two_steps_are_no_better(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the report, and while the run ends."""
    for two, said in ((3.0, False), (4.0, True)):
        monkeypatch.setattr(loop, "coarse_middle", lambda model, n, two=two: (0.25, two, 4.0))
        run = tmp_path / f"{two:g}"
        report = write_report(train_toy(run, **LONG), run).read_text()
        assert "by way of noise level 0.25" in report
        assert ("Two steps are no better than one here" in report) == said
        assert "Steps" not in History.read(run).charts()


@pytest.mark.parametrize("values", [{}, {**LONG, "objective": "diffusion"}, {**LONG, "search_times": False}])
def test_who_does_not_want_it_a_short_run_and_a_diffusion_model_search_nothing(
    tmp_path: Path, values: dict[str, object]
) -> None:
    """Their checkpoints are as they were."""
    assert train_toy(tmp_path, **values).middle == MIDDLE
    assert "middle" not in load_checkpoint(list_checkpoints(tmp_path / "checkpoints")[-1]).state
