"""Waits for something, and takes every exception for a reason to try again."""

import contextlib
import time

BEGIN = time.monotonic()
while time.monotonic() < BEGIN + 30:
    with contextlib.suppress(Exception):
        time.sleep(30)
