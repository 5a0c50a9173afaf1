"""Several processes learn what one learns at the same global batch."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from toy import ToyModality, ToySource
from toy_run import fingerprint, in_child, train_toy, weights

from inrkit import DirectReadout, Grid, GridObservation, Signals
from inrkit.config.resolve import resolve
from inrkit.core.shard import part_of
from inrkit.errors import UsageError
from inrkit.inference.model import Model
from inrkit.machine.processes import Ranks, joined
from inrkit.machine.signals import StoppedError
from inrkit.storage.checkpoint import list_checkpoints, load_checkpoint
from inrkit.training.learner import Learner
from inrkit.training.stopping import EarlyStopping


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def join_as(rank: int, world: int, port: int) -> None:
    """What torchrun's environment makes of a process."""
    torch.set_num_threads(1)
    os.environ.update(
        RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(world), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port)
    )


def one_rank(rank: int, world: int, port: int, out: Path, values: dict[str, object]) -> None:
    join_as(rank, world, port)
    try:
        train_toy(out, **values)
    except StoppedError as error:
        sys.exit(error.exit_code)


def train_ranks(world: int, out: Path, expected: int = 0, **values: object) -> None:
    """A run of several processes."""
    run_ranks(one_rank, world, out, values, expected=expected)


def run_ranks(target: Any, world: int, *args: object, expected: int = 0) -> None:
    """Several processes, all of which leave with the expected code."""
    port = free_port()
    children = [in_child(target, rank, world, port, *args) for rank in range(world)]
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
    join_as(rank, world, port)
    torch.manual_seed(0)
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
        run_ranks(two_passes, world, tmp_path)
    one, two = (torch.load(tmp_path / f"{world}.pt", weights_only=True) for world in (1, 2))
    torch.testing.assert_close(two, one, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shard", [False, True])
def test_two_processes_stop_together_and_resume_bit_for_bit(tmp_path: Path, shard: bool) -> None:
    """One is asked, both stop; with the same number of processes nothing changes afterwards."""
    common = {"accumulate": 2, "sample_every": 7, "shard": shard, "steps": 10, "optimizer": "muon"}
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
    """4 processes that share the weights, then 1, then 2 with all weights each, end where 1 ends."""
    one, out = train_toy(tmp_path / "one", sample_every=6), tmp_path / "mixed"
    train_ranks(4, out, expected=143, on_sample=terminate, sample_every=6, shard=True)
    with pytest.raises(StoppedError):
        train_toy(out, on_sample=terminate, sample_every=6)
    train_ranks(2, out, sample_every=6)
    mixed = Model.load(out, modality=ToyModality)
    torch.testing.assert_close(weights(mixed), weights(one), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(losses(out), losses(tmp_path / "one"), rtol=1e-5, atol=1e-5)


DISTILLED = (
    {"objective": "diffusion", "share": 0.4},
    {"objective": "cd", "share": 0.6, "options": {"mu": 0.9}},
)


@pytest.mark.parametrize(
    "keys", [{"phases": DISTILLED, "steps": 10}, {"objective": "ect", "optimizer": "muon", "steps": 5}]
)
def test_sharing_the_weights_changes_no_loss(tmp_path: Path, keys: dict[str, object]) -> None:
    """FSDP2 with every teacher there is, rows that ask none, and an optimizer that needs whole matrices."""
    one = train_toy(tmp_path / "one", **keys)
    train_ranks(2, tmp_path / "two", shard=True, **keys)
    torch.testing.assert_close(losses(tmp_path / "two"), losses(tmp_path / "one"), rtol=1e-4, atol=1e-5)
    last, two = (load_checkpoint(list_checkpoints(tmp_path / run / "checkpoints")[-1]) for run in ("one", "two"))
    assert {group: tensors.keys() for group, tensors in two.tensors.items() if group != "random"} == {
        group: tensors.keys() for group, tensors in last.tensors.items() if group != "random"
    }
    torch.testing.assert_close(
        weights(Model.load(tmp_path / "two", modality=ToyModality)), weights(one), rtol=1e-3, atol=1e-3
    )


def held(rank: int, world: int, port: int, out: Path, optimizer: str) -> None:
    """How many bytes a process holds between two steps, in all that grows with the weights."""
    join_as(rank, world, port)
    resolved = resolve(ToyModality, flags={"shard": True, "optimizer": optimizer, "objective": "ect"})
    source = resolved.source("train")
    with joined("cpu") as ranks:
        learner = Learner(resolved, ranks, torch.device("cpu"), "fp32")
        learner.optimizer.zero = lambda: None  # gradients stay, to be counted
        signals = (source.read(range(*part)) for part in learner.rows)
        learner.learn(learner.enter_phase(), signals, stop=False)
        weights = [*learner.pipeline.denoiser.parameters()]
        state = [value for part in learner.optimizer.parts for of in part.state.values() for value in of.values()]
        kept = [*weights, *(p.grad for p in weights), *learner.ema.tensors.values(), *state]
        (out / f"{world}-{rank}").write_text(str(sum(part_of(t.detach()).nbytes for t in kept)))
        learner.release()


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_what_a_process_holds_falls_with_their_number(tmp_path: Path, optimizer: str) -> None:
    """Weights, gradients, averages and the optimizer's state: each of 4 holds about a quarter."""
    for world in (1, 4):
        run_ranks(held, world, tmp_path, optimizer)
    alone, *shares = (int((tmp_path / name).read_text()) for name in ("1-0", "4-0", "4-1", "4-2", "4-3"))
    assert sum(shares) >= alone
    assert max(shares) < 0.27 * alone


def read_rows(rank: int, world: int, port: int, out: Path, workers: int) -> None:
    """Writes down what a process reads."""
    join_as(rank, world, port)
    read = ToySource.read

    def recorded(self: ToySource, numbers: Sequence[int]) -> Signals:
        if self.split == "train":
            with open(out / f"{workers}-{rank}", "a") as file:
                file.write("".join(f"{number}\n" for number in numbers))
        return read(self, numbers)

    ToySource.read = recorded
    train_toy(out / str(workers), workers=workers, steps=6, sample_every=100)


@pytest.mark.parametrize("workers", [0, 1])
def test_each_process_reads_its_own_rows_only(tmp_path: Path, workers: int) -> None:
    """One epoch of 48 signals: each is read once, by one process, also where others read ahead."""
    run_ranks(read_rows, 2, tmp_path, workers)
    first, second = ((tmp_path / f"{workers}-{rank}").read_text().split() for rank in (0, 1))
    assert len(first) == len(second) == 24
    assert {*first, *second} == {str(number) for number in range(48)}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"accumulate": 3}, "multiple of processes times 'accumulate'"),
        ({"shard": True}, "several processes, found one"),
    ],
)
def test_what_cannot_be_divided_is_a_usage_error(tmp_path: Path, keys: dict[str, object], message: str) -> None:
    """Unequal parts would weigh unequally, and one process has nobody to share with; nothing is written."""
    with pytest.raises(UsageError, match=message):
        train_toy(tmp_path / "run", **keys)
    assert not (tmp_path / "run").exists()


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
from toy import ToySource
from toy_run import train_toy

