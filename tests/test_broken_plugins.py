"""Every kind of broken plugin that we could think of: each is named with its reason and its distribution, and harms
nobody else; what a start does not look at, `inrkit plugins check` finds in a process of its own."""

import importlib.metadata
import json
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from inrkit.cli import main
from inrkit.errors import PluginError
from inrkit.plugins import discover, load_plugins, loading, sandbox
from inrkit.plugins.loading import installed
from inrkit.plugins.sandbox import changes, examine, shared

HERE = Path(__file__).parent / "broken_plugins"

REASONS = {
    "missing_dependency": "ModuleNotFoundError: No module named 'surely_not_installed'",
    "calls_sys_exit": "it called sys.exit(3)",
    "takes_a_modality": "modality 'image' is registered twice, by broken-takes-a-modality and by inrkit; uninstall one "
    "of them",
    "takes_a_command": "command 'train' is inrkit's own; give the plugin's another name",
    "other_version": "it asks for version 7 of the plugin interface, this inrkit has 1; install a newer inrkit",
    "raises_in_a_hook": "KeyError: 'gone'",
    "misspells_a_hook": "no hook named 'register_modality'; there are register_modalities, register_functions, "
    "register_denoisers, register_objectives, register_samplers, register_importers, register_exporters, "
    "register_sources, register_trackers, register_features, register_models, register_commands. "
    "Did you mean 'register_modalities'?",
    "registers_a_class": "function 'direct' must be given as 'module:attribute' (got <class "
    "'registers_a_class.Direct'>)",
}
"""What every start finds."""

CHECKED = {
    "takes_long": "it does not load within .* s",
    "will_not_stop": "it does not load within .* s",
    "ends_the_process": r"it ends the process that loads it \(exit code 3\)",
    "prints": "it prints while it is loaded: 'hello!'",
    "prints_from_c": "it prints while it is loaded: 'hello from C!'",
}
"""What makes a plugin unfit, and is found by `inrkit plugins check`."""

REMARKS = {
    "changes_what_all_share": "it changes the working directory, the state of random, filters of all warnings, the "
    "environment variable BROKEN_PLUGIN_WAS_HERE",
    "leaves_a_thread": "it leaves a thread running: ticker",
    "sets_up_torch": "it imports torch, .*; it changes torch's default type, torch's random state",
}
"""What a plugin should leave alone, and is found there too."""

HARMLESS = {*REASONS, "prints", "prints_from_c", "changes_what_all_share", "has_no_such_target"}
"""Those that may be loaded in the process of the tests."""


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
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with all of them installed, on the path."""
    folder = tmp_path_factory.mktemp("site")
    for module in HERE.glob("*.py"):
        install(folder, module)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield folder


@pytest.fixture
def all_installed(site: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Those that may be loaded here, beside our own."""
    monkeypatch.setenv("INRKIT_PLUGINS", ",".join(["image", *sorted(HARMLESS)]))
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        load_plugins()
        yield
    os.environ.pop("BROKEN_PLUGIN_WAS_HERE", None)


def rows() -> dict[str, dict[str, object]]:
    """What `inrkit plugins list --json` says, by plugin."""
    found = CliRunner().invoke(main, ["plugins", "list", "--json"])
    assert found.exit_code == 0, found.output
    return {row["plugin"]: row for row in json.loads(found.stdout)}


