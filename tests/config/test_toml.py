"""Configuration is strict, comes back as it was, and every error names the key."""

import contextlib
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, Literal

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inrkit.config import toml as config
from inrkit.config.toml import (
    apply_overrides,
    describe,
    difference,
    read_toml,
    structure,
    to_toml,
    unstructure,
)
from inrkit.errors import UsageError

many = settings(derandomize=True, deadline=None, max_examples=100)


@attrs.frozen
class Phase:
    objective: Literal["inrct", "ect", "diffusion"] = "inrct"
    steps: int = attrs.field(default=100, validator=attrs.validators.ge(0))


@attrs.frozen
class Optimizer:
    lr: float = attrs.field(default=1e-4, validator=attrs.validators.gt(0), metadata={"help": "step size"})
    betas: tuple[float, float] = (0.9, 0.999)
    clip: float | None = attrs.field(default=1.0, metadata={"help": "largest norm of the gradient"})
    warmup: int | None = None


@attrs.frozen
class Run:
    name: str = "run"
    steps: int = attrs.field(default=1000, metadata={"help": "how many steps"})
    amp: bool = True
    note: str | None = None
    device: int | str = "auto"
    widths: tuple[int, ...] = (64, 64)
    tags: list[str] = attrs.field(factory=list)
    out: Path = Path("runs")
    mode: Literal["fast", "exact", 3] = "fast"
    optimizer: Optimizer = Optimizer(lr=3e-4, warmup=7)
    phases: tuple[Phase, ...] = (Phase(steps=10), Phase())
    teacher: Optimizer | None = None
    options: dict[str, Any] = attrs.field(factory=dict)
    scales: dict[str, float] = attrs.field(factory=dict)


@attrs.frozen
class Needy:
    size: int
    inner: Optimizer = Optimizer()


words = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
texts = words.filter(lambda text: text != "none")
reals = st.floats(allow_nan=False)
leaves = st.booleans() | st.integers() | reals | words
optimizers = st.builds(
    Optimizer,
    lr=st.floats(min_value=1e-12, allow_nan=False),
    betas=st.tuples(reals, reals),
    clip=st.none() | reals,
    warmup=st.none() | st.integers(),
)
phases = st.builds(Phase, objective=st.sampled_from(["inrct", "ect", "diffusion"]), steps=st.integers(min_value=0))
runs = st.builds(
    Run,
    name=words,
    steps=st.integers(),
    amp=st.booleans(),
    note=st.none() | texts,
    device=st.integers() | words,
    widths=st.lists(st.integers(), max_size=4).map(tuple),
    tags=st.lists(words, max_size=3),
    out=st.sampled_from([Path("a"), Path("/b c/d"), Path("ü")]),
    mode=st.sampled_from(["fast", "exact", 3]),
    optimizer=optimizers,
    phases=st.lists(phases, max_size=3).map(tuple),
    teacher=st.none() | optimizers,
    options=st.dictionaries(words, leaves | st.lists(leaves, max_size=3), max_size=3),
    scales=st.dictionaries(words, reals, max_size=3),
)


@given(runs)
@many
def test_settings_come_back_through_toml(run: Run) -> None:
    """structure(read(to_toml(unstructure(x)))) is x, types included, and nothing differs."""
    table = unstructure(run)
    back = tomllib.loads(to_toml(table))
    assert structure(Run, back) == run
    assert repr(structure(Run, back)) == repr(run)
    assert difference(back, table) == []


@given(runs)
@many
def test_differing_keys_are_those_set(run: Run) -> None:
    """One key of two settings differs, and is named."""
    changed = unstructure(attrs.evolve(run, steps=run.steps + 1))
    assert difference(unstructure(run), changed) == ["steps"]


