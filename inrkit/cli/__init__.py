"""The command line: it parses, calls and prints; what it calls does the work.

Each command lies in a module of its own, imported when it is used, so that ``inrkit --help`` needs neither torch nor
the plugins.
"""

from inrkit.cli.root import main

__all__ = ["main"]
