"""The checkpoint protocol, line by line: whole or absent, verified, pruned with care, never a pickle."""

import contextlib
import errno
import io
import json
import os
import pickle
import resource
import zipfile
from pathlib import Path

import pytest
import torch

from inrkit.errors import DataError, InrkitError, ResourceError, UsageError
from inrkit.storage import atomic, sealed
from inrkit.storage.checkpoint import (
    Checkpoint,
    clean_stale,
    latest_checkpoint,
    list_checkpoints,
    load_checkpoint,
    prune,
    save_checkpoint,
)

META = {"modality": "image", "plugin": "inrkit_image 0.1", "world_size": 1, "config": "abc"}


def tensors_of(step: int) -> dict[str, dict[str, torch.Tensor]]:
    weight = torch.arange(12.0).reshape(3, 4) + step
    return {
        "model": {"w": weight, "tied": weight, "b": torch.tensor(float(step))},
        "ema": {"w": weight.T},
        "rng": {"torch": torch.full((64,), step % 256, dtype=torch.uint8)},
    }


def save(directory: Path, step: int, **changes: object) -> Path:
    state = {"step": step, "cursor": [1, 2], "best": float("inf"), "python_rng": [3, list(range(5)), None]}
    return save_checkpoint(directory, step, tensors_of(step), {**state, **changes}, META)


def assert_is(found: Checkpoint | None, step: int) -> None:
    assert found is not None
    assert (found.step, found.state["step"], found.meta) == (step, step, META)
    for group, tensors in tensors_of(step).items():
        assert found.tensors[group].keys() == tensors.keys()
        assert all(torch.equal(found.tensors[group][name], tensors[name]) for name in tensors)


def names(directory: Path) -> list[str]:
    return sorted(entry.name for entry in directory.iterdir())


def test_everything_comes_back(tmp_path: Path) -> None:
    """load(save(x)) is x: tensors bit by bit, ties, state with infinities, meta."""
    path = save(tmp_path, 100)
    assert path == tmp_path / "step-00000100"
    assert names(path) == ["ema.safetensors", "manifest.json", "model.safetensors", "rng.safetensors", "state.json"]
    back = load_checkpoint(path)
    assert_is(back, 100)
    assert back.path == path
    assert back.tensors["model"]["w"] is back.tensors["model"]["tied"]
    assert back.state["best"] == float("inf")
    assert list(back.state) == ["step", "cursor", "best", "python_rng"]


def test_the_manifest_is_written_last_and_counts_every_file(tmp_path: Path) -> None:
    """Size and sha256 of each file, format version, step and meta are in the manifest."""
    path = save(tmp_path, 7)
    manifest = json.loads((path / "manifest.json").read_text())
    assert (manifest["format"], manifest["version"], manifest["step"]) == ("inrkit-checkpoint", 2, 7)
    assert manifest["meta"] == META
    assert {*manifest["files"], "manifest.json"} == set(names(path))
    for name, facts in manifest["files"].items():
        assert facts == {"sha256": atomic.sha256_file(path / name), "size": (path / name).stat().st_size}


class Recorder:
    """``os``, writing down what changes the disk."""

    def __init__(self) -> None:
        self.log: list[tuple[str, str]] = []
        self.open_files: dict[int, str] = {}

    def __getattr__(self, name: str):
        real = getattr(os, name)
        if name not in ("open", "fsync", "rename", "mkdir"):
            return real

        def call(first, *rest):
            result = real(first, *rest)
            if name == "open":
                self.open_files[result] = os.path.basename(first)
            elif name == "fsync":
                self.log.append(("fsync", self.open_files[first]))
            else:
                self.log.append((name, os.path.basename(rest[0] if name == "rename" else first)))
            return result

        return call


def test_files_are_synced_then_renamed_then_the_parent_is_synced(tmp_path: Path, monkeypatch) -> None:
    """Protocol lines 1 to 5, in order."""
    disk = Recorder()
    monkeypatch.setattr(atomic, "os", disk)
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    save(folder, 5)
    unfinished = f".tmp-step-00000005-{os.getpid()}"
    files = ["model.safetensors", "ema.safetensors", "rng.safetensors", "state.json", "manifest.json"]
    expected = [("mkdir", unfinished), *(("fsync", name) for name in [*files, unfinished])]
    assert disk.log == [*expected, ("rename", "step-00000005"), ("fsync", "checkpoints")]


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("steps", [(), (10,), (10, 20), (10, 20, 30)], ids=str)
def test_an_error_at_any_call_leaves_an_intact_checkpoint(tmp_path: Path, faulty, number: int, steps) -> None:
    """Whichever call of a save fails, what is loaded is the previous or the new checkpoint, and nothing unfinished."""
    target = max(steps, default=10)  # saved anew, so that replacing is tried as well, and a further one
    for step in (target, target + 10):
        failures = 0
        for k in range(1, 200):
            folder = tmp_path / f"{step}-{k}"
            folder.mkdir()
            for old in steps:
                save(folder, old)

            def fail() -> None:
                raise OSError(number, os.strerror(number))

            disk = faulty(k, fail)
            with contextlib.suppress(ResourceError, DataError):  # the latter from reading it back
                save(folder, step)
                failures -= 1
            failures += 1
            faulty(0, fail)
            clean_stale(folder)
            assert not list(folder.glob(".tmp*"))
            found, skipped = latest_checkpoint(folder)
            assert not skipped
            if steps:
                assert_is(found, found.step)
                assert found.step in (steps[-1], step)
            if disk.calls < k:
                break
        assert failures >= 22


