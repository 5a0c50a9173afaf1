"""How good a trained model is, in numbers."""
