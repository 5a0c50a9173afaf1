"""The files that people keep pictures in."""