@given(st.text(), st.text())
@many
def test_any_set_text_is_a_value_or_a_usage_error(key: str, value: str) -> None:
    """The parser of --set never does anything else, whatever it is given."""
    for text in (
        f"{key}={value}",
        *(f"{name}={value}" for name in attrs.fields_dict(Run)),
        f"optimizer.{key}={value}",
        key,
    ):
        with contextlib.suppress(UsageError):
            assert isinstance(structure(Run, apply_overrides(Run, {}, [text]), origin="--set"), Run)


@given(runs)
@many
def test_set_says_what_toml_says(run: Run) -> None:
    """Setting each scalar by its text gives the same settings as a file with them."""
    table = unstructure(run)
    sets = [f"{key}={table[key]}" for key in ("name", "steps", "device", "mode", "out")]
    sets += [f"note={table.get('note', 'none')}", f"amp={str(run.amp).lower()}", f"optimizer.lr={run.optimizer.lr!r}"]
    sets += [f"widths={','.join(map(str, run.widths))}", f"optimizer.clip={run.optimizer.clip}".replace("None", "none")]
    made = structure(Run, apply_overrides(Run, {}, sets))
    for key in ("name", "steps", "mode", "note", "amp", "widths", "out"):
        assert getattr(made, key) == getattr(run, key)
    assert (made.optimizer.lr, made.optimizer.clip) == (run.optimizer.lr, run.optimizer.clip)


WRONG = [
    ({"steps": 1.9}, r"'steps': expected int, found 1\.9 \(float\)"),
    ({"steps": 2.0}, r"'steps': expected int"),
    ({"steps": True}, r"'steps': expected int, found True \(bool\)"),
    ({"steps": "5"}, r"'steps': expected int, found '5' \(str\)"),
    ({"name": 5}, r"'name': expected str, found 5 \(int\)"),
    ({"amp": "false"}, r"'amp': expected bool, found 'false'"),
    ({"amp": 1}, r"'amp': expected bool"),
    ({"note": 3}, r"'note': expected str"),
    ({"device": 1.5}, r"'device': expected int or str"),
    ({"device": True}, r"'device': expected int or str"),
    ({"widths": [1, 2.0]}, r"'widths\.1': expected int, found 2\.0"),
    ({"widths": "12"}, r"'widths': expected list of int, found '12'"),
    ({"tags": {"a": 1}}, r"'tags': expected list of str"),
    ({"mode": "slow"}, r"'mode': expected 'fast' or 'exact' or 3, found 'slow'"),
    ({"mode": 3.0}, r"'mode': expected"),
    ({"optimizer": 3}, r"'optimizer': expected a table, found 3"),
    ({"optimizer": {"lr": "x"}}, r"'optimizer\.lr': expected float, found 'x'"),
    ({"optimizer": {"lr": True}}, r"'optimizer\.lr': expected float, found True"),
    ({"optimizer": {"lr": 10**400}}, r"'optimizer\.lr': expected float"),
    ({"optimizer": {"lr": -1.0}}, r"'optimizer': 'lr' must be > 0: -1\.0"),
    ({"optimizer": {"betas": [1, 2, 3]}}, r"'optimizer\.betas': expected list of 2: float, float"),
    ({"optimizer": {"learning_rate": 1}}, r"'optimizer\.learning_rate': no such key; expected one of lr"),
    ({"phases": [{}, {"steps": -1}]}, r"'phases\.1': 'steps' must be >= 0"),
    ({"phases": [{"objective": "x"}]}, r"'phases\.0\.objective': expected 'inrct' or 'ect' or 'diffusion'"),
    ({"phases": {"steps": 1}}, r"'phases': expected list of table"),
    ({"stpes": 3}, r"'stpes': no such key.*Did you mean 'steps'\?"),
    ({"lr": 3}, r"'lr': no such key.*Did you mean 'optimizer\.lr'\?"),
    ({"scales": {"a": "b"}}, r"'scales\.a': expected float"),
    ({"scales": [1]}, r"'scales': expected a table"),
    ({"name": "\ud800"}, r"'name': expected text that can be written"),
    ({"teacher": {"lr": "x"}}, r"'teacher\.lr': expected float"),
]


