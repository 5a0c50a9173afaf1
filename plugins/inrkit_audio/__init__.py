"""Sound: waveforms become functions of time, which are heard at any sampling rate.

inrkit data import wav recordings.zip -o sounds.h5 --seconds 0.5
inrkit train --modality audio --data sounds.h5 --out runs/sounds
"""

import inrkit


@inrkit.hookimpl
def register_modalities(register: inrkit.Register) -> None:
    register("audio", "inrkit_audio.modality:AudioModality", "waveforms, heard at any sampling rate")


@inrkit.hookimpl
def register_importers(register: inrkit.Register) -> None:
    register("wav", "inrkit_audio.modality:WavImporter", "a folder, an archive or a file of .wav recordings")