def test_a_full_disk_says_needed_and_free_bytes(tmp_path: Path, faulty) -> None:
    """The message names the checkpoint and both numbers."""

    def fail() -> None:
        raise OSError(errno.ENOSPC, "no room")

    faulty(3, fail)
    with pytest.raises(ResourceError, match=r"step-00000001: no room to write: 551 bytes needed, \d+ bytes free"):
        save(tmp_path, 1)


@pytest.mark.parametrize("step", [20, 30])
def test_a_killed_process_leaves_an_intact_checkpoint(tmp_path: Path, faulty, step: int) -> None:
    """A process that vanishes at any call leaves a loadable checkpoint; the next start clears the rest away."""
    for k in range(1, 200):
        folder = tmp_path / str(k)
        folder.mkdir()
        save(folder, 10)
        save(folder, 20)
        child = os.fork()
        if child == 0:
            disk = faulty(k, lambda: os._exit(9))
            save(folder, step)
            os._exit(0 if disk.calls < k else 1)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        clean_stale(folder)
        assert not list(folder.glob(".tmp*"))
        found, skipped = latest_checkpoint(folder)
        assert not skipped
        assert_is(found, found.step)
        assert found.step in (20, step)
        steps = [load_checkpoint(path).step for path in list_checkpoints(folder)]  # none half written or half removed
        assert 20 in steps
        if status == 0:
            break
        assert status == 9
    assert k > 25


def test_pruning_keeps_the_newest_and_never_fewer_than_two(tmp_path: Path) -> None:
    """After each save the ``keep`` newest are there; one is too few to be safe."""
    for step in (1, 2, 3, 4):
        save(tmp_path, step)
        assert names(tmp_path) == [f"step-{kept:08d}" for kept in (step - 1, step) if kept]
    for step in (5, 6):
        save_checkpoint(tmp_path, step, {}, {}, {}, keep=3)
    assert len(list_checkpoints(tmp_path)) == 3
    for keep in (0, 1, -1):
        with pytest.raises(UsageError, match="keep"):
            prune(tmp_path, keep=keep)
        with pytest.raises(UsageError, match="keep"):
            save_checkpoint(tmp_path, 9, {}, {}, {}, keep=keep)


def test_damaged_checkpoints_do_not_count_as_kept(tmp_path: Path) -> None:
    """A cut-off newest one does not push an intact old one out."""
    save(tmp_path, 1)
    save(tmp_path, 2)
    path = save_checkpoint(tmp_path, 3, tensors_of(3), {}, META, keep=3)
    os.truncate(path / "model.safetensors", 20)
    assert prune(tmp_path, keep=2) == []
    assert len(list_checkpoints(tmp_path)) == 3


def test_the_checkpoint_just_written_is_never_pruned(tmp_path: Path) -> None:
    """Going on from an old step beside newer ones keeps what was asked for."""
    save(tmp_path, 100)
    save(tmp_path, 200)
    save(tmp_path, 50)
    assert names(tmp_path) == ["step-00000050", "step-00000100", "step-00000200"]


def test_nothing_is_pruned_when_the_new_one_does_not_read_back(tmp_path: Path, monkeypatch) -> None:
    """A disk that loses what it was given costs no older checkpoint."""
    save(tmp_path, 1)
    save(tmp_path, 2)
    sync = atomic.sync_folder

    def sync_and_corrupt(path: Path) -> None:
        sync(path)
        if path == tmp_path:
            (tmp_path / "step-00000003" / "state.json").write_text("{}")

    monkeypatch.setattr(atomic, "sync_folder", sync_and_corrupt)
    with pytest.raises(DataError, match=r"state\.json"):
        save(tmp_path, 3)
    found, skipped = latest_checkpoint(tmp_path)
    assert_is(found, 2)
    assert len(skipped) == 1
    assert load_checkpoint(tmp_path / "step-00000001").step == 1


