"""Every kind of broken plugin that we could think of, all installed at once: each is named with its reason and its
distribution, and everything else works."""

import contextlib
import importlib.metadata
import json
import os
import random
import shutil
import signal
import sys
import threading
import time
import types
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from inrkit.cli import main
from inrkit.errors import PluginError, UsageError
from inrkit.plugins import discover, load_plugins
from inrkit.plugins.globalstate import unchanged
from inrkit.plugins.guard import SECONDS, guarded, seconds_allowed
from inrkit.plugins.loading import installed

HERE = Path(__file__).parent / "broken_plugins"

REASONS = {
    "missing_dependency": "ModuleNotFoundError: No module named 'surely_not_installed'",
    "calls_sys_exit": "it called sys.exit(3)",
    "takes_long": f"it takes longer than 0.5 s to load; {SECONDS} allows more",
    "will_not_stop": f"it takes longer than 0.5 s to load; {SECONDS} allows more",
    "prints": "it prints while it is loaded: 'hello!'",
    "prints_from_c": "it prints while it is loaded: 'hello from C!'",
    "takes_a_modality": "modality 'image' is registered twice, by broken-takes-a-modality and by inrkit; uninstall one "
    "of them",
    "takes_a_command": "command 'train' is inrkit's own; give the plugin's another name",
    "other_version": "it asks for version 7 of the plugin interface, this inrkit has 1; install a newer inrkit",
    "raises_in_a_hook": "KeyError: 'gone'",
    "misspells_a_hook": "no hook named 'register_modality'; there are register_modalities, register_functions, "
    "register_denoisers, register_objectives, register_samplers, register_importers, register_exporters, "
    "register_sources, register_trackers, register_features, register_commands. Did you mean 'register_modalities'?",
    "registers_a_class": "function 'direct' must be given as 'module:attribute' (got <class "
    "'registers_a_class.Direct'>)",
}


def install(folder: Path, module: Path) -> None:
    """Copies a module and puts metadata beside it, as an installer would."""
    name = module.stem
    shutil.copy(module, folder)
    distribution = f"broken-{name.replace('_', '-')}"
    info = folder / f"broken_{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[inrkit]\n{name} = {name}\n")


@pytest.fixture(scope="module")
def all_installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """All of them beside our own, each allowed half a second."""
    folder = tmp_path_factory.mktemp("site")
    for module in HERE.glob("*.py"):
        install(folder, module)
    names = ["image", *(module.stem for module in HERE.glob("*.py"))]
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setenv("INRKIT_PLUGINS", ",".join(names))
        patch.setenv(SECONDS, "0.5")
        patch.delenv("BROKEN_PLUGIN_WAS_HERE", raising=False)
        yield
        for name in names:
            sys.modules.pop(name, None)
        os.environ.pop("BROKEN_PLUGIN_WAS_HERE", None)


def rows() -> dict[str, dict[str, object]]:
    """What `inrkit plugins list --json` says, by plugin."""
    found = CliRunner().invoke(main, ["plugins", "list", "--json"])
    assert found.exit_code == 0, found.output
    return {row["plugin"]: row for row in json.loads(found.stdout)}


# ---------------------------------------------------------------------------------------------- all of them


def test_there_are_twelve_kinds() -> None:
    """That cannot be used at all; and those that work, but not as they should."""
    assert len(REASONS) == 12
    rest = {module.stem for module in HERE.glob("*.py")} - set(REASONS)
    assert rest == {"changes_what_all_share", "has_no_such_target"}


@pytest.mark.parametrize("kind", REASONS)
def test_each_is_named_with_its_reason_and_its_distribution(kind: str, all_installed: None) -> None:
    """In the list, for people and for programs; the distribution is what one uninstalls."""
    row = rows()[kind]
    assert (row["state"], row["reason"]) == ("broken", REASONS[kind])
    assert row["distribution"] == f"broken-{kind.replace('_', '-')}"
    assert row["version"] == "1.0"


def test_every_other_command_works_beside_them(all_installed: None) -> None:
    """Help, formats, a dry run, and asking one of them for something, which says what is wrong with it."""
    run = CliRunner().invoke
    for words in (["--help"], ["train", "--help"], ["data", "import", "--help"], ["plugins", "show", "image"]):
        found = run(main, words)
        assert found.exit_code == 0, found.output
        assert "hello" not in found.output
    found = run(main, ["train", "--modality", "image", "--dry-run", "--set", "options.count=50"])
    assert found.exit_code == 0, found.output
    asked = run(main, ["data", "import", "half", "source", "out.h5"])
    assert asked.exit_code == 4
    assert "plugin 'raises_in_a_hook' of broken-raises-in-a-hook is broken: KeyError: 'gone'" in asked.output


def test_what_one_changes_is_put_back_and_remarked_on(all_installed: None) -> None:
    """It works, and the list says what it should leave alone."""
    before = (os.getcwd(), list(warnings.filters))
    row = rows()["changes_what_all_share"]
    assert row["state"] == "works"
    (remark,) = row["remarks"]  # type: ignore[misc]
    for thing in ("the working directory", "filters of all warnings", "(BROKEN_PLUGIN_WAS_HERE)"):
        assert thing in remark
    assert (os.getcwd(), list(warnings.filters)) == before
    assert load_plugins().functions["shared"].plugin == "changes_what_all_share"
    assert "but it changes" in CliRunner().invoke(main, ["plugins", "list"]).stdout


