"""`inrkit plugins show`, `check` and `new`, and commands that plugins bring."""

import importlib
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from inrkit.cli import main
from inrkit.cli.root import COMMANDS
from inrkit.errors import UsageError
from inrkit.plugins.offering import RESERVED
from inrkit.plugins.template import write_plugin
from inrkit.testing import CHECKS, run

SMALL = ["width=16", "heads=2", "hidden=16", "depth=1", "decoder_depth=1", "inr_width=16", "inr_inner=16", "count=40"]
SMALL_FLAGS = [part for option in SMALL for part in ("--set", option)]


def inrkit(*words: str | Path) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def installed(folder: Path, distribution: str, entry: str, package: str) -> None:
    """Puts metadata beside what lies in a folder, as an installer would."""
    info = folder / f"{distribution.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[inrkit]\n{entry} = {package}\n")


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Installs a plugin of one module, and lets it alone be loaded."""

    def install(name: str, code: str) -> None:
        (tmp_path / f"inrkit_{name}.py").write_text(textwrap.dedent(code))
        installed(tmp_path, f"inrkit-{name}", name, f"inrkit_{name}")
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.setenv("INRKIT_PLUGINS", f"image,{name}")

    return install


# ---------------------------------------------------------------------------------------------- names, commands

GREET = """
    import click
    import inrkit

    @click.command()
    @click.argument("whom")
    def greet(whom):
        click.echo(f"hello {whom}")

    @inrkit.hookimpl
    def register_commands(register):
        register("greet", "inrkit_greeter:greet", "say hello")
"""


def test_names_of_our_own_are_reserved() -> None:
    """No plugin can put itself in the place of a command of inrkit."""
    assert RESERVED["command"] >= set(COMMANDS)


def test_hook_register_commands(module: Callable[[str, str], None]) -> None:
    """A plugin's command stands in the help and runs like any other."""
    module("greeter", GREET)
    assert inrkit("greet", "you").output == "hello you\n"
    listed = inrkit("--help").output
    assert "Commands of plugins:" in listed
    assert "say hello (greeter)" in listed
    assert "Did you mean 'greet'?" in inrkit("gret").output


def test_a_plugin_cannot_take_the_place_of_a_command(module: Callable[[str, str], None]) -> None:
    """Ours goes on as before, and the list says why the plugin is left out."""
    module("shadow", GREET.replace('"greet"', '"train"').replace("inrkit_greeter", "inrkit_shadow"))
    rows = {row["plugin"]: row for row in json.loads(inrkit("plugins", "list", "--json").output)}
    assert rows["shadow"]["reason"] == "command 'train' is inrkit's own; give the plugin's another name"
    assert "Train a hyper-network" in inrkit("train", "--help").output


def test_what_is_registered_as_a_command_must_be_one(module: Callable[[str, str], None]) -> None:
    """Exit code 4, with the plugin's name."""
    module("number", GREET.replace("inrkit_greeter:greet", "inrkit:__version__"))
    found = inrkit("greet")
    assert found.exit_code == 4
    assert "command 'greet' of inrkit-number: 'inrkit:__version__' must be a `click.Command`" in found.output


def test_a_mistake_in_the_code_of_a_plugin_is_told_from_one_of_ours(module: Callable[[str, str], None]) -> None:
    """One line that names the plugin and its distribution, and exit code 4."""
    module("wrong", GREET.replace("inrkit_greeter", "inrkit_wrong").replace("hello {whom}", "{1 // 0}"))
    found = inrkit("greet", "you")
    assert found.exit_code == 4
    assert "ZeroDivisionError" in found.output
    assert "this is a bug of plugin 'wrong' of inrkit-wrong" in found.output
    assert len(found.output.splitlines()) == 1


TRAINS = """
    import attrs
    import inrkit

    @attrs.frozen
    class Target(inrkit.Objective):
        name = "{name}"
        def loss(self, step):
            {body}

    @inrkit.hookimpl
    def register_objectives(register):
        register("{name}", "inrkit_{name}:Target", "an odd one")
"""


