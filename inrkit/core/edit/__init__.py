"""Editing without training: what is known of a signal goes in again after each pass of the denoiser."""
