"""Systems beside each other, at equal compute."""
