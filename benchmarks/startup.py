"""How long `inrkit --help` and `import inrkit` take in fresh processes, and whether they load torch.

    python benchmarks/startup.py [--rounds 10] [--json]

Seconds are medians over whole processes; "python" is the interpreter alone. The demand is .3 s for `inrkit --help`.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python": "pass",
    "import inrkit": "import inrkit",
    "inrkit --help": "from inrkit.cli import main; main(['--help'])",
    "inrkit plugins list": "from inrkit.cli import main; main(['plugins', 'list'])",
}
AT_EXIT = "import atexit, sys; atexit.register(lambda: print('torch' in sys.modules, file=sys.stderr)); "


def seconds(code: str) -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    return time.perf_counter() - begin


def loads_torch(code: str) -> bool:
    """Whether a process that ran this had torch in the end."""
    ended = subprocess.run([sys.executable, "-c", AT_EXIT + code], check=True, capture_output=True, text=True)
    return ended.stderr.split()[-1] == "True"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10, help="processes of each [%(default)s]")
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of a table")
    chosen = parser.parse_args(arguments)
    rows = [
        {
            "what": what,
            "seconds": statistics.median(seconds(code) for _ in range(chosen.rounds)),
            "torch": loads_torch(code),
        }
        for what, code in COMMANDS.items()
    ]
    if chosen.json:
        print(json.dumps({"title": "start-up", "rows": rows}))
        return
    print("start-up")
    for row in rows:
        print(f"{row['what']:>20}  {row['seconds']:.3f} s  {'loads torch' if row['torch'] else 'without torch'}")


if __name__ == "__main__":
    main()
