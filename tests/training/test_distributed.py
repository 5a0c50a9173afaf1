"""Several processes learn what one learns at the same global batch."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from toy import ToyModality
from toy_run import fingerprint, in_child, train_toy, weights

from inrkit import DirectReadout, Grid, GridObservation
from inrkit.errors import UsageError
from inrkit.inference.model import Model
from inrkit.machine.processes import Ranks, joined
from inrkit.machine.signals import StoppedError
from inrkit.training.stopping import EarlyStopping


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def one_rank(rank: int, world: int, port: int, out: Path, values: dict[str, object]) -> None:
    """What torchrun's environment makes of a process."""
    torch.set_num_threads(1)
    os.environ.update(
        RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(world), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port)
    )
    try:
        train_toy(out, **values)
    except StoppedError as error:
        sys.exit(error.exit_code)


def train_ranks(world: int, out: Path, expected: int = 0, **values: object) -> None:
    """A run of several processes, all of which leave with the expected code."""
    port = free_port()
    children = [in_child(one_rank, rank, world, port, out, values) for rank in range(world)]
    for child in children:
        child.join(timeout=120)
    codes = [child.exitcode for child in children]
    for child in children:
        child.kill()
    assert codes == [expected] * world


def terminate(model: object, run: Path, step: int) -> None:
    """Only the first process is told to stop; the others have to hear of it."""
    os.kill(os.getpid(), signal.SIGTERM)


def losses(run: Path) -> torch.Tensor:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return torch.tensor([line["loss"] for line in lines if "loss" in line], dtype=torch.float64)


def test_two_processes_equal_one(tmp_path: Path) -> None:
    """Same global batch, same weights and losses up to the order of sums."""
    one = train_toy(tmp_path / "one")
    train_ranks(2, tmp_path / "two")
    two = Model.load(tmp_path / "two", modality=ToyModality)
    torch.testing.assert_close(weights(two), weights(one), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(losses(tmp_path / "two"), losses(tmp_path / "one"), rtol=1e-5, atol=1e-5)


def two_passes(rank: int, world: int, port: int, out: Path) -> None:
    """The gradient of a loss of two passes of the student, over our share of four rows."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    os.environ.update(
        RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(world), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port)
    )
    with joined("cpu") as ranks:
        pipeline = ToyModality(ToyModality.Options(size=16)).build(DirectReadout()).eval()
        student, rows = ranks.wrap(pipeline), slice(4 * rank // world, 4 * (rank + 1) // world)
        noisy = GridObservation(torch.linspace(-1, 1, 64).reshape(4, 1, 16)[rows], Grid((16,)))
        first, again = (student(noisy, torch.full((len(noisy),), t)).observation.values for t in (0.5, 2.0))
        (first - again).square().mean().backward()
        if ranks.first:
            torch.save({name: p.grad for name, p in pipeline.named_parameters()}, out / f"{world}.pt")


def test_a_student_may_be_asked_twice_by_several_processes(tmp_path: Path) -> None:
    """Law: the gradients of both passes are exchanged, once."""
    for world in (1, 2):
        port = free_port()
        children = [in_child(two_passes, rank, world, port, tmp_path) for rank in range(world)]
        for child in children:
            child.join(timeout=120)
        assert [child.exitcode for child in children] == [0] * world
    one, two = (torch.load(tmp_path / f"{world}.pt", weights_only=True) for world in (1, 2))
    torch.testing.assert_close(two, one, rtol=1e-4, atol=1e-6)


def test_two_processes_stop_together_and_resume_bit_for_bit(tmp_path: Path) -> None:
    """One is asked, both stop; with the same number of processes nothing changes afterwards."""
    common = {"accumulate": 2, "sample_every": 7}
    train_ranks(2, tmp_path / "whole", **common)
    train_ranks(2, tmp_path / "parts", expected=143, on_sample=terminate, **common)
    train_ranks(2, tmp_path / "parts", **common)
    assert fingerprint(tmp_path / "parts") == fingerprint(tmp_path / "whole")


def test_two_processes_stop_early_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the first looks at samples; what it decides, both do, and the best checkpoint is left."""
    monkeypatch.setattr(EarlyStopping, "measure", lambda self, model: 1.0 + abs(model.step - 4))
    train_ranks(2, tmp_path / "run", sample_every=2, early_stop=2, warmup_share=0.0)
    assert Model.load(tmp_path / "run", modality=ToyModality).step == 4
    assert json.loads((tmp_path / "run" / "stopped.json").read_text())["step"] == 8


def test_a_run_goes_on_with_another_number_of_processes(tmp_path: Path) -> None:
    """2 processes, then 1, then 4, end where 1 ends."""
    one, out = train_toy(tmp_path / "one", sample_every=6), tmp_path / "mixed"
    train_ranks(2, out, expected=143, on_sample=terminate, sample_every=6)
    with pytest.raises(StoppedError):
        train_toy(out, on_sample=terminate, sample_every=6)
    train_ranks(4, out, sample_every=6)
    mixed = Model.load(out, modality=ToyModality)
    torch.testing.assert_close(weights(mixed), weights(one), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(losses(out), losses(tmp_path / "one"), rtol=1e-5, atol=1e-5)


def test_a_batch_that_cannot_be_divided_is_a_usage_error(tmp_path: Path) -> None:
    """Unequal parts would weigh unequally."""
    with pytest.raises(UsageError, match="multiple of processes times 'accumulate'"):
        train_toy(tmp_path, accumulate=3)


def test_alone_nothing_is_exchanged() -> None:
    """One process needs no process group."""
    alone, module = Ranks(), torch.nn.Linear(1, 1)
    assert alone.first
    assert alone.gather("x") == ["x"]
    assert alone.broadcast(lambda: "y") == "y"
    assert alone.wrap(module) is module


TORCHRUN = """
import sys
sys.path[:0] = {paths!r}
import os, signal
from pathlib import Path
from toy import ToyModality
from toy_run import train_toy

def kill_once(model, run, step):
    marker = run / "killed"
    if step == 12 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)

train_toy(Path(sys.argv[1]), sample_every=6, on_sample=kill_once if len(sys.argv) > 2 else lambda *a: None)
"""


def test_torchrun_restarts_after_a_kill_and_ends_the_same(tmp_path: Path) -> None:
    """kill -9 of a rank: the elastic restart meets nobody dead, resumes, and leaves the same bytes."""
    here = Path(__file__).parent
    script = tmp_path / "script.py"
    script.write_text(TORCHRUN.format(paths=[str(here), str(here.parent), str(here.parents[1])]))
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    launch += ["--max-restarts", "2", "--monitor-interval", "0.1", str(script)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*launch, str(tmp_path / "run"), "kill"], env=environment, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    assert (tmp_path / "run" / "killed").exists()
    train_ranks(2, tmp_path / "whole", sample_every=6)
    assert fingerprint(tmp_path / "run") == fingerprint(tmp_path / "whole")


def test_accumulation_equals_one_batch(tmp_path: Path) -> None:
    """Micro-batches are only a way of computing."""
    one, four = train_toy(tmp_path / "one"), train_toy(tmp_path / "four", accumulate=4)
    torch.testing.assert_close(weights(four), weights(one), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(losses(tmp_path / "four"), losses(tmp_path / "one"), rtol=1e-5, atol=1e-5)
