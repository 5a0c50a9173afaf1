"""Works, but turns off all warnings, goes to another folder, seeds, and sets a variable."""

import os
import random
import tempfile
import warnings

import inrkit

warnings.simplefilter("ignore")
os.chdir(tempfile.gettempdir())
os.environ["BROKEN_PLUGIN_WAS_HERE"] = "1"
random.seed(0)


@inrkit.hookimpl
def register_functions(register: inrkit.Register) -> None:
    register("shared", "changes_what_all_share:Shared", "works all the same")
