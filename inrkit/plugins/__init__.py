"""Finding plugins: the entry points of the group ``inrkit``, each on its own, so that a broken one harms no other.

``INRKIT_PLUGINS`` names the plugins to load, separated by commas; empty means none, unset means all. Loading imports
the plugins' own modules, but none of the targets they register.

    entry points ──loading──▶ Entry, Broken ──▶ Registry

A start imports, collects and reports. What else a plugin does while it is loaded (prints, hangs, changes what all
share, ends the process) ``inrkit plugins check NAME`` looks at, in a process of its own: `inrkit.plugins.sandbox`.
"""

from inrkit.plugins.loading import GROUP, VARIABLE, discover, load_plugins
from inrkit.plugins.registry import Broken, Entry, Registry, reason_of

__all__ = ["GROUP", "VARIABLE", "Broken", "Entry", "Registry", "discover", "load_plugins", "reason_of"]
