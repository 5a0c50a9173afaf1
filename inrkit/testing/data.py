"""Where a modality's signals come from."""

import contextlib
import json
import tempfile
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import torch

from inrkit.config.schema import fields_of
from inrkit.core.draws import Draws
from inrkit.core.modality import Signals
from inrkit.errors import InrkitError
from inrkit.progress import quiet
from inrkit.storage.importer import Importer
from inrkit.storage.storewriter import StoreWriter, write_store
from inrkit.testing.check import (
    NotAskedError,
    Recorder,
    UnmetError,
    check,
    expect,
    expect_alike,
    expect_chance_alone,
    expect_shape,
    refused,
)
from inrkit.testing.subject import Subject


@check
def both_splits_have_signals(subject: Subject) -> None:
    """There are signals to learn from, and others that are held out."""
    train, test = subject.source("train"), subject.source("test")
    expect(len(train) > 0 and len(test) > 0, f"expected signals in both splits, found {len(train)} and {len(test)}")
    first, held_out = train.read([0]), test.read([0])
    same = all(torch.equal(first[name], held_out[name]) for name in first)
    expect(not same, "expected the splits to hold different signals, found the same one first in both")


@check
def signals_have_rows_first(subject: Subject) -> None:
    """What is read is a tensor for each name, with one row for each number asked for."""
    found = subject.source().read([0, 1])
    expect(found, "expected signals, found an empty mapping")
    for name, values in found.items():
        expect(isinstance(values, torch.Tensor), f"'{name}': expected a tensor, found {type(values).__name__}")
        expect(len(values) == 2, f"'{name}': expected 2 rows for 2 numbers, found {tuple(values.shape)}")


@check
def signals_depend_on_their_number_alone(subject: Subject) -> None:
    """In any order, together or apart, from a source opened anew, a number gives the same signal."""
    source, last = subject.source(), subject.rows - 1
    _same(source.read([last, 0]), subject.signals, [last, 0], "read in another order")
    _same(subject.source().read([last]), subject.signals, [last], "read alone from a source opened anew")
    _same(source.read([0, 0]), subject.signals, [0, 0], "read twice")


@check
def reading_leaves_chance_alone(subject: Subject) -> None:
    """Neither reading nor observing draws from torch's global generator."""
    before = torch.get_rng_state()
    subject.source().read([0])
    subject.observe(training=True)
    expect_chance_alone(before)


@check
def sources_can_be_sent_to_workers(subject: Subject) -> None:
    """A source can be sent to another process, before and after it was read from."""
    source = subject.source()
    for when in ("new", "used"):
        try:
            ForkingPickler.dumps(source)
        except Exception as error:
            raise UnmetError(f"expected a {when} source that workers can be sent, found {error!r}") from error
        source.read([0])


