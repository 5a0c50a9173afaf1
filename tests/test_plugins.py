"""Discovery: what works is found, what is broken is named with its reason and harms nothing else."""

import functools
import importlib.metadata
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import attrs
import pluggy
import pytest

import inrkit
from inrkit import hookspecs
from inrkit.errors import InrkitError, PluginError, UsageError
from inrkit.plugins import VARIABLE, Registry, discover, load_plugins
from inrkit.plugins.registry import KINDS

Install = Callable[..., None]

GOOD = """
    import inrkit

    @inrkit.hookimpl
    def register_modalities(register):
        register("{name}", "{module}_target:Target", "a summary")
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts distributions on the path as an installer would: modules, and metadata with entry points."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(plugin: str, code: str, distribution: str | None = None, **modules: str) -> None:
        distribution = distribution or f"inrkit-{plugin}"
        module = f"{distribution}_{plugin}".replace("-", "_")
        for name, text in {module: code, **{f"{module}_{key}": text for key, text in modules.items()}}.items():
            (tmp_path / f"{name}.py").write_text(textwrap.dedent(text).format(name=plugin, module=module))
            monkeypatch.delitem(sys.modules, name, raising=False)
        info = tmp_path / f"{distribution.replace('-', '_')}-1.0.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        with (info / "entry_points.txt").open("a") as file:
            file.write(f"[inrkit]\n{plugin} = {module}\n")

    return install


def found() -> Registry:
    """The registry of everything installed, without the cache."""
    return discover(importlib.metadata.entry_points(group="inrkit"))


def why_broken(registry: Registry) -> dict[str, str]:
    return {broken.plugin: broken.reason for broken in registry.broken}


def test_the_built_in_plugin_is_found_through_its_entry_point() -> None:
    """Built-in plugins go the way that an outsider's go."""
    registry = load_plugins()
    assert registry.modalities["image"].plugin == "image"
    assert registry.modality("image").name == "image"
    assert not registry.broken


def test_loading_plugins_imports_neither_torch_nor_any_target() -> None:
    """Registering is cheap; what is registered is imported when somebody asks for it."""
    code = "import sys, inrkit; broken = inrkit.load_plugins().broken; print(int('torch' in sys.modules), len(broken))"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert child.stdout.split() == ["0", "0"]


def test_a_plugin_of_another_distribution_is_found(install: Install) -> None:
    """Whoever is installed with an entry point takes part, and is named as the origin."""
    install("sound", GOOD)
    entry = found().modalities["sound"]
    assert (entry.distribution, entry.plugin, entry.summary) == ("inrkit-sound", "sound", "a summary")


