"""The files that people keep posed pictures in."""