@pytest.mark.parametrize(
    ("name", "body", "reason"),
    [
        ("odd", "raise KeyError('no luck')", "'no luck' (this is a bug of plugin 'odd' of inrkit-odd"),
        ("three", "return 3.0", "objective 'three': `inrkit_three.Target.loss` must return an `inrkit.Loss` (got 3.0)"),
    ],
)
def test_an_objective_that_fails_is_named(
    module: Callable[[str, str], None], tmp_path: Path, name: str, body: str, reason: str
) -> None:
    """Exit code 4, one line, and whose it is."""
    module(name, TRAINS.format(name=name, body=body))
    small = [part for option in SMALL for part in ("--set", f"options.{option}")]
    flags = ["--objective", name, "--steps", "2", "--no-progress", *small]
    found = inrkit("train", "--modality", "image", "--out", tmp_path / "run", *flags)
    assert found.exit_code == 4, found.output
    assert reason in " ".join(found.output.split())


# ---------------------------------------------------------------------------------------------- show


def test_show_tells_all_that_a_plugin_registers() -> None:
    """Each name, what it is and where it lives; for programs too."""
    assert "attention over tokens" in inrkit("plugins", "show", "image").output
    found = json.loads(inrkit("plugins", "show", "image", "--json").output)
    assert {"kind": "modality", "name": "image"}.items() <= found["registered"][0].items()
    unknown = inrkit("plugins", "show", "imgae")
    assert unknown.exit_code == 2
    assert "Did you mean 'image'?" in unknown.output


def test_show_tells_why_a_plugin_is_broken(module: Callable[[str, str], None]) -> None:
    """Exit code 4, as wherever a broken plugin is asked for."""
    module("absent", "import surely_not_installed")
    found = inrkit("plugins", "show", "absent")
    assert found.exit_code == 4
    assert "plugin 'absent' of inrkit-absent is broken: ModuleNotFoundError" in found.output


# ---------------------------------------------------------------------------------------------- check


def test_check_makes_checks_and_shows_them() -> None:
    """By the name of a plugin or of a modality; all that is registered is imported."""
    words = ["plugins", "check", "image", *SMALL_FLAGS, "--only", "rows_are_independent", "--json"]
    rows = json.loads(inrkit(*words).output)
    assert {row["check"] for row in rows} >= {"registers_modality", "registers_importer", "rows_are_independent"}
    assert {row["state"] for row in rows} == {"passed"}


def test_check_ends_with_4_when_a_law_is_broken() -> None:
    """The last line names the checks; one that is expected to fail, and one that surprises, are told apart."""
    only = ["--only", "signals_are_shown_elsewhere"]
    broken = inrkit("plugins", "check", "image", *SMALL_FLAGS, *only, "--at", "orbit=3")
    assert broken.exit_code == 4
    assert "breaks 1 of" in broken.output
    assert "signals_are_shown_elsewhere" in broken.output.splitlines()[-1]
    expect = ["--expect", "signals_are_shown_elsewhere=pictures have one side"]
    assert inrkit("plugins", "check", "image", *SMALL_FLAGS, *only, "--at", "orbit=3", *expect).exit_code == 0
    surprise = inrkit("plugins", "check", "image", *SMALL_FLAGS, *only, *expect)
    assert surprise.exit_code == 4
    assert "surprise" in surprise.output


def test_check_refuses_what_it_does_not_know() -> None:
    """Names of plugins and of checks, with the nearest."""
    assert "Did you mean 'image'?" in inrkit("plugins", "check", "imgae").output
    assert "Did you mean 'readouts_agree'?" in inrkit("plugins", "check", "image", "--only", "readout_agrees").output
    assert inrkit("plugins", "check", "image", "--at", "size").exit_code == 2


@pytest.mark.parametrize(("code", "how"), [("os._exit(3)", "exit code 3"), ("os.abort()", "SIGABRT")])
def test_check_survives_a_plugin_that_ends_the_process(code: str, how: str, module: Callable[[str, str], None]) -> None:
    """It is loaded in a process of its own first: the one kind of plugin that nothing else could name."""
    module("killer", f"import os; {code}")
    found = inrkit("plugins", "check", "killer")
    assert found.exit_code == 4
    assert "plugin 'killer' is broken: it ends the process that loads it" in found.output
    assert how in found.output


