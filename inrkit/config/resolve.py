"""From what a user says (preset < file < flags < --set) and what the data are, to one complete config."""

import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import attrs
import torch

from inrkit.config.data import absolute, absolute_data, absolute_run, open_data
from inrkit.config.given import check_preset
from inrkit.config.parts import training_features
from inrkit.config.phases import ScheduledPhase, schedule_phases, signals_seen
from inrkit.config.run import Phase, RunConfig
from inrkit.config.toml import apply_overrides, read_toml, structure, unstructure
from inrkit.core.modality import Modality, Source
from inrkit.core.noise import Readout, readout_class
from inrkit.core.objective.base import Objective
from inrkit.core.objective.continuous import Diffusion
from inrkit.core.objective.distance import NO_FEATURES
from inrkit.core.option import check_used
from inrkit.core.pipeline import Pipeline
from inrkit.core.size import Size
from inrkit.errors import UsageError
from inrkit.metrics.feature import FeatureNetwork
from inrkit.metrics.perceptual import check_pictures
from inrkit.plugins import load_plugins

_TABLES: Mapping[str, Callable[[type[Modality], Mapping[str, Any]], type]] = {
    "options": lambda cls, values: cls.Options,
    "objective_options": lambda cls, values: load_plugins().objective(values["objective"]),
    "readout_options": lambda cls, values: readout_class(values["readout"]),
    "features_options": lambda cls, values: _features_class(values.get("features")).Options,
}
"""Which class knows what may stand in a table, by the modality and what the keys are so far."""


@final
@attrs.frozen(eq=False)
class Resolved:
    """A complete config and what it stands for; made once for a run, and handed down."""

    config: RunConfig
    modality: Modality
    readout: Readout
    phases: tuple[ScheduledPhase, ...]

    @staticmethod
    def of(config: RunConfig, cls: type[Modality] | None = None) -> "Resolved":
        """What a config stands for that is complete already, such as that of a run directory.

        ``cls`` is the modality's class, for one that is not installed as a plugin.
        """
        cls = load_plugins().modality(config.modality) if cls is None else cls
        modality = cls(structure(cls.Options, config.options, table="options"))
        readout = structure(readout_class(config.readout), config.readout_options, table="readout_options")
        return Resolved(config, modality, readout, tuple(schedule_phases(config)))

    def evolve(self, **values: Any) -> "Resolved":
        """The same with other values of some keys."""
        return Resolved.of(attrs.evolve(self.config, **values), type(self.modality))

    def build(self) -> Pipeline:
        """A new, untrained pipeline, as the objectives need it; chance comes from torch's global generator."""
        pipeline = self.modality.build(self.readout)
        if any(phase.objective.needs_until for phase in self.phases):
            pipeline.denoiser.take_until()
        ranges = [of for phase in self.phases if (of := phase.objective.tells_guidance) is not None]
        if ranges:
            pipeline.denoiser.take_guidance(min(low for low, _ in ranges), max(high for _, high in ranges))
        return pipeline

    def seen(self, step: int) -> int:
        """How many signals the steps before this one learn from."""
        return signals_seen(self.phases, step)

    def source(self, split: str) -> Source:
        """The signals of ``split``, "train" or "test"."""
        return open_data(self.config.data, self.modality, split)


def resolve(
    modality: str | type[Modality] | None = None,
    preset: str | None = None,
    file: Path | str | None = None,
    overrides: Sequence[str] | Mapping[str, Any] = (),
    flags: Mapping[str, Any] | None = None,
    base: RunConfig | None = None,
) -> Resolved:
    """The complete config, with the modality's options fitted to the data.

    Args:
        modality: Name or class; may also stand in the file.
        preset: One of the modality's; by default its first.
        file: TOML with any of the keys.
        overrides: "key=value" texts, typed by the schema; or values by key, as {"options.width": 128}. They win.
        flags: Values of keys; they win over preset and file.
        base: The config of a run to be fine-tuned: its data, network, read-out and objective win over the preset. The
            weights are those of the key ``init``.
    """
    given, origin = ({}, "config") if file is None else (read_toml(Path(file)), str(file))
    if base is not None:
        given = _merged(_kept_of(base, {**given, **(flags or {}), **_words(overrides)}), given)
    modality = given.get("modality") if modality is None else modality
    if modality is None:
        raise UsageError("expected a modality, found none; name one of those that `inrkit plugins list` shows")
    cls = modality if isinstance(modality, type) else load_plugins().modality(modality)
    flags, said = flags or {}, _nested(_words(overrides)).get("options", {})
    if isinstance(overrides, Mapping):
        flags, overrides = _merged(flags, _nested(overrides)), ()
    values = {key: attrs.fields_dict(RunConfig)[key].default for key in ("objective", "readout")}
    values |= _preset(cls, preset or given.get("preset"))
    if (size := flags.get("network", given.get("network"))) is not None:
        values = _merged(values, _sized(cls, Size.named(size), values))
    values = _merged(_merged(_for_others(cls, values, given, flags, overrides), given), flags)
    values["modality"] = cls.name
    values = _with_overrides(cls, values, overrides, origin)
    resolved = complete(structure(RunConfig, values, origin=origin), cls)
    check_used(resolved.modality.options, said if isinstance(said, Mapping) else ())
    return resolved