@check
def facts_are_plain(subject: Subject) -> None:
    """What a source says of itself is JSON, and equal when it is asked again."""
    facts = dict(subject.source().facts)
    try:
        json.dumps(facts, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UnmetError(f"expected facts that JSON can hold, found {error}") from error
    expect(dict(subject.source().facts) == facts, "expected the same facts from a source opened anew")


@check
def foreign_data_are_refused(subject: Subject) -> None:
    """A file that is no store, or the store of another modality, ends in one of inrkit's errors."""
    with tempfile.TemporaryDirectory() as folder:
        garbage = Path(folder) / "garbage.h5"
        garbage.write_bytes(bytes(range(256)) * 8)
        foreign = write_store(Path(folder) / "foreign.h5", "of-another-kind", {"things": np.zeros((20, 3), np.uint8)})
        for path in (garbage, foreign, Path(folder) / "missing.h5"):
            with refused(f"opening {path.name} as data"):
                subject.modality.source(path, "train")


@check
def foreign_files_are_refused(subject: Subject) -> None:
    """A user's file that holds something else, or none at all, ends in one of inrkit's errors."""
    with tempfile.TemporaryDirectory() as folder:
        for path in _garbage(Path(folder), subject.suffix):
            with refused(f"reading {path.name}"):
                subject.modality.display.read([path])


@check
def importers_refuse_garbage(subject: Subject) -> None:
    """Importers refuse what is missing, empty or something else with one of inrkit's errors."""
    for importer in _importers(subject):
        with tempfile.TemporaryDirectory() as folder:
            for path in [*_garbage(Path(folder), subject.suffix), Path(folder)]:
                out = StoreWriter(Path(folder) / "store.h5", subject.name)
                with refused(f"importer '{importer.name}' of {path.name}"), out:
                    importer().run(path, out, importer.Options(), Recorder(importer.name))


@check
def importers_are_documented(subject: Subject) -> None:
    """Each importer says what it reads and for which modality, and each of its options has a help text."""
    for importer in _importers(subject):
        expect(importer.summary, f"importer '{importer.name}': expected a summary, found none")
        for key, field in fields_of(importer.Options).items():
            expect(field.help, f"importer '{importer.name}', option '{key}': expected a help text, found none")


@check
def imports_what_it_writes(subject: Subject) -> None:
    """A folder of signals as the modality writes them can be imported, stored, opened and observed."""
    importers, source = _importers(subject), subject.source()
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "files"
        files.mkdir()
        _write_all(subject, source.read(list(range(min(20, len(source))))), files)
        reasons = []
        for importer in importers:
            store = Path(folder) / "store.h5"
            try:
                with StoreWriter(store, subject.name) as out:
                    importer().run(files, out, importer.Options(), quiet)
            except InrkitError as error:
                reasons.append(f"{importer.name}: {error}")
                continue
            stored = subject.modality.source(store, "train")
            expect(len(stored) > 0, f"importer '{importer.name}': expected signals for training, found none")
            if subject.batch.label is None:  # a file does not say which class it is of
                subject.modality.fit_options(stored)
            batch = subject.modality.observe(stored.read([0, 1]), Draws(0, 2), training=False)
            expect_shape(batch.support.values[0], subject.batch.support.values[0].shape, "imported signals")
            return
    raise UnmetError(f"expected an importer to read the files that are written, found {'; '.join(reasons)}")


@check
def importers_say_how_far_they_are(subject: Subject) -> None:
    """Importers call their `Progress` as its contract says: what is done never falls, and ends at what there is."""
    importers = _importers(subject)
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as stores:
        files = Path(folder)
        _write_all(subject, subject.source().read([0, 1, 2]), files)
        for importer in importers:
            recorder = Recorder(f"importer '{importer.name}'")
            with (
                contextlib.suppress(InrkitError),  # of another layout
                StoreWriter(Path(stores) / f"{importer.name}.h5", subject.name) as out,
            ):
                importer().run(files, out, importer.Options(), recorder)
                recorder.finish()


def _write_all(subject: Subject, signals: Signals, folder: Path) -> None:
    draws = Draws(0, len(next(iter(signals.values()))))
    for number, values in enumerate(subject.modality.observe(signals, draws, training=False).query.values):
        subject.modality.display.write([values], folder / f"{number:02d}{subject.suffix}")


def _importers(subject: Subject) -> list[type[Importer]]:
    registry, plugin = subject.registry, getattr(subject.entry, "plugin", "")
    own = [registry.importer(entry.name) for entry in registry.importers.values() if entry.plugin == plugin]
    found = [importer for importer in own if importer.modality == subject.name]
    if not found:
        raise NotAskedError("the plugin registers no importer for this modality")
    return found


def _garbage(folder: Path, suffix: str) -> list[Path]:
    """Files of the right name with the wrong contents, and one that is not there."""
    texts = {"noise": bytes(range(256)) * 8, "empty": b"", "text": b"not what was expected\n"}
    for name, content in texts.items():
        (folder / f"{name}{suffix}").write_bytes(content)
    return [folder / f"{name}{suffix}" for name in (*texts, "missing")]


def _same(found: Signals, wanted: Signals, rows: list[int], how: str) -> None:
    expect(set(found) == set(wanted), f"{how}: expected {sorted(wanted)}, found {sorted(found)}")
    for name, values in found.items():
        expect_alike(values.double(), wanted[name][rows].double(), f"'{name}' {how}", 0.0)
