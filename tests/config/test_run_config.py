"""From what a user says and what the data are to one complete config."""

from pathlib import Path

import attrs
import pytest
from toy import ToyModality

from inrkit.config.phases import at
from inrkit.config.resolve import Resolved, complete, resolve
from inrkit.config.run import Phase, RunConfig
from inrkit.config.toml import describe, read_toml, structure, to_toml, unstructure
from inrkit.errors import UsageError
from inrkit.storage.rundir import changed_keys


def test_later_words_win(tmp_path: Path) -> None:
    """Preset, then file, then flags, then --set; tables are joined key by key."""
    file = tmp_path / "my.toml"
    file.write_text("steps = 7\nlr = 0.5\nseed = 3\n[options]\ncount = 9\n")
    config = resolve(ToyModality, "smaller", file, ["seed=5", "options.dropout=0.25"], {"lr": 0.25, "seed": 4}).config
    assert (config.preset, config.steps, config.lr, config.seed) == ("smaller", 7, 0.25, 5)
    assert config.options == {"size": 16, "count": 9, "width": 8, "dropout": 0.25, "bad": -1, "missing": -1}


def test_the_first_preset_is_the_default() -> None:
    """So that a command without options trains something that is known to work."""
    assert resolve(ToyModality).config.preset == "small"
    assert resolve(ToyModality).config.batch_size == 8


@pytest.mark.parametrize(
    ("sets", "flags"), [((), {"objective": "ect"}), (("objective=ect", "objective_options.curriculum.stages=3"), {})]
)
def test_a_preset_tells_nothing_to_another_objective(
    sets: tuple[str, ...], flags: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its options of an objective go with that objective; where the user takes another, they are that one's own."""
    own = {"objective_options": {"lambda_recon": 3.0, "curriculum": {"stages": 5}}}
    monkeypatch.setattr(ToyModality, "presets", {"small": {**ToyModality.presets["small"], **own}})
    assert resolve(ToyModality).config.objective_options["lambda_recon"] == 3.0
    config = resolve(ToyModality, overrides=sets, flags=flags).config
    assert config.objective == "ect"
    assert "lambda_recon" not in config.objective_options
    assert config.objective_options["curriculum"]["stages"] == (3 if sets else 8)
    assert resolve(ToyModality, flags={"objective": "inrct"}).config.objective_options["lambda_recon"] == 3.0


def test_a_resolved_config_is_complete_and_resolves_to_itself(tmp_path: Path) -> None:
    """`config.toml` of a run directory can be given back as ``--config``, and nothing changes."""
    config = resolve(ToyModality, overrides=["readout=two-headed", "objective_options.lambda_diff=0.5"]).config
    assert config.objective_options["distance"] == "l2"
    assert config.readout_options["sigma_data"] == 0.5
    file = tmp_path / "config.toml"
    file.write_text(to_toml(unstructure(config)))
    assert structure(RunConfig, read_toml(file)) == config
    assert resolve(ToyModality, file=file).config == config


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (["stps=3"], "Did you mean 'steps'"),
        (["options.widht=3"], "Did you mean 'options.width'"),
        (["objective_options.lambda_gen=3"], "Did you mean 'objective_options.lambda_gene'"),
        (["readout_options.with=3"], "Did you mean 'readout_options.width'"),
        (["objective=inrtc"], "Did you mean 'inrct'"),
        (["readout=driect"], "Did you mean 'direct'"),
        (["steps=1.5"], "steps"),
        (["steps=0"], "'steps' must be at least 1"),
        (["lr=nan"], "'lr' must be > 0"),
        (["lr=inf"], "'lr' must be > 0"),
        (["keep=1"], "'keep' must be at least 2"),
        (["ema=0.5"], "'ema' must be from"),
        (["nan=ignore"], "'stop' or 'skip'"),
        (["options=3"], "table"),
    ],
)
def test_mistakes_are_named_where_they_are_made(sets: list[str], message: str) -> None:
    """With the key, what was expected, and the nearest name."""
    with pytest.raises(UsageError, match=message):
        resolve(ToyModality, overrides=sets)


def test_unknown_presets_and_missing_modalities_are_named() -> None:
    """By those that there are."""
    with pytest.raises(UsageError, match=r"there are small, smaller\. Did you mean 'smaller'"):
        resolve(ToyModality, "smallr")
    with pytest.raises(UsageError, match="expected a modality"):
        resolve()
    with pytest.raises(UsageError, match="no modality named 'hologram'"):
        resolve("hologram")


