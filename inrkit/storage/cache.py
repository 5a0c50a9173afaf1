"""The folder for what can be had again: facts about files that cost time to find. It is safe to delete."""

import os
import sys
from pathlib import Path

VARIABLE = "INRKIT_CACHE"


def cache_folder() -> Path:
    """Where this system keeps such things for a user, or where ``INRKIT_CACHE`` says; it need not exist."""
    if chosen := os.environ.get(VARIABLE):
        return Path(chosen).expanduser().absolute()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "inrkit" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "inrkit"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "inrkit"
