"""Starts a thread that never ends, and which every program would wait for."""

import threading

threading.Thread(target=threading.Event().wait, name="ticker").start()
