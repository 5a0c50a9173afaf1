"""``python -m inrkit`` is ``inrkit``, which ``torchrun -m inrkit`` needs."""

from inrkit.cli import main

if __name__ == "__main__":
    main()
