"""inrkit: one hyper-network that encodes signals into implicit neural representations, generates and edits them.

The five nouns:

    Observation   values, and where they were measured
    Denoiser      noisy observation → params
    INRFunction   (params, coordinates) → outputs
    Transform     (field, where) → values
    Modality      all that is particular to one kind of signal; what a plugin hands over

Public names are imported when they are first used, so that ``import inrkit`` costs no torch.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "inrkit.core.denoiser": ["Denoiser"],
    "inrkit.core.draws": ["Draws", "seed_of"],
    "inrkit.core.dropout": ["SharedDropout", "shared_dropout"],
    "inrkit.core.edit.between": ["interpolate"],
    "inrkit.core.edit.level": ["noise_level"],
    "inrkit.core.edit.operator": ["ChannelMean", "KnownCells", "Measured", "Operator", "PatchMeans"],
    "inrkit.core.edit.task": ["Denoise", "Edit", "Restore", "Stroke", "descending"],
    "inrkit.core.inr": ["Field", "INRFunction", "Params"],
    "inrkit.core.modality": ["Modality", "Signals", "Source"],
    "inrkit.core.noise": [
        "DirectReadout",
        "LiteralReadout",
        "LogNormal",
        "Preconditioning",
        "Readout",
        "TwoHeadedReadout",
        "make_readout",
    ],
    "inrkit.core.objective": [
        "Cd",
        "CmFunc",
        "Ct",
        "Diffusion",
        "Ect",
        "Ict",
        "Inrct",
        "Loss",
        "Objective",
        "Reconstruction",
    ],
    "inrkit.core.observation": ["Batch", "Observation", "expand"],
    "inrkit.core.option": ["at_least", "bounded", "option"],
    "inrkit.core.pipeline": ["Pipeline", "Prediction"],
    "inrkit.core.sample": ["sample"],
    "inrkit.core.surface": ["Mesh", "Surface", "mesh_of"],
    "inrkit.core.timing": ["ConstantPairing", "SigmoidPairing", "TimePairing", "ZeroPairing"],
    "inrkit.core.train": ["PowerEMA"],
    "inrkit.core.transform": ["Transform"],
    "inrkit.config.run": ["Phase", "RunConfig"],
    "inrkit.inference.encodeset": ["encode_set"],
    "inrkit.inference.export": ["Exporter", "Opened", "export"],
    "inrkit.inference.model": ["Model", "load", "rebuild", "render"],
    "inrkit.config.parts": ["check_parts", "make_denoiser", "make_function"],
    "inrkit.config.resolve": ["resolve"],
    "inrkit.training.run": ["train"],
    "inrkit.training.tracker": ["Tracker"],
    "inrkit.errors": [
        "DataError",
        "DivergedError",
        "InrkitError",
        "PluginError",
        "ResourceError",
        "UsageError",
        "did_you_mean",
    ],
    "inrkit.gridded.importing": ["FilesImporter", "FilesOptions"],
    "inrkit.gridded.modality": ["GridModality"],
    "inrkit.gridded.options": ["GridOptions", "tiny_preset"],
    "inrkit.gridded.picture": ["curves", "heat", "maps", "pictures_of_grid", "spectrograms"],
    "inrkit.gridded.wav": ["read_wav", "write_wav"],
    "inrkit.hookspecs": ["Register", "hookimpl"],
    "inrkit.storage.entries": ["Entries", "OneFile", "below", "open_entries"],
    "inrkit.storage.importer": ["Imported", "Importer"],
    "inrkit.storage.inrfile": ["InrFile", "load_inr", "pack_inr", "save_inr", "unpack_inr"],
    "inrkit.storage.opener": ["SourceOpener"],
    "inrkit.storage.store": ["Store", "write_store"],
    "inrkit.metrics.feature": ["FeatureNetwork", "Features"],
    "inrkit.nn.attention": ["Attention", "DecoderBlock", "EncoderBlock", "FeedForward", "attend"],
    "inrkit.nn.condition": ["Condition"],
    "inrkit.nn.fourier": ["FourierFeatures", "grid_centers", "noise_level_features"],
    "inrkit.nn.grid": ["Grid", "GridObservation", "SampleGrid", "jitter", "parse_size"],
    "inrkit.nn.head": ["ColumnHead", "GridHead", "TokenHead", "WeightHead", "make_heads"],
    "inrkit.nn.hyper": ["HyperTransformer"],
    "inrkit.nn.resample": ["resample"],
    "inrkit.nn.space": ["closed_axes", "features_for", "on_sphere", "position_embedding"],
    "inrkit.nn.tokenizer": ["PatchTokenizer", "Tokenizer", "patchify", "unpatchify"],
    "inrkit.plugins": ["load_plugins"],
    "inrkit.progress": ["Progress", "quiet"],
}
_HOME = {name: module for module, names in _PUBLIC.items() for name in names}
__all__ = sorted([*_HOME, "__version__"])


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'inrkit' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
