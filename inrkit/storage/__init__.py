"""Disk: what is written is whole or absent, and what is read is verified before it is parsed.

``atomic`` writes files; ``jsontext`` and ``tensorfile`` turn plain values and tensors into bytes and back; ``store``
holds data sets and ``storewriter`` writes them, ``checkpoint`` holds training states, ``inrfile`` single signals,
``rundir`` the directory of a run. Nothing here loads a pickle.
"""
