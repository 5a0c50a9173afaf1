"""Fetches something, say, while it is imported."""

import time

time.sleep(30)
