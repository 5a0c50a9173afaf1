"""Was written for a later version of the hooks, which is found out before any of it runs."""

INRKIT_API = 7

raise RuntimeError("not reached")
