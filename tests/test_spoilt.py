"""Each law of the conformance kit can be broken, and is then found to be."""

import importlib
import sys
from pathlib import Path

import pytest
from spoilt import GRID, IMPORTERS, MODULES, SPOILT, Waves, spoilt

from inrkit.plugins import Registry
from inrkit.plugins.registry import Entry
from inrkit.testing import CHECKS, Result, Subject, cases_of, run


def outcome(subject: Subject | type, name: str) -> Result:
    """Of one check."""
    if isinstance(subject, type):
        case = next(case for case in cases_of(subject, options=GRID, suffix=".npy") if case.name == name)
        return case.result()
    check = CHECKS[name]
    case = type(cases_of(Waves)[0])(check, subject)
    return case.result()


def test_a_declared_modality_keeps_every_law() -> None:
    """A dozen lines on top of the shared pieces; what speaks of a plugin is not asked of a class."""
    results = list(run(Waves, options=GRID, suffix=".npy"))
    assert not [(result.name, result.reason) for result in results if not result.fine]
    assert len([result for result in results if result.state == "passed"]) > 40


def test_no_law_is_left_out() -> None:
    """A check that nothing fails would promise what it does not hold."""
    assert {*SPOILT, *IMPORTERS, *MODULES} == set(CHECKS)


@pytest.mark.parametrize("name", SPOILT)
def test_a_law_that_is_broken_is_found_to_be(name: str) -> None:
    """The check of that name fails, and says in one line what it expected."""
    result = outcome(spoilt(**SPOILT[name]), name)
    assert result.state == "failed", name
    assert "expected" in result.reason, result.reason
    assert "\n" not in result.reason


@pytest.mark.parametrize("name", IMPORTERS)
def test_a_law_of_importers_that_is_broken_is_found_to_be(name: str) -> None:
    """Importers are those that the modality's plugin registers."""
    subject = Subject(Waves, options=GRID, suffix=".npy")
    entry = Entry("importer", "odd", f"spoilt:{IMPORTERS[name]}", "anything", "nobody", "")
    subject.registry = Registry({"importer": {"odd": entry}})
    result = outcome(subject, name)
    assert result.state == "failed", name
    assert "expected" in result.reason, result.reason


@pytest.mark.parametrize("name", MODULES)
def test_a_law_of_modules_that_is_broken_is_found_to_be(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands in a plugin's source, and what happens when it is loaded."""
    package = f"odd_{name}"
    (tmp_path / f"{package}.py").write_text(
        f"import inrkit\n{MODULES[name]}\n\n\n@inrkit.hookimpl\ndef register_modalities(register):\n"
        f"    register('waves', '{package}_target:Odd', 'waves')\n"
    )
    (tmp_path / f"{package}_target.py").write_text(
        f"{MODULES[name] if 'stderr' not in MODULES[name] else ''}\n"
        "from spoilt import Waves\n\n\nclass Odd(Waves):\n    'Waves.'\n"
    )
    info = tmp_path / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[inrkit]\n{package.replace('_', '-')} = {package}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("INRKIT_PLUGINS", f"image,{package.replace('_', '-')}")
    importlib.invalidate_caches()
    result = outcome(Subject("waves", options=GRID), name)
    sys.modules.pop(package, None)
    assert result.state == "failed", name
    assert "expected" in result.reason or "writes to stderr" in result.reason or "pickle" in result.reason
