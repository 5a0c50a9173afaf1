"""The machine that a run has: devices and number formats, random states, memory, processes, signals."""