run, rank, reads, read = Path(sys.argv[1]), int(os.environ["RANK"]), 0, ToySource.read

def kill_once(self, numbers):
    global reads
    reads += self.split == "train"
    marker = run / "killed"
    if rank == 0 and reads == 12 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return read(self, numbers)

ToySource.read = kill_once
train_toy(run, sample_every=6)
"""


def test_torchrun_restarts_after_a_kill_and_ends_the_same(tmp_path: Path) -> None:
    """kill -9 of the process that holds the run's lock: the run resumes by itself, and leaves the same bytes."""
    here = Path(__file__).parent
    script = tmp_path / "script.py"
    script.write_text(TORCHRUN.format(paths=[str(here), str(here.parent), str(here.parents[1])]))
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    launch += ["--max-restarts", "2", "--monitor-interval", "0.1", str(script)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*launch, str(tmp_path / "run")], env=environment, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    assert (tmp_path / "run" / "killed").exists()
    train_ranks(2, tmp_path / "whole", sample_every=6)
    assert fingerprint(tmp_path / "run") == fingerprint(tmp_path / "whole")


def test_accumulation_equals_one_batch(tmp_path: Path) -> None:
    """Micro-batches are only a way of computing."""
    one, four = train_toy(tmp_path / "one"), train_toy(tmp_path / "four", accumulate=4)
    torch.testing.assert_close(weights(four), weights(one), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(losses(tmp_path / "four"), losses(tmp_path / "one"), rtol=1e-5, atol=1e-5)
