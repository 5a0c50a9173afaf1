"""From what a user says (preset < file < flags < --set) and what the data are, to one complete config."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from inrkit.config.run import Phase, RunConfig
from inrkit.config.toml import apply_sets, read_toml, structure, unstructure
from inrkit.core.modality import Modality
from inrkit.core.noise import READOUTS, Readout, make_readout
from inrkit.core.objective import Cd, Diffusion, Objective
from inrkit.errors import UsageError, did_you_mean
from inrkit.plugins import load_plugins

_TABLES = ("options", "objective_options", "readout_options")


def find_modality(name: str | type[Modality]) -> type[Modality]:
    """The class of a modality: itself, or the installed one of this name."""
    if isinstance(name, type):
        return name
    return load_plugins().modality(name)


def resolve(
    modality: str | type[Modality] | None = None,
    preset: str | None = None,
    file: Path | str | None = None,
    sets: Sequence[str] = (),
    flags: Mapping[str, Any] | None = None,
) -> RunConfig:
    """The complete config, with the modality's options fitted to the data.

    Args:
        modality: Name or class; may also stand in the file.
        preset: One of the modality's; by default its first.
        file: TOML with any of the keys.
        sets: "key=value" texts, typed by the schema; they win.
        flags: Values of keys; they win over preset and file.
    """
    given = read_toml(Path(file)) if file is not None else {}
    origin = str(file) if file is not None else "config"
    modality = given.get("modality") if modality is None else modality
    if modality is None:
        raise UsageError("expected a modality, found none; name one of those that `inrkit plugins list` shows")
    cls = find_modality(modality)
    values = _preset(cls, preset or given.get("preset"))
    values = _merged(_merged(_for_others(values, given, flags or {}, sets), given), flags or {})
    values["modality"] = cls.name
    values = _with_sets(cls, values, sets, origin)
    return complete(structure(RunConfig, values, origin=origin), cls)


def complete(config: RunConfig, cls: type[Modality]) -> RunConfig:
    """The config with every table checked and filled in, and the options fitted to the data."""
    config = attrs.evolve(config, data=_absolute(config.data), init=_absolute(config.init))
    modality = cls(_settings(cls.Options, config.options, "options"))
    options = modality.fitted(modality.source(data_path(config), "train"))
    objective = _objective(config.objective, config.objective_options, "objective_options")
    table = _readout_table(config, options, objective)
    readout = structure(_readout_class(config.readout), table, origin="readout_options")
    phases = tuple(_complete_phase(phase) for phase in config.phases)
    if phases and abs(sum(phase.share for phase in phases) - 1) > 1e-6:
        raise UsageError(f"the 'share's of 'phases' must add up to 1 (got {sum(phase.share for phase in phases):g})")
    _check_teachers(phases or [Phase(config.objective, 1.0, options=unstructure(objective))])
    return attrs.evolve(
        config,
        phases=phases,
        options=unstructure(options),
        objective_options=unstructure(objective),
        readout_options=unstructure(readout),
    )


def modality_of(config: RunConfig, cls: type[Modality] | None = None) -> Modality:
    """The modality with the config's options."""
    cls = find_modality(config.modality) if cls is None else cls
    return cls(_settings(cls.Options, config.options, "options"))


def readout_of(config: RunConfig) -> Readout:
    """The config's read-out."""
    return make_readout(config.readout, **config.readout_options)


def objective_class(name: str) -> type[Objective]:
    """The objective of this name."""
    return load_plugins().objective(name)


def data_path(config: RunConfig) -> Path | None:
    """The store, or None for the embedded signals."""
    return None if config.data is None else Path(config.data)


def _absolute(path: str | None) -> str | None:
    return None if path is None else str(Path(path).expanduser().absolute())


def _settings(cls: type, table: Mapping[str, Any], origin: str) -> Any:
    return structure(cls, table, origin=origin)


def _complete_phase(phase: Phase) -> Phase:
    return attrs.evolve(phase, options=unstructure(_objective(phase.objective, phase.options, "phases.options")))


