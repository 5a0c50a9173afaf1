"""Folders and archives of image files."""

from pathlib import Path

import numpy as np

from inrkit import DataError, Entries, Progress, below, open_entries, quiet
from inrkit_image.formats.decode import SUFFIXES, Decoding, decode, looks_like_image, with_channels
from inrkit_image.formats.imported import DEFAULTS, ImportedImages, ImportOptions, spread

# Folders called so are parts of a data set and no classes, unless asked for.
SPLIT_FOLDERS = frozenset(("train", "test", "val", "valid", "validation"))


def import_images(source: Path, options: ImportOptions = DEFAULTS, progress: Progress = quiet) -> ImportedImages:
    """A folder (with its subfolders), a tar or zip archive, or a single file of PNG, JPEG, WebP, GIF or BMP images.

    The images are in the order of their names.
    """
    with open_entries(source) as entries:
        return images_among(entries, entries.names(), options, progress)


def images_among(
    entries: Entries, names: list[str], options: ImportOptions, progress: Progress = quiet
) -> ImportedImages:
    """The images among the named entries, in order."""
    if options.inside is not None:
        names = below(names, options.inside)
        if not names:
            raise DataError(f"{entries.path}: expected files inside '{options.inside}', found none; check 'inside'.")
    candidates = _candidates(entries, names)
    if not candidates:
        raise DataError(
            f"{entries.path}: expected PNG, JPEG, WebP, GIF or BMP images, found none among {len(names)} files."
        )
    class_names, labels = _classes(entries.path, candidates, options.labels)
    chosen = spread(len(candidates), options.limit)
    wanted = [candidates[i] for i in chosen]
    decoded, skipped = _decode_all(entries, wanted, options, progress)
    kept = [i for i in chosen if candidates[i] in decoded]
    if not kept:
        raise DataError(f"{entries.path}: expected images, found only broken ones: {skipped[0]}")
    return ImportedImages(
        images=_stacked(decoded, [candidates[i] for i in kept], options.decoding),
        labels=np.array([labels[i] for i in kept], np.int64) if labels else None,
        names=tuple(candidates[i] for i in kept),
        class_names=class_names,
        skipped=skipped,
    )


def _candidates(entries: Entries, names: list[str]) -> list[str]:
    """What is called an image, and what begins like one; READMEs and the like are passed over."""
    unclear = [name for name in names if not name.lower().endswith(SUFFIXES)]
    begin = entries.read(unclear, limit=16)
    found = {name for name, head in begin if isinstance(head, bytes) and looks_like_image(head)}
    return [name for name in names if name in found or name.lower().endswith(SUFFIXES)]


def _classes(path: Path, names: list[str], wanted: bool | None) -> tuple[tuple[str, ...], list[int]]:
    """Class names, sorted, and each image's label: the folder that it lies in."""
    if wanted is False:
        return (), []
    folders = [name.split("/")[:-1] for name in names]
    shared = 0 if wanted else _shared_depth(folders)
    bare = [name for name, folder in zip(names, folders, strict=True) if len(folder) <= shared]
    if bare and wanted:
        raise DataError(f"{path}: expected each image in a folder named after its class, found '{bare[0]}' in none.")
    if bare:
        return (), []
    class_names = sorted({folder[-1] for folder in folders})
    if not wanted and (len(class_names) < 2 or set(class_names) <= SPLIT_FOLDERS):
        return (), []
    number = {name: i for i, name in enumerate(class_names)}
    return tuple(class_names), [number[folder[-1]] for folder in folders]


def _shared_depth(folders: list[list[str]]) -> int:
    """How many folders from the top all images have in common."""
    first, last = min(folders), max(folders)
    depth = 0
    while depth < min(len(first), len(last)) and first[depth] == last[depth]:
        depth += 1
    return depth


def _decode_all(
    entries: Entries, names: list[str], options: ImportOptions, progress: Progress
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Each readable image by name, all of one size, and a line for each unreadable one."""
    decoded: dict[str, np.ndarray] = {}
    skipped: list[str] = []
    for done, (name, data) in enumerate(entries.read(names), 1):
        try:
            if isinstance(data, DataError):
                raise data
            decoded[name] = decode(data, name, options.decoding)
        except DataError as error:
            if not options.skip_broken:
                raise
            skipped.append(str(error))
        else:
            _check_size(entries.path, decoded, name)
        progress(done, len(names))
    return decoded, tuple(sorted(skipped))


def _check_size(path: Path, decoded: dict[str, np.ndarray], name: str) -> None:
    first = next(iter(decoded))
    here, there = decoded[name].shape[:2], decoded[first].shape[:2]
    if here != there:
        raise DataError(
            f"{path}: expected images of one size, found '{first}' of {there[1]} x {there[0]} and '{name}' of "
            f"{here[1]} x {here[0]} pixels; give 'size' to bring them to one."
        )


def _stacked(decoded: dict[str, np.ndarray], names: list[str], how: Decoding) -> np.ndarray:
    """(N, H, W, C); one coloured image makes all RGB, and one of 16 bits makes all uint16. Empties ``decoded``."""
    colour = any(image.shape[-1] == 3 for image in decoded.values())
    deep = any(image.dtype == np.uint16 for image in decoded.values())
    channels = how.channels or ("rgb" if colour else "grey")
    shape = decoded[names[0]].shape[:2]
    stack = np.empty((len(names), *shape, 3 if channels == "rgb" else 1), np.uint16 if deep else np.uint8)
    for i, name in enumerate(names):
        image = with_channels(decoded.pop(name), channels)
        stack[i] = image.astype(np.uint16) * 257 if deep and image.dtype == np.uint8 else image
    return stack
