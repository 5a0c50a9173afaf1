"""What can be set, how it is written down, and what follows from it."""
