"""The data set that comes with the modality: cartoon faces, exact at any resolution."""