def test_the_same_step_can_be_saved_again(tmp_path: Path) -> None:
    """The later one replaces the earlier one."""
    save(tmp_path, 3, note="first")
    save(tmp_path, 3, note="second")
    assert load_checkpoint(tmp_path / "step-00000003").state["note"] == "second"
    assert names(tmp_path) == ["step-00000003"]


def test_damage_never_goes_unnoticed(tmp_path: Path, damaged) -> None:
    """Each of 100 alterations of any file of a checkpoint is refused, whichever file it hits."""
    path = save(tmp_path, 3)
    for seed, name in enumerate(names(path)):
        whole = (path / name).read_bytes()
        for data in damaged(whole, 20, seed=seed):
            (path / name).write_bytes(data)
            with pytest.raises(DataError, match=name.replace(".", r"\.")):
                load_checkpoint(path)
        (path / name).write_bytes(whole)
    assert_is(load_checkpoint(path), 3)


def test_a_damaged_checkpoint_is_named_and_another_offered(tmp_path: Path) -> None:
    """File, expected and found hash, and the newest intact checkpoint are in the message; the search passes it over."""
    save(tmp_path, 1)
    path = save(tmp_path, 2)
    data = bytearray((path / "ema.safetensors").read_bytes())
    data[-3] ^= 16
    (path / "ema.safetensors").write_bytes(data)
    pattern = (
        r"step-00000002/ema\.safetensors: expected sha256 \w{12}, found \w{12}.*newest intact one is .*step-00000001"
    )
    with pytest.raises(DataError, match=pattern):
        load_checkpoint(path)
    found, skipped = latest_checkpoint(tmp_path)
    assert_is(found, 1)
    assert len(skipped) == 1
    assert "ema.safetensors" in skipped[0]


def test_what_a_trainer_removes_meanwhile_is_looked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever samples beside it gets the newer one, and hears nothing of damage."""
    save(tmp_path, 1)
    read = atomic.read_regular_file

    def trained(path: Path, **limits: int) -> bytes:
        if path.parent.name == "step-00000001" and not (tmp_path / "step-00000002").exists():
            monkeypatch.setattr(atomic, "read_regular_file", read)
            save(tmp_path, 2)
            atomic.remove(tmp_path / "step-00000001")
        return read(path, **limits)

    monkeypatch.setattr(atomic, "read_regular_file", trained)
    found, skipped = latest_checkpoint(tmp_path)
    assert_is(found, 2)
    assert not skipped


def test_training_does_not_begin_anew_where_all_is_damaged(tmp_path: Path) -> None:
    """No checkpoints is nothing; only damaged ones is an error."""
    assert latest_checkpoint(tmp_path) == (None, [])
    assert latest_checkpoint(tmp_path / "none") == (None, [])
    os.truncate(save(tmp_path, 1) / "state.json", 1)
    with pytest.raises(DataError, match="no intact checkpoint among 1"):
        latest_checkpoint(tmp_path)


def test_missing_files_are_noticed(tmp_path: Path) -> None:
    """A file of the manifest that is gone is named."""
    path = save(tmp_path, 1)
    (path / "rng.safetensors").unlink()
    with pytest.raises(DataError, match=r"rng\.safetensors"):
        load_checkpoint(path)


class Payload:
    """A pickle that leaves a mark where it is opened."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("name", ["m.pt", "m.pth", "m.ckpt", "m.pkl", "m.safetensors", "m", "zip", "m.json"])
def test_files_are_refused_without_being_opened(tmp_path: Path, name: str) -> None:
    """Whatever its name, no file is taken for a checkpoint and no pickle runs."""
    mark, path = tmp_path / "mark", tmp_path / name
    payload = pickle.dumps(Payload(mark))
    if name == "zip":
        zipped = io.BytesIO()
        with zipfile.ZipFile(zipped, "w") as archive:
            archive.writestr("archive/data.pkl", payload)
        payload = zipped.getvalue()
    path.write_bytes(payload)
    with pytest.raises(DataError, match=r"expected a checkpoint folder.*may hold a pickle"):
        load_checkpoint(path)
    assert not mark.exists()


def test_folders_without_a_manifest_are_refused_with_a_hint(tmp_path: Path) -> None:
    """Distributed checkpoints, run folders and nothing at all: the nearest real checkpoint is offered."""
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / ".metadata").write_bytes(pickle.dumps(Payload(tmp_path / "mark")))
    with pytest.raises(DataError, match=r"expected a checkpoint folder with manifest.json, found none; no intact one"):
        load_checkpoint(run)
    save(run / "checkpoints", 4)
    for path in (run, run / "checkpoints", run / "checkpoints" / "step-00000005"):
        with pytest.raises(DataError, match=r"newest intact one is .*step-00000004"):
            load_checkpoint(path)
    assert not (tmp_path / "mark").exists()