@pytest.mark.parametrize(("mapping", "message"), WRONG, ids=lambda value: str(value) if isinstance(value, dict) else "")
def test_nothing_is_coerced_and_every_error_names_the_key(mapping: dict[str, Any], message: str) -> None:
    """Origin, dotted key, what was expected and what was found, in one line."""
    with pytest.raises(UsageError, match=r"^my\.toml: " + message) as caught:
        structure(Run, mapping, origin="my.toml")
    assert "\n" not in str(caught.value)


def test_whole_numbers_are_numbers() -> None:
    """An int where a float is wanted is the one conversion, and gives a float."""
    made = structure(Run, {"optimizer": {"lr": 1, "betas": [0, 1]}})
    assert repr(made.optimizer.lr) == "1.0"
    assert repr(made.optimizer.betas) == "(0.0, 1.0)"


def test_a_partial_table_keeps_the_enclosing_default() -> None:
    """Naming one key of a nested table leaves its neighbours as they were, not as the class has them."""
    made = structure(Run, {"optimizer": {"clip": 5.0}})
    assert made.optimizer == Optimizer(lr=3e-4, warmup=7, clip=5.0)
    assert structure(Run, {"teacher": {"clip": 5.0}}).teacher == Optimizer(clip=5.0)


def test_required_keys_are_asked_for() -> None:
    """A key without default that is missing is named with its type."""
    with pytest.raises(UsageError, match=r"'size': expected int, found nothing; it has no default"):
        structure(Needy, {})
    assert structure(Needy, {"size": 3}) == Needy(3)


def test_none_is_written_only_where_it_must_be() -> None:
    """None is left out where it is the default, and is the text 'none' where it is not."""
    table = unstructure(Optimizer(clip=None, warmup=None))
    assert "warmup" not in table
    assert table["clip"] == "none"
    assert structure(Optimizer, table) == Optimizer(clip=None)
    table = unstructure(Run(optimizer=Optimizer(warmup=None)))  # where Run has 7
    assert structure(Run, table).optimizer.warmup is None
    with pytest.raises(UsageError, match="'note' cannot be the text 'none'"):
        unstructure(Run(note="none"))
    with pytest.raises(UsageError, match="None"):
        unstructure(Run(options={"a": None}))
    with pytest.raises(UsageError, match="None"):
        unstructure(Run(options={"a": [None]}))


SETS = [
    ("name=5", "name", "5"),
    ("name=a=b", "name", "a=b"),
    ("name=", "name", ""),
    ("name=none", "name", "none"),
    ("note=none", "note", None),
    ("steps=1_000", "steps", 1000),
    ("amp=false", "amp", False),
    ("device=3", "device", 3),
    ("device=cuda:1", "device", "cuda:1"),
    ("widths=1,2,3", "widths", (1, 2, 3)),
    ("widths=[1, 2]", "widths", (1, 2)),
    ("widths=", "widths", ()),
    ("widths=7", "widths", (7,)),
    ("tags=a, b", "tags", ["a", "b"]),
    ('tags=["a,b"]', "tags", ["a,b"]),
    ("mode=3", "mode", 3),
    ("mode=EXACT", "mode", "exact"),
    ("out=a/b", "out", Path("a/b")),
    ("optimizer.lr=1e-3", "optimizer", Optimizer(lr=1e-3, warmup=7)),
    ("optimizer.lr=1", "optimizer", Optimizer(lr=1.0, warmup=7)),
    ("optimizer.warmup=none", "optimizer", Optimizer(lr=3e-4)),
    ("optimizer.betas=0.5,0.9", "optimizer", Optimizer(lr=3e-4, warmup=7, betas=(0.5, 0.9))),
    ("optimizer={lr = 1}", "optimizer", Optimizer(lr=1.0, warmup=7)),
    ("teacher.lr=2", "teacher", Optimizer(lr=2.0)),
    ("teacher=none", "teacher", None),
    ("phases.0.steps=3", "phases", (Phase(steps=3), Phase())),
    ('phases=[{objective = "ect"}]', "phases", (Phase("ect"),)),
    ("options.width=3", "options", {"width": 3}),
    ("options.a.b=text", "options", {"a": {"b": "text"}}),
    ("options={a = [1, 2]}", "options", {"a": [1, 2]}),
    ("scales.x=2", "scales", {"x": 2.0}),
]