def test_paths_are_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run can be resumed and loaded from anywhere."""
    monkeypatch.chdir(tmp_path)
    config = resolve(ToyModality, flags={"data": "store.h5", "init": "runs/a"}).config
    assert (config.data, config.init) == (str(tmp_path / "store.h5"), str(tmp_path / "runs/a"))


def test_inrct_begins_with_reconstruction() -> None:
    """Its phases follow from the objective; shares that leave no step leave no phase."""
    resolved = resolve(ToyModality, flags={"steps": 100})
    first, second = resolved.phases
    assert [(p.name, p.start, p.stop) for p in (first, second)] == [("reconstruction", 0, 10), ("inrct", 10, 100)]
    assert at([first, second], 9) is first
    assert at([first, second], 10) is second
    assert second.progress(10) == 0
    assert second.progress(99) == pytest.approx(89 / 90)
    assert [p.name for p in resolved.evolve(steps=4).phases] == ["inrct"]
    assert [p.name for p in resolved.evolve(objective="ect", objective_options={}).phases] == ["ect"]


def test_explicit_phases_divide_the_run() -> None:
    """Each with its objective, its options and the weights that train; their shares make one."""
    config = resolve(ToyModality, flags={"steps": 10}).config
    phases = (Phase("diffusion", 0.34, "denoiser"), Phase("ect", 0.66, options={"curriculum": {"offset": 1}}))
    explicit = complete(attrs.evolve(config, phases=phases), ToyModality)
    assert [(p.name, p.start, p.stop, p.trains) for p in explicit.phases] == [
        ("diffusion", 0, 3, "denoiser"),
        ("ect", 3, 10, "all"),
    ]
    assert explicit.phases[1].objective.curriculum.offset == 1
    with pytest.raises(UsageError, match="add up to 1"):
        complete(attrs.evolve(config, phases=phases[:1]), ToyModality)
    with pytest.raises(UsageError, match=r"Did you mean 'phases\.0\.options\.curriculum'"):
        complete(attrs.evolve(config, phases=(Phase("ect", 1.0, options={"curiculum": {"offset": 1}}),)), ToyModality)


def test_machine_keys_do_not_make_another_run() -> None:
    """Everything else does."""
    config = resolve(ToyModality).config
    assert changed_keys(config, attrs.evolve(config, device="cpu", workers=3, accumulate=2, keep=5)) == []
    assert changed_keys(config, attrs.evolve(config, seed=1, precision="fp32")) == ["precision", "seed"]


def test_every_key_is_documented() -> None:
    """A help text for each, which the command line shows."""
    assert all(key.help for key in describe(RunConfig))


def test_overrides_may_be_values() -> None:
    """The same as texts; keys of tables are joined by dots, or nested; they win over everything."""
    texts = resolve(ToyModality, overrides=["options.width=8", "lr=0.5", "readout=two-headed"], flags={"lr": 0.25})
    given = {"options.width": 8, "lr": 0.5, "readout": "two-headed"}
    assert resolve(ToyModality, overrides=given, flags={"lr": 0.25}).config == texts.config
    nested = {"options": {"width": 8}, "lr": 0.5, "readout": "two-headed"}
    assert resolve(ToyModality, overrides=nested, flags={"lr": 0.25}).config == texts.config
    with pytest.raises(UsageError, match="'wdith'"):
        resolve(ToyModality, overrides={"options.wdith": 8})


def test_what_is_resolved_is_made_once_and_resolved_again_from_its_config() -> None:
    """Modality, read-out and phases are those of the complete config."""
    resolved = resolve(ToyModality, overrides={"readout": "two-headed", "options.width": 8})
    again = Resolved.of(resolved.config, ToyModality)
    assert again.readout == resolved.readout
    assert again.phases == resolved.phases
    assert again.modality.options == resolved.modality.options
    assert resolved.evolve(steps=10).phases[-1].stop == 10
    assert len(resolved.source("test")) == 4


def test_a_run_is_fine_tuned() -> None:
    """What its network is stays, and its objective unless another is chosen; how it trains is the new run's."""
    told = {"teacher": "runs/edm", "guidance_range": [1.0, 4.0]}
    flags = {"objective": "cd", "objective_options": told, "readout": "two-headed", "lr": 0.5}
    base = resolve(ToyModality, "smaller", flags=flags).config
    same = resolve(ToyModality, base=base).config
    assert (same.objective, same.readout, same.options["width"]) == ("cd", "two-headed", 8)
    assert same.objective_options == base.objective_options
    assert (same.lr, same.preset) == (1e-2, "small")
    other = resolve(ToyModality, base=base, overrides=["objective=ct", "options.dropout=0.25"]).config
    assert (other.objective, other.options["dropout"]) == ("ct", 0.25)
    assert list(other.objective_options["guidance_range"]) == [1.0, 4.0]
    assert "guidance_range" not in resolve(ToyModality, base=base, flags={"objective": "ect"}).config.objective_options
