"""The weights of a trained network: finding the checkpoint that holds them, and putting them into a module."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from inrkit.core.shard import part_of, rows_of
from inrkit.errors import DataError
from inrkit.storage.checkpoint import Checkpoint, load_checkpoint, newest_checkpoint
from inrkit.storage.modelfolder import WEIGHTS, is_model, load_model
from inrkit.storage.rundir import check_config
from inrkit.storage.sealed import MANIFEST


def put_weights(module: nn.Module, weights: Mapping[str, Tensor], origin: Path) -> None:
    """Loads weights that must fit by name and shape; of a sharded module, the rows that are here."""
    own = module.state_dict()
    for name in [*own, *weights]:
        expected = tuple(own[name].shape) if name in own else "none"
        found = tuple(weights[name].shape) if name in weights else "none"
        if expected != found:
            raise DataError(f"{origin}: the model needs '{name}' as {expected}, found {found}; it is of another model")
    with torch.no_grad():
        for name, value in own.items():
            part_of(value).copy_(rows_of(weights[name], value))


def put_average(module: nn.Module, checkpoint: Checkpoint, begins: str = "") -> None:
    """Loads the averaged weights of a checkpoint, the ones to use and to start other runs from.

    Weights with ``begins`` in their names may be new: where the checkpoint has none, they stay as they are.
    """
    try:
        weights = {**checkpoint.tensors["model"], **checkpoint.tensors["ema"]}
    except KeyError as error:
        path = checkpoint.path
        raise DataError(f"{path}: expected {error}, found none; the checkpoint is of another kind") from error
    new = {name: value for name, value in module.state_dict().items() if begins and begins in name}
    put_weights(module, {**new, **weights}, checkpoint.path)


def find_checkpoint(path: Path, step: int | None = None) -> Checkpoint:
    """The checkpoint of a run directory, a saved model, or a checkpoint's own path; by default the newest."""
    folder = path / "checkpoints"
    if not folder.is_dir():
        if is_model(path):
            saved = load_model(path)
            if step not in (None, saved.step):
                raise DataError(f"{path}: expected the weights of step {step}, found a model of step {saved.step}")
            return saved
        if step is None and (path / "manifest.json").exists():
            return load_checkpoint(path)
        if (path / WEIGHTS).exists():
            raise DataError(f"{path}: expected the '{MANIFEST}' of a saved model, found none; copy the folder whole")
        raise DataError(f"{path}: expected a run directory with 'checkpoints', found none; train first")
    checkpoint = newest_checkpoint(folder) if step is None else load_checkpoint(folder / f"step-{step:08d}")
    if checkpoint is None:
        raise DataError(f"{path}: expected a checkpoint, found none yet; train on until one is saved")
    if (path / "config.toml").is_file() and "config" in checkpoint.meta:
        check_config(path, str(checkpoint.meta["config"]))
    return checkpoint
