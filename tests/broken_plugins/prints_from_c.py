"""Has a library in C that says hello."""

import os

os.write(1, b"hello from C!\n")
