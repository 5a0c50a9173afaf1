"""How good an answer is, and how alike two sets are: numbers from tensors."""
