"""Says hello, into the middle of what other programs read."""

print("hello!")
