"""The program ``inrkit``; ``python -m inrkit`` is the same, which ``torchrun -m inrkit`` needs."""

import sys


def main() -> None:
    """Runs a command. Ctrl-C is a line of its own also while the commands are being imported."""
    try:
        from inrkit.cli import main as run
    except KeyboardInterrupt:
        print("inrkit: stopped", file=sys.stderr)
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
