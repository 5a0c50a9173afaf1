"""Finding plugins: the entry points of the group ``inrkit``, each on its own, so that a broken one harms no other.

``INRKIT_PLUGINS`` names the plugins to load, separated by commas; empty means none, unset means all. Loading imports
the plugins' own modules, but none of the targets they register.

    entry points ──loading, under guard──▶ Entry, Broken, Remark ──▶ Registry

Against one thing nothing helps in the same process: a plugin that ends it (`os._exit`, a crash in C) while it is
imported. ``INRKIT_PLUGINS`` leaves such a one out, and ``inrkit plugins check NAME`` finds it, in a process of its own.
"""

from inrkit.plugins.loading import GROUP, VARIABLE, discover, load_plugins
from inrkit.plugins.registry import Broken, Entry, Registry, Remark, reason_of

__all__ = ["GROUP", "VARIABLE", "Broken", "Entry", "Registry", "Remark", "discover", "load_plugins", "reason_of"]