# ---------------------------------------------------------------------------------------------- new


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_a_new_plugin_keeps_every_law_as_it_is_written(
    axes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Installed like any other, for signals on one, two and three axes, and without one expected failure."""
    name = f"fresh-{axes}"
    assert inrkit("plugins", "new", name, "--axes", str(axes), "-o", tmp_path / "new").exit_code == 0
    installed(tmp_path / "new", f"inrkit-{name}", name, f"inrkit_fresh_{axes}")
    monkeypatch.syspath_prepend(str(tmp_path / "new"))
    monkeypatch.setenv("INRKIT_PLUGINS", f"image,{name}")
    importlib.invalidate_caches()
    small = {"width": 24, "heads": 2, "hidden": 24, "depth": 1, "inr_width": 24, "inr_inner": 16, "count": 40}
    results = list(run(name, options=small, values={"steps": 12}))
    assert not [(result.name, result.reason) for result in results if result.state not in ("passed", "not asked")]
    assert len(results) == len(CHECKS)


def test_a_new_plugin_comes_with_a_test_of_every_law(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The distribution is complete: its own test is the conformance kit, on its own modality."""
    write_plugin("whole", 1, tmp_path / "new")
    installed(tmp_path / "new", "inrkit-whole", "whole", "inrkit_whole")
    monkeypatch.syspath_prepend(str(tmp_path / "new"))
    monkeypatch.syspath_prepend(str(tmp_path / "new" / "tests"))
    monkeypatch.setenv("INRKIT_PLUGINS", "image,whole")
    importlib.invalidate_caches()
    test = importlib.import_module("test_whole").test_conformance
    cases = {case.id: case.values[0] for case in test.pytestmark[0].args[1]}
    assert set(cases) == set(CHECKS)
    for name in ("options_are_documented", "rows_are_independent"):
        test(cases[name])


def test_a_new_plugin_says_how_it_is_found_and_what_to_change(tmp_path: Path) -> None:
    """The entry point, and pages with its own names in them."""
    folder = tmp_path / "new"
    files = {path.relative_to(folder).as_posix(): path.read_text() for path in write_plugin("sea-level", 2, folder)}
    assert 'sea-level = "inrkit_sea_level"' in files["pyproject.toml"]
    assert "class SeaLevelModality(inrkit.GridModality):" in files["inrkit_sea_level/modality.py"]
    assert not [path for path, text in files.items() if "$" in text]
    assert "`invent`" in files["README.md"]


def test_a_new_plugin_never_overwrites_and_has_a_name_of_its_own(tmp_path: Path) -> None:
    """Existing folders, odd names and names in use are refused."""
    with pytest.raises(UsageError, match="expected a new folder"):
        write_plugin("fresh", 1, tmp_path)
    with pytest.raises(UsageError, match="lower-case letters"):
        write_plugin("Fresh", 1, tmp_path / "new")
    with pytest.raises(UsageError, match="1, 2 or 3"):
        write_plugin("fresh", 4, tmp_path / "new")
    found = inrkit("plugins", "new", "image", "-o", tmp_path / "new")
    assert found.exit_code == 2
    assert "the modality 'image' is installed already" in found.output
    assert not (tmp_path / "new").exists()


# ---------------------------------------------------------------------------------------------- start-up


def test_help_stays_light_with_six_plugins(tmp_path: Path) -> None:
    """Each costs its own small module: `inrkit --help` imports neither a library of theirs nor a target."""
    for number in (1, 2):
        write_plugin(f"more-{number}", number, tmp_path / f"more-{number}")
        installed(tmp_path / f"more-{number}", f"inrkit-more-{number}", f"more-{number}", f"inrkit_more_{number}")
    names = "image,nerf,baselines,params,more-1,more-2"
    code = (
        "import sys\n"
        f"sys.path += [{str(tmp_path / 'more-1')!r}, {str(tmp_path / 'more-2')!r}]\n"
        "before = set(sys.modules)\n"
        "from click.testing import CliRunner\n"
        "from inrkit.cli import main\n"
        "assert CliRunner().invoke(main, ['--help']).exit_code == 0\n"
        "added = set(sys.modules) - before\n"
        "tops = {name.partition('.')[0] for name in added} - set(sys.stdlib_module_names)\n"
        "print(len(added), *sorted(tops))"
    )
    environment = {**os.environ, "INRKIT_PLUGINS": names}
    child = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    count, *tops = child.stdout.split()
    assert {"inrkit_image", "inrkit_more_1", "inrkit_more_2"} <= set(tops)
    assert {top for top in tops if not top.startswith("inrkit")} <= {"attr", "attrs", "click", "pluggy"}
    assert int(count) < 300