def _objective(name: str, table: Mapping[str, Any], origin: str) -> Objective:
    """The objective with its options; paths among them are made absolute."""
    objective = structure(objective_class(name), table, origin=origin)
    paths = [field.name for field in attrs.fields(type(objective)) if field.metadata.get("path")]
    return attrs.evolve(objective, **{path: _absolute(getattr(objective, path)) for path in paths})


def _check_teachers(phases: Sequence[Phase]) -> None:
    """Whoever distils a diffusion model has one, and only one."""
    before = ""
    if len(named := {phase.options.get("teacher") for phase in phases if phase.objective == Cd.name}) > 1:
        raise UsageError(
            f"the phases of a run distil one 'teacher', found {len(named)}; distil them one after the other"
        )
    for phase in phases:
        if phase.objective == Cd.name and phase.options.get("teacher") is None and before != Diffusion.name:
            raise UsageError(
                f"'{phase.objective}' needs a teacher, found none; name a run trained with 'diffusion' as "
                "objective_options.teacher, or let a phase 'diffusion' go before it"
            )
        before = phase.objective


def _readout_class(name: str) -> type[Readout]:
    if name not in READOUTS:
        raise UsageError(f"no read-out named '{name}'; there are {', '.join(READOUTS)}.{did_you_mean(name, READOUTS)}")
    return READOUTS[name]


def _readout_table(config: RunConfig, options: Any, objective: Objective) -> Mapping[str, Any]:
    """The read-out's options; its σ_data is the modality's, what counts as clean the objective's, where they say."""
    inherited = {"sigma_data": options.sigma_data} if hasattr(options, "sigma_data") else {}
    if "t_encode" in attrs.fields_dict(_readout_class(config.readout)) and hasattr(objective, "t_recon"):
        inherited["t_encode"] = objective.t_recon
    return {**inherited, **config.readout_options}


def _preset(cls: type[Modality], name: str | None) -> dict[str, Any]:
    if name is None:
        if not cls.presets:
            return {}
        name = next(iter(cls.presets))
    if name not in cls.presets:
        known = ", ".join(cls.presets) or "none"
        raise UsageError(f"'{cls.name}' has no preset '{name}'; there are {known}.{did_you_mean(name, cls.presets)}")
    return {**copy.deepcopy(dict(cls.presets[name])), "preset": name}


def _for_others(
    values: dict[str, Any], given: Mapping[str, Any], flags: Mapping[str, Any], sets: Sequence[str]
) -> dict[str, Any]:
    """The preset, without its options for an objective or a read-out that the user replaces: another has its own."""
    result, said = dict(values), dict(text.split("=", 1) for text in sets if "=" in text)
    for key in ("objective", "readout"):
        usual = values.get(key, attrs.fields_dict(RunConfig)[key].default)
        if next((source[key] for source in (said, flags, given) if key in source), usual) != usual:
            result.pop(f"{key}_options", None)
    return result


def _with_sets(cls: type[Modality], values: dict[str, Any], sets: Sequence[str], origin: str) -> dict[str, Any]:
    """--set for keys of our own, and for the tables by the classes that know what may stand in them."""
    for text in sets:
        table, dot, rest = text.partition(".")
        if not dot or table not in _TABLES or "=" in table:
            values = apply_sets(RunConfig, values, [text])
            continue
        if not isinstance(values.get(table, {}), Mapping):
            raise UsageError(f"{origin}: '{table}': expected a table")
        values = {**values, table: apply_sets(_class_of(table, cls, values), values.get(table, {}), [rest], table)}
    return values


def _class_of(table: str, cls: type[Modality], values: Mapping[str, Any]) -> type:
    if table == "options":
        return cls.Options
    defaults = attrs.fields_dict(RunConfig)
    if table == "objective_options":
        return objective_class(values.get("objective", defaults["objective"].default))
    return _readout_class(values.get("readout", defaults["readout"].default))


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Tables are joined key by key; any other value above replaces the one below."""
    result = dict(below)
    for key, value in above.items():
        old = result.get(key)
        result[key] = _merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result
