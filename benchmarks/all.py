"""All benchmarks, one after the other, into one file of JSON; docs/performance.py makes tables and a picture of it.

    python benchmarks/all.py --json measured.json [--threads 2] [--cpu-time] [--only growth fields ...] [--ect F] ...

Some ten minutes on two cores. With --also FILE the results go beside those that the file has, as another processor's:
for the same machine without bf16 instructions, set ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2
MKL_ENABLE_INSTRUCTIONS=AVX2. What fails is left out, with its reason; the peers are left out without their folders.
"""

import argparse
import datetime
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from inrkit.cli.machine import processor

FOLDER = Path(__file__).parent
BENCHMARKS: dict[str, list[str]] = {
    "modalities": [],
    "training": ["--width", "0"],
    "sampling": ["--size", "32", "--scale", "1", "4"],
    "rendering": ["--size", "256", "1024"],
    "fields": ["--steps", "60"],
    "growth": [],
    "peers": [],
}
ADAMW = ["--optimizer", "adamw"]  # the reference's Muon multiplies in bf16, whatever the processor has
PATIENCE = 1800


def run(name: str, arguments: list[str]) -> dict[str, Any]:
    """The JSON of one benchmark, in a process of its own."""
    command = [sys.executable, str(FOLDER / f"{name}.py"), *BENCHMARKS[name], *arguments, "--json"]
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    print(f"{name}: {time.perf_counter() - began:.0f} s", file=sys.stderr)
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or ["no reason given"])[-1]}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, required=True, help="file that is written")
    parser.add_argument("--also", action="store_true", help="add to what the file has, as another processor")
    parser.add_argument("--name", help="of the processor in the tables [its own]")
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, default=list(BENCHMARKS), help="%(choices)s [all]")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of torch [%(default)s]")
    parser.add_argument("--rounds", type=int, default=3, help="times everything is run, in turns [%(default)s]")
    parser.add_argument("--precision", nargs="+", default=["fp32", "bf16"], help="fp32 alone where bf16 is slow")
    parser.add_argument("--cpu-time", action="store_true", help="the processor's seconds, with one thread")
    parser.add_argument("--ect", help="a checkout of locuslab/ect")
    parser.add_argument("--trans-inr", help="a checkout of yinboc/trans-inr")
    chosen = parser.parse_args(arguments)
    common = ["--threads", str(chosen.threads), "--rounds", str(chosen.rounds), *["--cpu-time"] * chosen.cpu_time]
    common += ["--precision", *chosen.precision]
    folders = {"--ect": chosen.ect, "--trans-inr": chosen.trans_inr}
    peers = [word for flag, folder in folders.items() if folder for word in (flag, folder)]
    wanted = [name for name in chosen.only if name != "peers" or peers]
    facts = {**processor(), "torch": torch.__version__, "day": datetime.date.today().isoformat()}
    name = chosen.name or str(facts["name"])
    found = json.loads(chosen.json.read_text()) if chosen.also and chosen.json.exists() else {}
    place = found.setdefault(name, {})
    place["machine"] = {**facts, "threads": chosen.threads, "cpu_time": chosen.cpu_time}
    for one in wanted:
        own = peers if one == "peers" else ADAMW if one == "training" and "bf16" not in chosen.precision else []
        place[one] = run(one, [*common, *own])
        chosen.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
