"""One run, followed by every tracker at once, killed and resumed: each has one run, and no step twice.

    python scripts/trackers.py FOLDER

needs the extras tensorboard, wandb, mlflow and trackio. All write into FOLDER; nothing is sent.
"""

import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

NAMES = ("tensorboard", "wandb", "mlflow", "trackio")
STEPS, EVERY = 80, 5
SETS = ("width=16", "heads=2", "hidden=16", "depth=1", "decoder_depth=1", "inr_width=16", "inr_inner=16", "count=256")
COMMAND = [sys.executable, "-m", "inrkit", "train", "--steps", str(STEPS), "--batch-size", "8", "--no-progress"]
COMMAND += ["--set", f"log_every={EVERY}", "--set", "save_every=20", "--set", "sample_every=20"]
COMMAND += [word for option in SETS for word in ("--set", f"options.{option}")]
COMMAND += [word for name in NAMES for word in ("--tracker", name)]

Found = tuple[int, list[int], list[int]]  # runs, steps of the loss, steps of the sheets


def main(folder: Path) -> None:
    os.environ |= {"WANDB_MODE": "offline", "TRACKIO_DIR": str(folder / "trackio"), "MLFLOW_ALLOW_FILE_STORE": "true"}
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    run = folder / "run"
    process = subprocess.Popen([*COMMAND, "--out", str(run)])
    while not reached(run, 35) and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    killed = last_step(run)
    time.sleep(3)  # what writes for a tracker in a process of its own may still be writing
    subprocess.run([*COMMAND, "--out", str(run)], check=True)
    print(f"killed after step {killed}, resumed to step {last_step(run)}")
    expected = [step for step, line in lines(run) if "loss" in line]
    failed = False
    for name in NAMES:
        runs, steps, sheets = {"tensorboard": board, "wandb": wandb, "mlflow": mlflow, "trackio": trackio}[name](run)
        twice = sum(count - 1 for count in Counter(steps).values()) + sum(n - 1 for n in Counter(sheets).values())
        missing = len(set(expected) - set(steps))
        print(f"{name}: {runs} run, {len(steps)} losses, {len(sheets)} sheets; {twice} twice, {missing} missing")
        failed |= runs != 1 or twice > 0
    sys.exit(failed)


def lines(run: Path) -> Iterator[tuple[int, dict[str, object]]]:
    path = run / "metrics.jsonl"
    for line in path.read_text().splitlines() if path.exists() else []:
        values = json.loads(line)
        yield values["step"], values


def last_step(run: Path) -> int:
    return max((step for step, _ in lines(run)), default=0)


def reached(run: Path, step: int) -> bool:
    try:
        return last_step(run) >= step
    except ValueError:  # a line that is being written
        return False


def board(run: Path) -> Found:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "tensorboard"), {"scalars": 0, "images": 0}).Reload()
    return 1, [e.step for e in events.Scalars("loss")], [e.step for e in events.Images("samples")]


def wandb(run: Path) -> Found:
    """Both processes left a file; it is one run if they have one identity."""
    from wandb.proto import wandb_internal_pb2

    names, steps, sheets = set(), [], []
    for path in sorted(run.glob("wandb/offline-run-*/*.wandb")):
        names.add(path.stem)
        for data in records(path.read_bytes()):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(data)
            items = {(item.key or "/".join(item.nested_key)): item.value_json for item in record.history.item}
            if "loss" in items:
                steps.append(record.history.step.num)
            if any(key.startswith("samples") for key in items):
                sheets.append(record.history.step.num)
    return len(names), steps, sheets


def records(data: bytes) -> Iterator[bytes]:
    """Those of a file in LevelDB's log format, after its own header: in blocks of 32 kB, each part behind 7 bytes."""
    at, whole = 7, b""
    while at + 7 <= len(data):
        if at % 32768 > 32768 - 7:
            at += 32768 - at % 32768
        length, kind = struct.unpack_from("<HB", data, at + 4)  # kind: 1 whole, 2 first, 3 middle, 4 last
        whole, at = whole + data[at + 7 : at + 7 + length], at + 7 + length
        if kind in (1, 4):
            yield whole
            whole = b""


def mlflow(run: Path) -> Found:
    from mlflow import MlflowClient

    client = MlflowClient((run / "mlflow" / "runs").as_uri())
    found = client.search_runs([client.get_experiment_by_name("inrkit").experiment_id])
    steps = [metric.step for metric in client.get_metric_history(found[0].info.run_id, "loss")]
    sheets = [int(file.path[-12:-4]) for file in client.list_artifacts(found[0].info.run_id, "samples")]
    return len(found), steps, sheets


def trackio(run: Path) -> Found:
    import sqlite3

    (path,) = Path(os.environ["TRACKIO_DIR"]).glob("inrkit*.db")
    with sqlite3.connect(path) as base:
        rows = base.execute("select run_name, step, metrics from metrics").fetchall()
    steps = [step for _, step, metrics in rows if "loss" in json.loads(metrics)]
    sheets = [step for _, step, metrics in rows if "samples" in json.loads(metrics)]
    return len({name for name, _, _ in rows}), steps, sheets


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
