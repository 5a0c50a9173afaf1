"""Thinks that it is a program."""

import sys

sys.exit(3)
