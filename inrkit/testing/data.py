"""Where a modality's signals come from."""

import contextlib
import json
import tempfile
from collections.abc import Iterator
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import torch

from inrkit.config.schema import fields_of
from inrkit.core.draws import Draws
from inrkit.core.modality import Signals
from inrkit.errors import InrkitError
from inrkit.plugins.registry import Entry
from inrkit.progress import quiet
from inrkit.storage.store import write_store
from inrkit.testing.check import NotAskedError, UnmetError, check, expect, expect_alike
from inrkit.testing.recorder import Recorder
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
    expect(
        torch.equal(before, torch.get_rng_state()),
        "expected chance from `Draws` alone, found torch's global state moved",
    )


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
            _refused(lambda path=path: subject.modality.source(path, "train"), f"opening {path.name} as data")


@check
def foreign_files_are_refused(subject: Subject) -> None:
    """A user's file that holds something else, or none at all, ends in one of inrkit's errors."""
    with tempfile.TemporaryDirectory() as folder:
        for path in _garbage(Path(folder), subject.suffix):
            _refused(lambda path=path: subject.modality.display.read([path]), f"reading {path.name}")


@check
def importers_refuse_garbage(subject: Subject) -> None:
    """Importers refuse what is missing, empty or something else with one of inrkit's errors."""
    for entry in _importers(subject):
        importer = subject.registry.importer(entry.name)
        with tempfile.TemporaryDirectory() as folder:
            for path in [*_garbage(Path(folder), subject.suffix), Path(folder)]:
                _refused(
                    lambda path=path, importer=importer: importer().run(
                        path, importer.Options(), Recorder(importer.name)
                    ),
                    f"importer '{entry.name}' of {path.name}",
                )


@check
def importers_are_documented(subject: Subject) -> None:
    """Each importer says what it reads and for which modality, and each of its options has a help text."""
    for entry in _importers(subject):
        importer = subject.registry.importer(entry.name)
        expect(importer.summary, f"importer '{entry.name}': expected a summary, found none")
        for key, field in fields_of(importer.Options).items():
            expect(field.help, f"importer '{entry.name}', option '{key}': expected a help text, found none")


@check
def imports_what_it_writes(subject: Subject) -> None:
    """A folder of signals as the modality writes them can be imported, stored, opened and observed."""
    entries = _importers(subject)
    numbers = list(range(min(20, len(subject.source()))))
    signals = subject.source().read(numbers)
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "files"
        files.mkdir()
        _write_all(subject, signals, files)
        reasons = []
        for entry in entries:
            importer = subject.registry.importer(entry.name)
            try:
                found = importer().run(files, importer.Options(), quiet)
            except InrkitError as error:
                reasons.append(f"{entry.name}: {error}")
                continue
            store = write_store(Path(folder) / "store.h5", found.modality, found.arrays, found.attributes)
            stored = subject.modality.source(store, "train")
            expect(len(stored) > 0, f"importer '{entry.name}': expected signals for training, found none")
            _refit(subject, store)
            return
    raise UnmetError(f"expected an importer to read the files that are written, found {'; '.join(reasons)}")


@check
def importers_say_how_far_they_are(subject: Subject) -> None:
    """Importers call their `Progress` as its contract says: what is done never falls, and ends at what there is."""
    entries = _importers(subject)
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder)
        _write_all(subject, subject.source().read([0, 1, 2]), files)
        for entry in entries:
            importer, recorder = subject.registry.importer(entry.name), Recorder(f"importer '{entry.name}'")
            with contextlib.suppress(InrkitError):  # of another layout
                importer().run(files, importer.Options(), recorder)
                recorder.finish()


def _write_all(subject: Subject, signals: Signals, folder: Path) -> None:
    for number, values in enumerate(_shown(subject, signals)):
        subject.modality.display.write([values], folder / f"{number:02d}{subject.suffix}")


def _refit(subject: Subject, store: Path) -> None:
    """The imported store is one that can be observed as it was fitted before."""
    source = subject.modality.source(store, "train")
    if subject.batch.label is None:  # a file does not say which class it is of
        subject.modality.fit_options(source)
    batch = subject.modality.observe(source.read([0, 1]), Draws(0, 2), training=False)
    wanted, found = tuple(subject.batch.support.values.shape[1:]), tuple(batch.support.values.shape[1:])
    expect(found == wanted, f"imported signals: expected observations {wanted}, found {found}")


def _shown(subject: Subject, signals: Signals) -> Iterator[torch.Tensor]:
    count = len(next(iter(signals.values())))
    yield from subject.modality.observe(signals, Draws(0, count), training=False).query.values


def _importers(subject: Subject) -> list[Entry]:
    found = [
        entry for entry in subject.registry.importers.values() if entry.plugin == getattr(subject.entry, "plugin", "")
    ]
    found = [entry for entry in found if subject.registry.importer(entry.name).modality == subject.name]
    if not found:
        raise NotAskedError("the plugin registers no importer for this modality")
    return found


def _garbage(folder: Path, suffix: str) -> list[Path]:
    """Files of the right name with the wrong contents, and one that is not there."""
    texts = {"noise": bytes(range(256)) * 8, "empty": b"", "text": b"not what was expected\n"}
    for name, content in texts.items():
        (folder / f"{name}{suffix}").write_bytes(content)
    return [folder / f"{name}{suffix}" for name in (*texts, "missing")]


def _refused(call: object, what: str) -> None:
    assert callable(call)
    try:
        call()
    except InrkitError:
        return
    except UnmetError:
        raise
    except Exception as error:
        raise UnmetError(f"{what}: expected one of inrkit's errors, found {error!r}") from error
    raise UnmetError(f"{what}: expected one of inrkit's errors, found that it was accepted")


def _same(found: Signals, wanted: Signals, rows: list[int], how: str) -> None:
    expect(set(found) == set(wanted), f"{how}: expected {sorted(wanted)}, found {sorted(found)}")
    for name, values in found.items():
        expect_alike(values.double(), wanted[name][rows].double(), f"'{name}' {how}", 0.0)