@pytest.mark.parametrize(("text", "key", "value"), SETS, ids=lambda value: value if isinstance(value, str) else "")
def test_sets_are_typed_by_the_field(text: str, key: str, value: Any) -> None:
    """The same text is a number, a word or a list by what the field is; the result is something TOML can hold."""
    mapping = apply_overrides(Run, {"name": "before"}, [text])
    assert to_toml(mapping)
    made = getattr(structure(Run, mapping), key)
    assert repr(made) == repr(value)


WRONG_SETS = [
    ("steps=1e4", r"--set: 'steps': expected int, found '1e4'"),
    ("steps=", r"--set: 'steps': expected int, found ''"),
    ("steps=none", r"--set: 'steps': expected int, found 'none'"),
    ("amp=1", r"--set: 'amp': expected bool, found '1'"),
    ("optimizer.lr=fast", r"--set: 'optimizer\.lr': expected float, found 'fast'"),
    ("optimizer.rl=1", r"--set: 'optimizer\.rl': no such key.*Did you mean 'optimizer\.lr'\?"),
    ("lr=1", r"--set: 'lr': no such key.*Did you mean 'optimizer\.lr'\?"),
    ("optimizer=3", r"--set: 'optimizer': expected a table"),
    ("optimizer.betas=1", r"--set: 'optimizer\.betas': expected list of 2"),
    ("steps.a=1", r"--set: 'steps': expected a key that ends here \(int\), found 'a'"),
    ("widths=1,x", r"--set: 'widths\.1': expected int, found 'x'"),
    ("widths=[1\nx=2", r"--set: 'widths': expected list of int"),
    ("phases.2.steps=1", r"--set: 'phases\.2': expected a place from 0 to 1"),
    ("phases.x.steps=1", r"--set: 'phases\.x': expected a place"),
    ("mode=slow", r"--set: 'mode': expected 'fast'"),
    ("steps", r"expected key=value, found 'steps'"),
    ("=3", r"expected key=value"),
    ("optimizer..lr=3", r"expected key=value"),
]


@pytest.mark.parametrize(("text", "message"), WRONG_SETS, ids=lambda value: value.split("=")[0])
def test_wrong_sets_name_key_and_expectation(text: str, message: str) -> None:
    """What cannot be meant is said with the nearest thing that can."""
    with pytest.raises(UsageError, match=message):
        apply_overrides(Run, {}, [text])


def test_sets_change_nothing_else() -> None:
    """The given mapping stays as it was, later texts win, and what was set before stays."""
    mapping = {"optimizer": {"clip": 2.0}, "phases": [{"steps": 1}]}
    made = apply_overrides(Run, mapping, ["optimizer.lr=1", "optimizer.lr=2", "phases.0.objective=ect"])
    assert mapping == {"optimizer": {"clip": 2.0}, "phases": [{"steps": 1}]}
    assert made == {"optimizer": {"clip": 2.0, "lr": 2.0}, "phases": [{"steps": 1, "objective": "ect"}]}


def test_describe_lists_every_key() -> None:
    """Key, type, default as it holds in its place, and help; nested keys follow their table."""
    rows = {row.key: row for row in describe(Run)}
    assert rows["steps"] == ("steps", "int", 1000, "how many steps")
    assert rows["optimizer.lr"] == ("optimizer.lr", "float", 3e-4, "step size")
    assert rows["optimizer.clip"].type == "float or none"
    assert rows["mode"].type == "'fast' or 'exact' or 3"
    assert rows["widths"].default == [64, 64]
    assert rows["phases.N.steps"].default == 100
    assert rows["teacher"].default is None
    assert rows["teacher.lr"].default == 1e-4
    assert next(row for row in describe(Needy)).default is attrs.NOTHING