def test_a_target_that_is_missing_is_found_when_it_is_asked_for(all_installed: None) -> None:
    """`plugins check` asks for all of them."""
    assert rows()["has_no_such_target"]["state"] == "works"
    with pytest.raises(PluginError, match=r"function 'nowhere' of broken-has-no-such-target: .* cannot be loaded"):
        load_plugins().function("nowhere")


def test_metadata_that_cannot_be_read_harm_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One distribution's damaged file of entry points does not hide the others'."""
    info = tmp_path / "damaged-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: damaged\nVersion: 1.0\n")
    (info / "entry_points.txt").write_bytes(b"[inrkit]\n\xff\xfe = \xff\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    unreadable: list[object] = []
    points = installed(unreadable)  # type: ignore[arg-type]
    registry = discover(points, None, unreadable)  # type: ignore[arg-type]
    assert "image" in registry.modalities
    (broken,) = [b for b in registry.broken if b.plugin.startswith("damaged")]
    assert "its metadata cannot be read: UnicodeDecodeError" in broken.reason


# ---------------------------------------------------------------------------------------------- the guard


def stubborn() -> None:
    """Takes the first alarm for something else."""
    with guarded(0.1):
        with contextlib.suppress(BaseException):
            time.sleep(30)
        time.sleep(30)


def test_time_is_up_even_for_who_catches_everything() -> None:
    """The alarm rings again; and somebody else's timer goes on."""
    rung = []
    before = signal.signal(signal.SIGALRM, lambda *_: rung.append(1))
    previous = signal.setitimer(signal.ITIMER_REAL, 60)
    try:
        begin = time.monotonic()
        with pytest.raises(PluginError, match=r"longer than 0\.1 s"):
            stubborn()
        assert time.monotonic() - begin < 10
        assert 50 < signal.getitimer(signal.ITIMER_REAL)[0] <= 60
        assert not rung
    finally:
        signal.setitimer(signal.ITIMER_REAL, *previous)
        signal.signal(signal.SIGALRM, before)


def test_who_makes_every_command_wait_is_named_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The others cost nothing, and stand in the list alone."""
    for name in ("takes_long", "calls_sys_exit"):
        install(tmp_path, HERE / f"{name}.py")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv(SECONDS, "0.05")
    points = importlib.metadata.entry_points(group="inrkit")
    found = discover(points, ["takes_long", "calls_sys_exit"])
    assert {broken.plugin for broken in found.broken} == {"takes_long", "calls_sys_exit"}
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("plugin 'takes_long' of broken-takes-long is left out: it takes longer than 0.05 s")


def test_in_another_thread_lateness_is_seen_afterwards() -> None:
    """Signals reach the main thread alone; the plugin is refused all the same."""
    found: list[BaseException] = []

    def load() -> None:
        try:
            with guarded(0.05):
                time.sleep(0.1)
        except PluginError as error:
            found.append(error)

    thread = threading.Thread(target=load)
    thread.start()
    thread.join()
    assert "longer than 0.05 s" in str(found[0])


def test_the_time_allowed_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Anything else is the user's mistake."""
    monkeypatch.delenv(SECONDS, raising=False)
    assert seconds_allowed() == 5
    monkeypatch.setenv(SECONDS, "2.5")
    assert seconds_allowed() == 2.5
    for text in ("", "soon", "0", "-1", "nan", "inf"):
        monkeypatch.setenv(SECONDS, text)
        with pytest.raises(UsageError, match="must be a number of seconds"):
            seconds_allowed()


def test_what_goes_to_stderr_is_held_back_and_remarked_on(capfd: pytest.CaptureFixture[str]) -> None:
    """A warning of a library does not make a plugin useless."""
    with guarded(10) as watched:
        sys.stderr.write("careful\n")
        os.write(2, b"very\n")
    assert list(watched.remarks()) == ["it writes to stderr while it is loaded: 'careful very'"]
    os.write(1, b"after\n")
    assert capfd.readouterr().out == "after\n"


def test_a_full_disk_is_no_reason_to_do_without_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is printed from Python is still held back; what is printed from C is then not."""

    def full() -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    with guarded(10) as watched:
        sys.stderr.write("careful\n")
    assert watched.complained == "careful"
    with pytest.raises(PluginError, match="it prints while it is loaded: 'hello'"), guarded(10):
        print("hello")


def test_importing_torch_is_remarked_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command would wait for it."""
    monkeypatch.delitem(sys.modules, "torch")
    with guarded(10) as watched:
        sys.modules["torch"] = types.ModuleType("torch")
    (remark,) = watched.remarks()
    assert "it imports torch" in remark


CHANGES: dict[str, Callable[[], object]] = {
    "the handlers of signals": lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    "sys.excepthook": lambda: setattr(sys, "excepthook", print),
    "the recursion limit": lambda: sys.setrecursionlimit(5000),
    "the state of random": lambda: random.seed(1),
    "torch's default type": lambda: torch.set_default_dtype(torch.float64),
    "torch's gradient mode": lambda: torch.set_grad_enabled(False),
    "torch's random state": lambda: torch.manual_seed(7),
    "filters of all warnings": lambda: warnings.simplefilter("ignore"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_all_share_is_put_back(what: str) -> None:
    """And named; what a second look finds is as it was."""
    with unchanged() as changed:
        CHANGES[what]()
    assert changed == [what]
    with unchanged() as again:
        pass
    assert again == []


def test_narrow_filters_of_warnings_stay() -> None:
    """A library may silence a message of its own while it is imported."""
    with warnings.catch_warnings():
        with unchanged() as changed:
            warnings.filterwarnings("ignore", message="mine alone")
        assert changed == []
        warnings.warn("mine alone, as it happens", UserWarning, stacklevel=1)
