"""Prints how many processor cores are free: those that this process may use, less those that are busy right now."""

import argparse
import os
import time
from pathlib import Path


def usable() -> set[int]:
    """The cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return set(os.sched_getaffinity(0))
    return set(range(os.cpu_count() or 1))


def quota() -> float:
    """How many cores' worth of time a container may take; no limit where none is set."""
    try:
        most, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return int(most) / int(period)
    except (OSError, ValueError):  # no such file, or "max" in it
        return float("inf")


def ticks() -> dict[int, tuple[int, int]]:
    """Of each core: (idle, all) ticks since the machine started."""
    found = {}
    for line in Path("/proc/stat").read_text().splitlines():
        name, *numbers = line.split()
        if name.startswith("cpu") and name[3:].isdecimal():
            counts = [int(number) for number in numbers[:8]]
            found[int(name[3:])] = (counts[3] + counts[4], sum(counts))
    return found


def idle(cores: set[int], seconds: float) -> float:
    """How many of the cores are idle, on average over some time; elsewhere than on Linux, from the load."""
    try:
        before = ticks()
        time.sleep(seconds)
        after = ticks()
    except OSError:
        return len(cores) - os.getloadavg()[0]
    shares = []
    for core in cores & before.keys() & after.keys():
        rested, passed = (now - then for now, then in zip(after[core], before[core], strict=True))
        shares.append(rested / passed if passed else 1.0)
    return sum(shares)


def free_cores(most: int, seconds: float = 0.5) -> int:
    """From 1 to ``most``."""
    return max(1, min(most, int(min(idle(usable(), seconds) + 0.5, quota()))))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=os.cpu_count() or 1, help="never more than this [%(default)s]")
    print(free_cores(parser.parse_args().most))