@pytest.mark.parametrize(
    ("a", "b", "keys"),
    [
        ({"x": 1}, {"x": 1.0}, []),
        ({"x": 1}, {"x": True}, ["x"]),
        ({"x": "1"}, {"x": 1}, ["x"]),
        ({"x": float("nan")}, {"x": float("nan")}, []),
        ({"x": None}, {}, []),
        ({"x": [1, 2]}, {"x": [1]}, ["x", "x.1"]),
        ({"x": [{"a": 1}]}, {"x": [{"a": 2}]}, ["x.0.a"]),
        ({"x": {"y": {"z": 1}}}, {"x": {"y": {"z": 2}}, "w": 1}, ["w", "x.y.z"]),
        ({"b": 1, "a": 2}, {"a": 2, "b": 1}, []),
        ({"x": -0.0}, {"x": 0}, []),
    ],
)
def test_difference_names_dotted_keys(a: dict[str, Any], b: dict[str, Any], keys: list[str]) -> None:
    """Order and the spelling of a number do not matter, types do."""
    assert difference(a, b) == difference(b, a) == keys


def test_unreadable_files_are_usage_errors(tmp_path: Path) -> None:
    """Missing, malformed, undecodable and endlessly nested files name themselves."""
    (tmp_path / "a.toml").write_text("steps = ")
    (tmp_path / "b.toml").write_bytes(b"name = '\xff'")
    (tmp_path / "c.toml").write_text("x = " + "[" * 5000)
    for name in ("none.toml", "a.toml", "b.toml", "c.toml", "."):
        with pytest.raises(UsageError, match="expected"):
            read_toml(tmp_path / name)
    (tmp_path / "d.toml").write_text(to_toml(unstructure(Run())))
    assert structure(Run, read_toml(tmp_path / "d.toml")) == Run()
    with pytest.raises(UsageError, match="expected text"):
        to_toml({"a": object()})


def test_a_type_that_settings_cannot_have_is_the_programmers_error() -> None:
    """Found at once, and not blamed on the user."""
    with pytest.raises(TypeError, match="cannot have fields of type"):
        structure(attrs.make_class("Odd", {"x": attrs.field(type=complex)}), {"x": 1})


def test_config_needs_no_torch() -> None:
    """Help texts must not wait for torch: importing the module brings neither torch nor numpy."""
    program = "import sys; import inrkit.config.toml; print(sorted({'torch', 'numpy', 'h5py'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
    assert config.__doc__


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b".".join([b"a"] * 20_000) + b" = 1\n", "keys of at most 32 parts"),
        (b"[" + b".".join([b"a"] * 20_000) + b"]\n", "keys of at most 32 parts"),
        (b"a = { " + b".".join([b"a"] * 40) + b" = 1 }\n", "keys of at most 32 parts"),
        (b"steps = 1" + b"0" * 900_000 + b"\n", "expected TOML"),
        (b"a = " + b"[" * 100_000 + b"\n", "expected TOML"),
        (b"# \n" * 400_000, "at most 1,048,576 bytes, found 1,200,000"),
    ],
)
def test_a_file_that_asks_for_more_than_it_is_large_is_refused(tmp_path: Path, data: bytes, said: str) -> None:
    """Depth, digits and length are bounded."""
    (tmp_path / "config.toml").write_bytes(data)
    with pytest.raises(UsageError, match=f"config.toml: .*{said}"):
        read_toml(tmp_path / "config.toml")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes in folders")
def test_only_ordinary_files_are_read(tmp_path: Path) -> None:
    """A pipe would be waited for."""
    os.mkfifo(tmp_path / "config.toml")
    for path in (tmp_path / "config.toml", tmp_path, Path("/dev/zero")):
        with pytest.raises(UsageError, match="expected an ordinary TOML file, found a folder, a pipe or a device"):
            read_toml(path)
