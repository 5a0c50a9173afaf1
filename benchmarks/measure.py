"""What the benchmarks share: the machine's matrix-multiply rate, clocks that take turns, tables, ports."""

import argparse
import json
import resource
import socket
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
SIZES = [512, 1024, 2048]
_CLOCKS = [time.perf_counter]


def options(doc: str | None, *, rounds: int) -> argparse.ArgumentParser:
    """A parser with what every benchmark can be told."""
    assert doc is not None
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of torch [%(default)s]")
    parser.add_argument("--rounds", type=int, default=rounds, help="times everything is run, in turns [%(default)s]")
    parser.add_argument("--matmul", type=int, nargs="+", default=SIZES, help="sides of the matrix products %(default)s")
    parser.add_argument(
        "--precision", nargs="+", choices=DTYPES, default=list(DTYPES), help="number formats that are tried [all]"
    )
    parser.add_argument("--set", nargs="+", default=[], help="config keys, where a preset is measured")
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of a table")
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="the processor's seconds instead of the clock's, where the machine is busy; with one thread",
    )
    return parser


def begin(chosen: argparse.Namespace) -> None:
    """Sets torch's threads, and the clock."""
    torch.set_num_threads(chosen.threads)
    if chosen.cpu_time:
        assert chosen.threads == 1, "--cpu-time needs --threads 1: waiting threads take the processor's time too"
        _CLOCKS.append(time.process_time)


def now() -> float:
    return _CLOCKS[-1]()


def matmul_rate(dtype: torch.dtype, sizes: Sequence[int], rounds: int = 7) -> float:
    """FLOP/s of square matrix products: the median of several, at the size that this machine likes best."""
    rates = []
    for n in sizes:
        a, b, out = (torch.randn(n, n).to(dtype) for _ in range(3))
        torch.mm(a, b, out=out)
        seconds = []
        for _ in range(rounds):
            begin = now()
            torch.mm(a, b, out=out)
            seconds.append(now() - begin)
        rates.append(2 * n**3 / statistics.median(seconds))
    return max(rates)


def matmul_rates(sizes: Sequence[int], precisions: Sequence[str] = tuple(DTYPES)) -> dict[str, float]:
    """FLOP/s of matrix products in each precision."""
    return {name: matmul_rate(DTYPES[name], sizes) for name in precisions}


def in_turns(runs: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each, A B C A B C ..., so that whatever else the machine does slows all of them alike."""
    for run in runs.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            begin = now()
            run()
            seconds[name].append(now() - begin)
    return {name: statistics.median(values) for name, values in seconds.items()}


def peak_memory() -> float:
    """Bytes that this process had in memory at most.

    From Linux's own count, for `ru_maxrss` of a new process begins with what its parent had.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return 1024.0 * next(int(line.split()[1]) for line in status.read_text().splitlines() if "VmHWM" in line)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(most) if sys.platform == "darwin" else 1024.0 * most


def free_port() -> int:
    """A port of this machine for several processes to meet at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def report(title: str, rows: Sequence[Mapping[str, Any]], facts: Mapping[str, Any], *, as_json: bool) -> None:
    """Prints the rows, one column for each key, under a line of facts; or all of it as JSON."""
    if as_json:
        print(json.dumps({"title": title, **facts, "rows": list(rows)}))
        return
    print(title)
    print("  ".join(f"{name} {shown(value)}" for name, value in facts.items()))
    cells = [list(rows[0]), *([shown(value) for value in row.values()] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    for row in cells:
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))


def shown(value: Any) -> str:
    """Three digits of what is not a whole number."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
