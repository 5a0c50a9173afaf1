"""A trained model in use: encode, sample, edit, render, export."""