def started(site: Path, plugins: str, *words: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """`inrkit` as a program of its own, with these plugins."""
    environment = {**os.environ, "INRKIT_PLUGINS": plugins, "PYTHONPATH": str(site)}
    return subprocess.run(
        [sys.executable, "-m", "inrkit", *words], env=environment, capture_output=True, text=True, timeout=timeout
    )


# ---------------------------------------------------------------------------------------------- a start


def test_each_kind_is_expected_somewhere() -> None:
    """In a list of reasons, or in one of remarks."""
    assert {path.stem for path in HERE.glob("*.py")} == {*REASONS, *CHECKED, *REMARKS, "has_no_such_target"}


@pytest.mark.parametrize("kind", REASONS)
def test_each_is_named_with_its_reason_and_its_distribution(kind: str, all_installed: None) -> None:
    """In the list, for people and for programs; the distribution is what one uninstalls."""
    row = rows()[kind]
    assert (row["state"], row["reason"]) == ("broken", REASONS[kind])
    assert row["distribution"] == f"broken-{kind.replace('_', '-')}"
    assert row["version"] == "1.0"


def test_every_other_command_works_beside_them(all_installed: None) -> None:
    """Help, formats, a config, and asking one of them for something, which says what is wrong with it."""
    run = CliRunner().invoke
    for words in (["--help"], ["train", "--help"], ["data", "import", "--help"], ["plugins", "show", "image"]):
        found = run(main, words)
        assert found.exit_code == 0, found.output
    found = run(main, ["train", "--modality", "image", "--print-config", "--set", "options.count=50"])
    assert found.exit_code == 0, found.output
    asked = run(main, ["data", "import", "half", "source", "-o", "out.h5"])
    assert asked.exit_code == 4
    assert "plugin 'raises_in_a_hook' of broken-raises-in-a-hook is broken: KeyError: 'gone'" in asked.output


def test_what_a_plugin_prints_is_kept_out_of_results(site: Path) -> None:
    """A program that reads our JSON does not meet it."""
    found = started(site, "prints", "plugins", "list", "--json")
    assert [row["plugin"] for row in json.loads(found.stdout)] == ["inrkit", "prints"]
    assert found.stderr == "hello!\n"


def test_a_target_that_is_missing_is_found_when_it_is_asked_for(all_installed: None) -> None:
    """`plugins check` asks for all of them."""
    assert rows()["has_no_such_target"]["state"] == "works"
    with pytest.raises(PluginError, match=r"function 'nowhere' of broken-has-no-such-target: .* cannot be loaded"):
        load_plugins().function("nowhere")
    checked = CliRunner().invoke(main, ["plugins", "check", "has_no_such_target"])
    assert checked.exit_code == 4
    assert "registers_function" in checked.output.splitlines()[-1]


def test_metadata_that_cannot_be_read_harm_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One distribution's damaged file of entry points does not hide the others'."""
    info = tmp_path / "damaged-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: damaged\nVersion: 1.0\n")
    (info / "entry_points.txt").write_bytes(b"[inrkit]\n\xff\xfe = \xff\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    unreadable: list[loading.Broken] = []
    points = installed(unreadable)
    registry = discover(points, ["image"], unreadable)
    assert "image" in registry.modalities
    (broken,) = [b for b in registry.broken if b.plugin.startswith("damaged")]
    assert "its metadata cannot be read: UnicodeDecodeError" in broken.reason


def waited_for(tmp_path: Path, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loads a plugin of this code."""
    (tmp_path / "waits.py").write_text(code)
    install(tmp_path / "site", tmp_path / "waits.py")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    try:
        discover(importlib.metadata.entry_points(group="inrkit"), ["waits"])
    finally:
        sys.modules.pop("waits", None)


def test_who_makes_every_command_wait_is_named_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """With what leaves it out; nothing is said of those that are quick."""
    (tmp_path / "site").mkdir()
    monkeypatch.setattr(loading, "PATIENCE", 0.1)
    monkeypatch.setattr(sys, "__stderr__", sys.stderr)
    waited_for(tmp_path, "import time; time.sleep(.5)", monkeypatch)
    (line,) = capfd.readouterr().err.splitlines()
    assert line == (
        "inrkit: waiting for plugin 'waits' of broken-waits; '--plugins' or INRKIT_PLUGINS with the names of others "
        "leaves it out"
    )


def test_who_is_waited_for_is_named_when_the_user_gives_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C ends the command."""
    (tmp_path / "site").mkdir()
    with pytest.raises(KeyboardInterrupt):
        waited_for(tmp_path, "raise KeyboardInterrupt", monkeypatch)
    assert capfd.readouterr().err.startswith("inrkit: interrupted while loading plugin 'waits' of broken-waits; ")


def test_a_thread_that_a_plugin_leaves_keeps_no_command_from_ending(site: Path) -> None:
    """The command ends with its own exit code, and the list says who left it."""
    found = started(site, "leaves_a_thread", "plugins", "list", "--json")
    assert found.returncode == 0
    assert json.loads(found.stdout)[1]["remarks"][0] == "it leaves a thread running: ticker"
    assert started(site, "leaves_a_thread", "plugins", "show", "nobody").returncode == 2


# ---------------------------------------------------------------------------------------------- plugins check


@pytest.mark.parametrize("kind", CHECKED)
def test_check_finds_who_is_unfit(kind: str, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process of its own, which may hang, print or end."""
    monkeypatch.setattr(sandbox, "LIMIT", 1.0)
    monkeypatch.setattr(sandbox, "_START", 3.0)
    checked = CliRunner().invoke(main, ["plugins", "check", kind])
    assert checked.exit_code == 4
    assert f"plugin '{kind}' is broken: " in checked.output
    found = examine(kind).broken
    assert found is not None
    with pytest.raises(PluginError, match=CHECKED[kind]):
        raise PluginError(found)


@pytest.mark.parametrize("kind", REASONS)
def test_check_finds_what_a_start_finds(kind: str, site: Path) -> None:
    """With the same reason, but for a name that is taken only where its owner is there too."""
    if kind != "takes_a_modality":
        assert examine(kind).broken == REASONS[kind]


@pytest.mark.parametrize("kind", REMARKS)
def test_check_finds_what_a_plugin_should_leave_alone(kind: str, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It works, but the check is not passed."""
    monkeypatch.setattr(sandbox, "LIMIT", 60.0)  # importing torch may take its time
    found = examine(kind)
    assert found.broken is None
    with pytest.raises(PluginError, match=REMARKS[kind]):
        raise PluginError("; ".join(remark for remark in found.remarks if "registers nothing" not in remark))


def test_our_own_plugins_are_fit() -> None:
    """They load, and leave all else alone."""
    assert examine("image") == sandbox.Examined(None)


CHANGES: dict[str, Callable[[], object]] = {
    "the handlers of signals": lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    "sys.excepthook": lambda: setattr(sys, "excepthook", print),
    "the recursion limit": lambda: sys.setrecursionlimit(5000),
    "the state of random": lambda: random.seed(1),
    "the handlers of logging": lambda: logging.getLogger().addHandler(logging.NullHandler()),
    "the level of logging": lambda: logging.getLogger().setLevel(7),
    "torch's default type": lambda: torch.set_default_dtype(torch.float64),
    "torch's threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "torch's gradient mode": lambda: torch.set_grad_enabled(False),
    "torch's random state": lambda: torch.manual_seed(7),
    "filters of all warnings": lambda: warnings.simplefilter("ignore"),
    "the environment variable BROKEN_PLUGIN_WAS_HERE": lambda: os.environ.update(BROKEN_PLUGIN_WAS_HERE="1"),
}


@pytest.fixture
def kept() -> Iterator[None]:
    """Puts back what the test changes."""
    root, threads, limit, hook = logging.getLogger(), torch.get_num_threads(), sys.getrecursionlimit(), sys.excepthook
    level, handlers, terminate = root.level, list(root.handlers), signal.getsignal(signal.SIGTERM)
    with warnings.catch_warnings():
        yield
    root.setLevel(level)
    root.handlers[:] = handlers
    torch.set_num_threads(threads)
    torch.set_default_dtype(torch.float32)
    torch.set_grad_enabled(True)
    sys.setrecursionlimit(limit)
    sys.excepthook = hook
    signal.signal(signal.SIGTERM, terminate)
    os.environ.pop("BROKEN_PLUGIN_WAS_HERE", None)


@pytest.mark.parametrize("what", CHANGES)
def test_what_all_share_is_watched(what: str, kept: None) -> None:
    """By name; what a second look finds is nothing."""
    before = shared()
    CHANGES[what]()
    assert changes(before, shared()) == [what]
    assert changes(shared(), shared()) == []


def test_narrow_filters_of_warnings_are_welcome(kept: None) -> None:
    """A library may silence a message of its own while it is imported."""
    before = shared()
    warnings.filterwarnings("ignore", message="mine alone")
    assert changes(before, shared()) == []


# ---------------------------------------------------------------------------------------------- in the midst of a run

OBSERVES = """
    import inrkit

    class Sonar(inrkit.GridModality):
        '''Tones.'''
        name, summary, axes = "sonar", "tones", 1
        presets = {{"tiny": inrkit.tiny_preset()}}
        def load(self, path): ...
        def invent(self, chance):
            return lambda x: x
        def observe(self, signals, draws, *, training):
            {observes}

    @inrkit.hookimpl
    def register_modalities(register):
        register("sonar", "inrkit_sonar:Sonar", "tones")
"""


@pytest.mark.parametrize(
    ("observes", "said"),
    [
        ("raise SystemExit(0)", "plugin 'sonar' of broken-inrkit-sonar called sys.exit(0) while it was asked"),
        ("return 17", "modality 'sonar' of plugin 'sonar' (broken-inrkit-sonar): 'observe' must return"),
    ],
)
def test_a_modality_that_ends_the_program_or_returns_something_else_is_named(
    observes: str, said: str, tmp_path: Path
) -> None:
    """Exit code 4, and no run that looks as if it had been trained."""
    (tmp_path / "inrkit_sonar.py").write_text(textwrap.dedent(OBSERVES).format(observes=observes))
    (tmp_path / "site").mkdir()
    install(tmp_path / "site", tmp_path / "inrkit_sonar.py")
    points = next((tmp_path / "site").glob("*.dist-info")) / "entry_points.txt"
    points.write_text("[inrkit]\nsonar = inrkit_sonar\n")
    words = ["train", "--modality", "sonar", "--steps", "2", "--out", str(tmp_path / "run"), "--no-progress"]
    found = started(tmp_path / "site", "image,sonar", *words)
    assert found.returncode == 4, found.stderr
    assert said in found.stderr.splitlines()[-1]
