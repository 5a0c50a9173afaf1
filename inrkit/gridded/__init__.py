"""Ready-made parts of a modality for whatever is measured on a regular grid of one, two or three axes.

options    what can be set, with defaults that fit any grid
source     signals from a store, or invented ones
modality   `GridModality`: an ordinary modality is a subclass that says what its signals are
importing  importers for folders of files with one signal each
picture    pictures of curves, maps and volumes
"""