def imagined(resolved: Resolved) -> Pipeline | None:
    """The pipeline without any memory for its weights, to count them; None where numbers decide how it is built."""
    try:
        with torch.device("meta"):
            return resolved.build()
    except (RuntimeError, NotImplementedError):  # "cannot be called on meta tensors"
        return None


def complete(config: RunConfig, cls: type[Modality]) -> Resolved:
    """The config with every table checked and filled in, and the options fitted to the data."""
    for name in config.trackers:
        load_plugins().tracker(name)
    config = attrs.evolve(config, data=absolute_data(config.data), init=absolute_run(config.init))
    modality = cls(structure(cls.Options, config.options, table="options"))
    options = modality.fit_options(open_data(config.data, modality, "train"))
    objective = _objective(config.objective, config.objective_options, "objective_options")
    table = _readout_table(config, options, objective)
    readout = structure(readout_class(config.readout), table, table="readout_options")
    each = [_of_phase(config, number) for number in range(len(config.phases))]
    phases = tuple(attrs.evolve(p, options=unstructure(o)) for p, o in zip(config.phases, each, strict=True))
    if phases and abs(sum(phase.share for phase in phases) - 1) > 1e-6:
        raise UsageError(f"the 'share's of 'phases' must add up to 1 (got {sum(phase.share for phase in phases):g})")
    _check_distilled(each or [objective])
    features = _features(config, cls(options), each or [objective])
    config = attrs.evolve(
        config,
        phases=phases,
        options=unstructure(options),
        objective_options=unstructure(objective),
        readout_options=unstructure(readout),
        features_options=features,
    )
    return Resolved(config, cls(options), readout, tuple(schedule_phases(config)))


def _objective(name: str, options: Mapping[str, Any], table: str) -> Objective:
    """The objective with its options; paths among them are made absolute."""
    objective: Objective = _located(structure(load_plugins().objective(name), options, table=table))
    return objective


def _located(options: Any) -> Any:
    """The same options with absolute paths."""
    paths = [field.name for field in attrs.fields(type(options)) if field.metadata.get("path")]
    return attrs.evolve(options, **{path: absolute(getattr(options, path)) for path in paths})


def _features(config: RunConfig, modality: Modality, objectives: Sequence[Objective]) -> dict[str, Any]:
    """The options of the network that pictures are compared by, if an objective asks for it; its weights are read."""
    if all(getattr(objective, "distance", None) != "features" for objective in objectives):
        if config.features is None:
            return {}
        raise UsageError(
            f"'features' = \"{config.features}\" is a network that no objective compares by; "
            "set objective_options.distance to features, or leave it out"
        )
    cls = _features_class(config.features)
    table = unstructure(_located(structure(cls.Options, config.features_options, table="features_options")))
    training_features(config.features, table)
    check_pictures(modality.template(1).values)
    return table


def _features_class(name: str | None) -> type[FeatureNetwork]:
    if name is None:
        raise UsageError(NO_FEATURES)
    return load_plugins().feature(name)


def _of_phase(config: RunConfig, number: int) -> Objective:
    """A phase's objective; what its options leave out of the run's own objective stands in 'objective_options'."""
    phase = config.phases[number]
    below = config.objective_options if phase.objective == config.objective else {}
    return _objective(phase.objective, _merged(below, phase.options), f"phases.{number}.options")


def _check_distilled(objectives: Sequence[Objective]) -> None:
    """Whoever distils a diffusion model has one, and only one."""
    if len(runs := {objective.distils.run for objective in objectives if objective.distils is not None}) > 1:
        raise UsageError(
            f"the phases of a run distil one 'teacher', found {len(runs)}; distil them one after the other"
        )
    for before, objective in zip([None, *objectives], objectives, strict=False):
        if objective.distils is not None and objective.distils.run is None and not isinstance(before, Diffusion):
            raise UsageError(
                f"'{objective.name}' needs a teacher, found none; name a run trained with 'diffusion' as "
                "objective_options.teacher, or let a phase 'diffusion' go before it"
            )


