"""The data set that comes with the modality: cars, exact from every side and at any resolution."""