def forge(path: Path, change) -> None:
    """Change the manifest and seal it again, as someone who means harm would."""
    body = json.loads((path / "manifest.json").read_text())
    del body["sha256"]
    change(body)
    (path / "manifest.json").write_bytes(sealed.seal(body))


SECRET = b'{"secret": 1}'
LEADS_OUT = [
    "../state.json",
    "/etc/hostname",
    "..",
    "",
    ".",
    "a/b.safetensors",
    "state.json\0",
    "a\\b",
    ".hidden",
    "x.pt",
]


@pytest.mark.parametrize("name", LEADS_OUT)
def test_manifest_names_lead_nowhere_else(tmp_path: Path, name: str) -> None:
    """Paths, hidden files and other endings are not to be trusted."""
    (tmp_path / "state.json").write_bytes(SECRET)
    path = save(tmp_path, 1)
    facts = {"sha256": atomic.sha256(SECRET), "size": len(SECRET)}
    forge(path, lambda body: body["files"].update({name: facts}))
    with pytest.raises(DataError, match="not to be trusted"):
        load_checkpoint(path)


def test_links_are_not_followed(tmp_path: Path) -> None:
    """A link in place of a file, or of a whole checkpoint in a search, is passed over."""
    path = save(tmp_path, 1)
    (tmp_path / "outside").write_bytes((path / "state.json").read_bytes())
    (path / "state.json").unlink()
    (path / "state.json").symlink_to(tmp_path / "outside")
    with pytest.raises(DataError, match=r"state\.json: expected an ordinary file"):
        load_checkpoint(path)
    (tmp_path / "step-00000009").symlink_to(path)
    assert list_checkpoints(tmp_path) == [path]


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.update(version=1),
        lambda body: body.update(format="other"),
        lambda body: body.update(step=2),
        lambda body: body.pop("files"),
        lambda body: body.update(files=[]) or body.update(step="x"),
        lambda body: body["files"]["state.json"].pop("size"),
        lambda body: body["files"]["state.json"].update(size="1"),
        lambda body: body["files"].update({"state.json": 3}),
    ],
)
def test_forged_manifests_are_data_errors(tmp_path: Path, change) -> None:
    """Other versions, a step that is not the folder's, missing parts: said, not tripped over."""
    path = save(tmp_path, 1)
    forge(path, change)
    with pytest.raises(DataError, match="expected"):
        load_checkpoint(path)


def test_leftovers_of_ended_processes_are_removed(tmp_path: Path) -> None:
    """Those of dead processes go, those of living ones and other hidden files stay."""
    ended = os.fork()
    if ended == 0:
        os._exit(0)
    os.waitpid(ended, 0)
    for name in (f".tmp-step-00000001-{ended}", f".tmp-step-00000002-{os.getppid()}", ".tmp-mine", ".keep"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("x")
    (tmp_path / f".tmp-file-abcd-{ended}").write_text("x")
    assert len(clean_stale(tmp_path)) == 2
    assert names(tmp_path) == [".keep", ".tmp-mine", f".tmp-step-00000002-{os.getppid()}"]
    assert clean_stale(tmp_path / "none") == []


def test_groups_and_state_that_cannot_come_back_are_refused(tmp_path: Path) -> None:
    """Paths as group names, number keys in the state, negative steps: refused before anything is written."""
    for group in ("../x", "a/b", "", "a.b"):
        with pytest.raises(UsageError):
            save_checkpoint(tmp_path, 1, {group: {}}, {}, {})
    for state in ({1: 2}, {"a": object()}):
        with pytest.raises(InrkitError):
            save_checkpoint(tmp_path, 1, {}, state, {})
    with pytest.raises(UsageError):
        save_checkpoint(tmp_path, -1, {}, {}, {})
    assert not list(tmp_path.iterdir())
    with pytest.raises(UsageError, match="cannot be used"):
        save_checkpoint(tmp_path / "none", 1, {}, {}, {})


def test_a_file_size_limit_leaves_the_previous_checkpoint(tmp_path: Path) -> None:
    """A disk that truly refuses to take more: the process lives, says so, and the previous checkpoint loads."""
    save(tmp_path, 1)
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        try:
            save_checkpoint(tmp_path, 2, {"model": {"w": torch.zeros(100_000)}}, {}, {})
        except ResourceError as error:
            os._exit(6 if "bytes needed" in str(error) else 1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 6
    assert names(tmp_path) == ["step-00000001"]
    assert_is(latest_checkpoint(tmp_path)[0], 1)