BROKEN = {
    "import error": ("import surely_not_installed", "ModuleNotFoundError"),
    "syntax error": ("def (:", "SyntaxError"),
    "sys.exit": ("import sys; sys.exit(3)", "sys.exit(3)"),
    "exception": ("raise RuntimeError('no\\nluck')", "RuntimeError: no luck"),
    "base exception": ("class Odd(BaseException): pass\nraise Odd('rare')", "Odd: rare"),
    "raises in a hook": (
        "import inrkit\n@inrkit.hookimpl\ndef register_importers(register): raise KeyError('gone')",
        "KeyError",
    ),
    "exits in a hook": (
        "import inrkit, sys\n@inrkit.hookimpl\ndef register_functions(register): sys.exit()",
        "sys.exit(None)",
    ),
    "unknown hook": (
        "import inrkit\n@inrkit.hookimpl\ndef register_modality(register): pass",
        "Did you mean 'register_modalities'?",
    ),
    "wrong argument": ("import inrkit\n@inrkit.hookimpl\ndef register_modalities(registrar): pass", "registrar"),
    "existing name": (
        "import inrkit\n@inrkit.hookimpl\ndef register_modalities(register): register('image', 'a.b:C', 's')",
        "modality 'image' is registered twice, by inrkit and by inrkit-bad; uninstall one of them",
    ),
    "twice itself": (
        "import inrkit\n@inrkit.hookimpl\ndef register_functions(register):\n"
        " register('f', 'a.b:C', 's'); register('f', 'a.b:C', 's')",
        "function 'f' is registered twice, by inrkit-bad; rename one of them",
    ),
    "class for a target": (
        "import inrkit\n@inrkit.hookimpl\ndef register_modalities(register): register('x', object, 's')",
        "'module:attribute'",
    ),
    "odd name": (
        "import inrkit\n@inrkit.hookimpl\ndef register_modalities(register): register('../x', 'a:b', 's')",
        "lower-case letters",
    ),
    "no summary": (
        "import inrkit\n@inrkit.hookimpl\ndef register_modalities(register): register('x', 'a:b', None)",
        "summary of one line",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_plugin_is_named_with_its_reason_and_harms_no_other(
    kind: str, install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever a plugin does while it is loaded, all others work and the reason is one line."""
    code, reason = BROKEN[kind]
    install("bad", code)
    install("sound", GOOD)
    registry = found()
    assert list(why_broken(registry)) == ["bad"]
    assert reason in why_broken(registry)["bad"]
    assert "\n" not in why_broken(registry)["bad"]
    assert registry.broken[0].distribution == "inrkit-bad"
    assert {"image", "sound"} <= set(registry.modalities)
    assert registry.modalities["image"].distribution == "inrkit"
    assert capsys.readouterr().out == ""


def test_a_keyboard_interrupt_while_loading_is_not_swallowed(install: Install) -> None:
    """Who wants to stop is let go."""
    install("slow", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        found()


def test_a_broken_plugin_keeps_none_of_its_names(install: Install) -> None:
    """A plugin takes part as a whole or not at all."""
    code = "import inrkit\n@inrkit.hookimpl\ndef register_modalities(register):\n register('x', 'a:b', 's'); 1 / 0"
    install("bad", code)
    registry = found()
    assert "x" not in registry.modalities
    assert registry.broken[0].names == ("x",)


def test_two_distributions_may_use_one_entry_name(install: Install) -> None:
    """The name of an entry point is no claim; only registered names must differ."""
    install("sound", GOOD, distribution="inrkit-first")
    install("sound", GOOD.replace("{name}", "noise"), distribution="inrkit-second")
    assert {"sound", "noise"} <= set(found().modalities)


def test_asking_for_something_of_a_broken_plugin_says_why_it_is_broken(install: Install) -> None:
    """Exit code 4 only where the broken one was asked for."""
    install("sound", "import surely_not_installed")
    with pytest.raises(
        PluginError, match=r"no modality named 'sound': plugin 'sound' of inrkit-sound is broken: Module"
    ):
        found().modality("sound")
    with pytest.raises(UsageError, match="broken plugins: sound"):
        found().modality("speech")


def test_an_unknown_name_is_answered_with_the_installed_ones(install: Install) -> None:
    """The nearest name is suggested."""
    with pytest.raises(
        UsageError,
        match=r"no modality named 'imgae'; installed: audio \(inrkit\), image \(inrkit\), nerf \(inrkit\), "
        r"params \(inrkit\)\. Did you mean 'image'\?",
    ):
        found().modality("imgae")
    with pytest.raises(UsageError, match=r"no modality named 'sonar'; .*\. If a package brings it, install that\.$"):
        found().modality("sonar")
    with pytest.raises(UsageError, match="no function named"):
        found().function("anrr")
    with pytest.raises(UsageError, match="no importer named"):
        found().importer("pngs")


TARGETS = {
    "no module": (None, "cannot be loaded: ModuleNotFoundError"),
    "no attribute": ("Other = 1", "cannot be loaded: AttributeError"),
    "exits": ("raise SystemExit(1)", "cannot be loaded: it called sys.exit(1)"),
    "no class": ("Target = 5", "must be a subclass of `Modality`"),
    "other class": ("class Target: pass", "must be a subclass of `Modality`"),
    "abstract": (
        "import inrkit\nclass Target(inrkit.Modality):\n    name = 'sound'",
        "must be a final class; it lacks denoiser, display, fit_options",
    ),
}


@pytest.mark.parametrize("kind", TARGETS)
def test_a_target_that_breaks_its_contract_is_refused(kind: str, install: Install) -> None:
    """What a name stands for is checked when it is asked for, and the distribution is named."""
    code, reason = TARGETS[kind]
    install("sound", GOOD, **({} if code is None else {"target": code}))
    with pytest.raises(PluginError, match="modality 'sound' of inrkit-sound") as caught:
        found().modality("sound")
    assert reason in str(caught.value)


def test_the_variable_chooses_the_plugins(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unset means all, empty none, and an unknown name is a mistake."""
    install("sound", GOOD)
    monkeypatch.setenv(VARIABLE, "")
    assert {entry.plugin for entry in load_plugins().entries()} == {"inrkit"}
    points = importlib.metadata.entry_points(group="inrkit")
    assert [name for name, _ in discover(points, ["sound"]).loaded] == ["inrkit", "sound"]
    with pytest.raises(
        UsageError,
        match=r"no plugin named 'soudn'; .* image, models, nerf, .*, trackers\. Did you mean 'sound'\?",
    ):
        discover(points, ["soudn"])


def test_a_plugin_that_is_not_wanted_is_not_imported(install: Install) -> None:
    """Leaving a plugin out is a cure for whatever it does."""
    install("bad", "import sys; sys.exit(3)")
    assert not discover(importlib.metadata.entry_points(group="inrkit"), ["image"]).broken


def test_every_hook_has_a_contract() -> None:
    """All hooks are on one page, and each docstring shows how it is used."""
    manager = pluggy.PluginManager("inrkit")
    manager.add_hookspecs(hookspecs)
    names = [name for name in vars(hookspecs) if name.startswith("register_")]
    assert sorted(names) == sorted(vars(manager.hook))
    for name in names:
        assert "@inrkit.hookimpl" in getattr(hookspecs, name).__doc__


def test_hook_register_modalities() -> None:
    """Each registered modality is a final subclass of `Modality` with documented options."""
    registry = load_plugins()
    for name in registry.modalities:
        modality = registry.modality(name)
        assert issubclass(modality, inrkit.Modality)
        assert modality.presets
        assert all(field.metadata.get("help") for field in attrs.fields(modality.Options))


def test_hook_register_functions() -> None:
    """Each registered function is a final subclass of `INRFunction`."""
    registry = load_plugins()
    for name in registry.functions:
        function = registry.function(name)
        assert issubclass(function, inrkit.INRFunction)
        assert all(field.metadata.get("help") for field in attrs.fields(function.Options))


def test_hook_register_denoisers() -> None:
    """Each registered denoiser is a final subclass of `Denoiser` with documented options."""
    registry = load_plugins()
    for name in registry.denoisers:
        denoiser = registry.denoiser(name)
        assert issubclass(denoiser, inrkit.Denoiser)
        assert all(field.metadata.get("help") for field in attrs.fields(denoiser.Options))


def test_hook_register_importers() -> None:
    """Each registered importer is a final subclass of `Importer` with documented options and a known modality."""
    registry = load_plugins()
    for name in registry.importers:
        importer = registry.importer(name)
        assert issubclass(importer, inrkit.Importer)
        assert importer.modality in registry.modalities
        assert all(field.metadata.get("help") for field in attrs.fields(importer.Options))


def test_hook_register_objectives() -> None:
    """Each registered objective, our own among them, is a final subclass of `Objective` with documented fields."""
    registry = load_plugins()
    assert {"inrct", "ect", "diffusion"} <= set(registry.objectives)
    for name in registry.objectives:
        objective = registry.objective(name)
        assert issubclass(objective, inrkit.Objective)
        assert all(field.metadata.get("help") for field in attrs.fields(objective))


def test_hook_register_exporters() -> None:
    """Each registered exporter, our own among them, is a final subclass of `Exporter` with documented options."""
    registry = load_plugins()
    assert {"mesh", "weights"} <= set(registry.exporters)
    for name in registry.exporters:
        exporter = registry.exporter(name)
        assert issubclass(exporter, inrkit.Exporter)
        assert all(field.metadata.get("help") for field in attrs.fields(exporter.Options))


NEW = """
    import inrkit

    @inrkit.hookimpl
    def register_{plural}(register):
        register("{{name}}", "{{module}}_target:Target", "a summary")
"""

# A kind, the least that keeps its contract, and what is said of something else.
OFFERED = {
    "sampler": (
        "class Target(inrkit.Sampler):\n name = '{name}'\n def times(self, *_): pass\n def step(self, *_): pass",
        "`Sampler`",
    ),
    "source": ("class Target(inrkit.SourceOpener):\n name = '{name}'\n def open(self, *_): pass", "`SourceOpener`"),
    "tracker": (
        "class Target(inrkit.Tracker):\n name = '{name}'\n def start(self, *_): pass\n def log(self, *_): pass\n"
        " def picture(self, *_): pass\n def finish(self): pass",
        "`Tracker`",
    ),
    "feature": (
        "import attrs\n@attrs.frozen\nclass Options: pass\nclass Target(inrkit.FeatureNetwork):\n name = '{name}'\n"
        " Options = Options\n dim = 3\n def build(options): pass\n def forward(self, values): pass",
        "`FeatureNetwork`",
    ),
}


def offered(kind: str, install: Install) -> None:
    """What a plugin of another distribution offers is found by name and is its class; anything else is refused."""
    code, refusal = OFFERED[kind]
    hook = NEW.format(plural=KINDS[kind].plural)
    install("good", hook, target=f"import inrkit\n{code}")
    install("bad", hook, target="class Target: name = 'bad'")
    load = functools.partial(KINDS[kind].load, found())
    assert load("good").name == "good"
    with pytest.raises(PluginError, match=f"{kind} 'bad' of inrkit-bad: .* must be a subclass of {refusal}"):
        load("bad")
    with pytest.raises(UsageError, match=rf"no {kind} named 'godo'; installed: .*\. Did you mean 'good'\?"):
        load("godo")


def test_hook_register_sources(install: Install) -> None:
    """Each registered source is a final subclass of `SourceOpener`."""
    offered("source", install)


def test_hook_register_trackers(install: Install) -> None:
    """Each registered tracker is a final subclass of `Tracker`."""
    offered("tracker", install)


def test_hook_register_features(install: Install) -> None:
    """Each registered network is a final subclass of `FeatureNetwork` with options."""
    offered("feature", install)


def test_hook_register_samplers(install: Install) -> None:
    """Each registered sampler is a final subclass of `Sampler`."""
    offered("sampler", install)


def test_hook_register_models(install: Install, tmp_path: Path) -> None:
    """Each registered model is the path of a folder."""
    hook = NEW.format(plural="models")
    install("good", hook, target=f"import pathlib\nTarget = pathlib.Path({str(tmp_path)!r})")
    install("bad", hook, target="Target = 'a text'")
    registry = found()
    assert registry.model("good") == tmp_path
    with pytest.raises(PluginError, match=r"model 'bad' of inrkit-bad: .* must be a `pathlib\.Path`"):
        registry.model("bad")


def test_a_folder_in_the_place_of_a_plugin_is_named(install: Install, tmp_path: Path) -> None:
    """Results in a folder of its name, where Python looks first, hide a plugin: which folder it is, is said."""
    install("tides", "")
    (tmp_path / "inrkit_tides_tides.py").unlink()
    (tmp_path / "inrkit_tides_tides").mkdir()
    (remark,) = found().loaded["tides", "inrkit-tides"]
    assert str(tmp_path / "inrkit_tides_tides") in remark


def test_every_kind_has_a_class_a_hook_and_a_test() -> None:
    """Nothing can be registered that is not on the page of hooks, or that no test registers."""
    tests = {path: path.read_text() for path in Path(__file__).parent.glob("test_plugin*.py")}
    for kind in KINDS.values():
        assert kind.base.partition(":")[0]
        assert hasattr(hookspecs, f"register_{kind.plural}")
        assert any(f"def test_hook_register_{kind.plural}(" in text for text in tests.values()), kind.plural


def test_errors_of_plugins_are_errors_of_ours() -> None:
    """The command line turns each kind into one line."""
    assert issubclass(PluginError, InrkitError)
    assert PluginError.exit_code == 4
