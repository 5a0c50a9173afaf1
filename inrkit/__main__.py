"""The program ``inrkit``; ``python -m inrkit`` is the same, which ``torchrun -m inrkit`` needs."""

import _thread
import sys
import threading

_LATER = 0.05  # seconds


def main() -> None:
    """Runs a command. Ctrl-C is a line of its own also while the commands are being imported."""
    try:
        sys.unraisablehook = keep_interrupts
        from inrkit.cli import main as run

        run()
    except KeyboardInterrupt:
        print("inrkit: stopped", file=sys.stderr)
        sys.exit(130)


def keep_interrupts(ignored: "sys.UnraisableHookArgs") -> None:
    """Ctrl-C comes once more where Python ignores it: while a weak reference calls back, or an object is removed."""
    if ignored.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(ignored)
        return
    while True:
        try:
            threading.Timer(_LATER, _thread.interrupt_main).start()
            return
        except KeyboardInterrupt:  # on a busy machine it comes while the timer is being started
            continue


if __name__ == "__main__":
    main()