def _readout_table(config: RunConfig, options: Any, objective: Objective) -> Mapping[str, Any]:
    """The read-out's options; its σ_data is the modality's, what counts as clean the objective's, where they say."""
    inherited = {"sigma_data": options.sigma_data} if hasattr(options, "sigma_data") else {}
    if "t_encode" in attrs.fields_dict(readout_class(config.readout)) and hasattr(objective, "t_recon"):
        inherited["t_encode"] = objective.t_recon
    return {**inherited, **config.readout_options}


def _preset(cls: type[Modality], name: str | None) -> dict[str, Any]:
    if name is None and not cls.presets:
        return {}
    name = next(iter(cls.presets)) if name is None else name
    check_preset(cls.name, name, cls.presets)
    keys = {key: value for key, value in cls.presets[name].items() if key != "summary"}
    return {**copy.deepcopy(keys), "preset": name}


def _sized(cls: type[Modality], size: Size, values: Mapping[str, Any]) -> dict[str, Any]:
    """What a size says, without its options for a function or a network that the preset replaces."""
    sized = dict(cls.sized(size))
    return {**sized, "options": _without_others(sized.get("options", {}), _defaults(cls), values.get("options", {}))}


def _defaults(cls: type[Modality]) -> dict[str, Any]:
    return {field.name: field.default for field in attrs.fields(cls.Options)}


def _for_others(
    cls: type[Modality],
    values: dict[str, Any],
    given: Mapping[str, Any],
    flags: Mapping[str, Any],
    texts: Sequence[str],
) -> dict[str, Any]:
    """The preset, without its options for an objective, a read-out or a function that the user replaces.

    Another has its own: the table NAME_options of a preset is for the preset's NAME.
    """
    said = {key: text.strip("\"' ") for key, text in _words(texts).items()}
    chosen = _merged(_merged(given, flags), _nested(said))
    phases = {"phases"} if chosen.get("objective", values["objective"]) != values["objective"] else set()
    values = {key: value for key, value in _without_others(values, values, chosen).items() if key not in phases}
    options, ours = chosen.get("options"), values.get("options")
    if isinstance(options, Mapping) and isinstance(ours, Mapping):
        values["options"] = _without_others(ours, {**_defaults(cls), **ours}, options)
    return values


def _without_others(table: Mapping[str, Any], names: Mapping[str, Any], chosen: Mapping[str, Any]) -> dict[str, Any]:
    """The table without NAME_options wherever another NAME than in ``names`` is chosen."""
    others = {f"{key}_options" for key, name in chosen.items() if key in names and name != names[key]}
    return {key: value for key, value in table.items() if key not in others}


def _words(overrides: Sequence[str] | Mapping[str, Any]) -> Mapping[str, Any]:
    """What --set says, as it stands there."""
    if isinstance(overrides, Mapping):
        return overrides
    return dict(text.split("=", 1) for text in overrides if "=" in text)


def _kept_of(base: RunConfig, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """What another run has of this one if it begins with its weights; its objective, unless another is chosen.

    A network that is told its guidance scale goes on being told one.
    """
    table = unstructure(base)
    keys = ["modality", "data", "readout", "options", "readout_options", "label_dropout"]
    last = base.phases[-1] if base.phases else Phase(base.objective, 1.0, options=base.objective_options)
    name, options = str(chosen.get("objective", last.objective)), last.options
    if name != last.objective:
        known = attrs.fields_dict(load_plugins().objective(name))
        options = {key: value for key, value in options.items() if key == "guidance_range" and key in known}
    if options.get("distance") == "features":
        keys += ["features", "features_options"]
    kept = {key: table[key] for key in keys if key in table}
    return {**kept, "objective": name, "objective_options": options}


def _with_overrides(cls: type[Modality], values: dict[str, Any], texts: Sequence[str], origin: str) -> dict[str, Any]:
    """--set for keys of our own, and for the tables by the classes that know what may stand in them."""
    for text in texts:
        table, dot, rest = text.partition(".")
        if not dot or table not in _TABLES:
            values = apply_overrides(RunConfig, values, [text])
            continue
        if not isinstance(values.get(table, {}), Mapping):
            raise UsageError(f"{origin}: '{table}': expected a table")
        known = _TABLES[table](cls, values)
        values = {**values, table: apply_overrides(known, values.get(table, {}), [rest], table)}
    return values


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Tables are joined key by key; any other value above replaces the one below."""
    result = dict(below)
    for key, value in above.items():
        old = result.get(key)
        result[key] = _merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


def _nested(table: Mapping[str, Any]) -> dict[str, Any]:
    """The table with each key "a.b" as a key "b" of a table "a"."""
    result: dict[str, Any] = {}
    for name, value in table.items():
        for key in reversed(name.split(".")):
            value = {key: value}
        result = _merged(result, value)
    return result
