"""The training loop."""

import math
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import cast, final

import attrs

import inrkit
from inrkit.config.phases import ScheduledPhase
from inrkit.config.toml import to_toml, unstructure
from inrkit.core.modality import Signals
from inrkit.errors import DivergedError
from inrkit.evaluation.reconstruction import Score
from inrkit.evaluation.search import LEAST, affordable, coarse_middle
from inrkit.inference.model import Model, build_model
from inrkit.machine.randomness import preserve_random_state
from inrkit.machine.signals import StoppedError, StopRequest
from inrkit.report.history import STEPS
from inrkit.storage import tensorfile
from inrkit.storage.checkpoint import save_checkpoint
from inrkit.training.divergence import LossWatch, alike
from inrkit.training.learner import Learner
from inrkit.training.log import RunLog
from inrkit.training.lopsided import ShareWatch
from inrkit.training.optimizer import learning_rate
from inrkit.training.progress import RunProgress
from inrkit.training.stopping import EarlyStopping, stop_early

OnSample = Callable[[Model, Path, int], object]


@final
@attrs.define
class Middle:
    """The middle noise level of two-step sampling, as the end of the run found it; None before."""

    level: float | None = None

    def search(self, model: Model, seen: int) -> tuple[str, dict[str, object]]:
        """Sets it, for this model too, and says what was found, in words and in numbers to write down; nothing where
        the run was too short, or samples otherwise.

        Args:
            seen: Signals that the run has learned from.
        """
        if not model.sampler.few_steps or (count := affordable(model, seen)) < LEAST:
            return "", {}
        self.level, two, one = coarse_middle(model, count)
        model.middle = self.level
        how = "are best" if two < one else "are no better than one, and best"
        text = f"two steps {how} by way of noise level {self.level:g}: distance {two:.3g} from {count} training signals"
        return f"{text}, one step {one:.3g}", {f"{STEPS}one": one, f"{STEPS}two": two}


@final
@attrs.frozen
class Loop:
    """Everything that a run needs besides what learns.

    Args:
        run: The run directory.
        early: Watches for samples that become worse.
        watch: Watches for losses that become larger.
        facts: What the training data are; a resumed run must find the same.
        shares: Watches for losses and noise levels that have nearly all of the gradient.
        middle: Of two-step sampling, searched at the end.
        on_sample: Called with a model of the averaged weights, the run directory and the step.
    """

    run: Path
    learner: Learner
    signals: Iterator[Signals]
    log: RunLog
    progress: RunProgress
    score: Score
    early: EarlyStopping
    watch: LossWatch
    facts: dict[str, object]
    on_sample: OnSample
    shares: ShareWatch = attrs.field(factory=ShareWatch)
    middle: Middle = attrs.field(factory=Middle)

    def train(self) -> None:
        """From where the learner is to the end of the run."""
        learner, config = self.learner, self.learner.config
        diverged = stopped = False
        with StopRequest.current.deferred() as stop:
            while learner.step < config.steps and not stopped and not diverged:
                phase = learner.enter_phase()
                stopped = self._step(phase, bool(stop.signal))
                best, last = False, learner.step == config.steps
                if not last and learner.step % config.sample_every == 0:
                    best, diverged = self._show(phase)
                if not diverged and (best or stopped or last or learner.step % config.save_every == 0):
                    self._save()
        if stopped:
            number = stop.signal or signal.SIGTERM
            raise StoppedError(number, f"stopped and saved at step {learner.step}; the same command goes on from there")
        if not diverged:  # the last weights are safe; what they can do is measured, and the checkpoint says so
            self.progress.stage("measuring held-out signals and drawing samples")
            if not self._show(learner.phases[-1])[1]:
                self._save(finished=True)

    def _step(self, phase: ScheduledPhase, stop: bool) -> bool:
        """One step, written down; whether any process was asked to stop."""
        learner = self.learner
        lr = learning_rate(learner.config, learner.step, phase.lr)
        every = learner.config.gradient_every
        measured = every > 0 and (learner.step + 1) % every == 0
        values, stops = learner.learn(phase, self.signals, stop=stop, measured=measured)
        if values is not None:
            self._check(phase, values)
            self.log.add(values)
            self.progress.step(learner.step, phase.name, values)
        else:
            self.progress.say(f"step {learner.step}: not finite, skipped ({learner.skipped} so far)")
        if learner.step in (phase.stop, learner.config.steps) or learner.step % learner.config.log_every == 0:
            self._write({"phase": phase.name, "lr": lr, **self.log.means(), "skipped": learner.skipped})
        if measured and learner.gradient_norms:
            self._write({f"gradient/{name}": value for name, value in learner.gradient_norms.items()})
            if found := self.shares.see(phase, learner.gradient_norms):
                self.progress.say(f"step {learner.step}: {found}")
        return stops

    def _check(self, phase: ScheduledPhase, values: Mapping[str, float]) -> None:
        """The end of a run whose loss diverges; or a line that says so, once a stage."""
        learner, before = self.learner, self.watch.reported
        found = self.watch.see(phase, learner.step - 1, values)
        if not found or before:
            return
        config = learner.config
        advice = f"try a lower 'lr' (now {phase.lr:g})" + ("" if config.clip else " or 'clip' = 1")
        text = f"step {learner.step}: {found}; {advice}"
        if config.divergence == "stop":
            raise DivergedError(f"{text}; with 'divergence' = \"warn\" the run goes on all the same")
        self.progress.say(text)

    def _write(self, values: dict[str, object]) -> None:
        step = self.learner.step
        written = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}
        self.log.write(step, self.learner.resolved.seen(step), written)  # JSON has no NaN

    def _show(self, phase: ScheduledPhase) -> tuple[bool, bool]:
        """What the averaged weights can do so far: whether it is their best, and whether the run has diverged."""
        learner = self.learner
        model = build_model(learner.resolved, self.run, learner.step, learner.device) if learner.ranks.first else None
        learner.put_average(None if model is None else model.pipeline)
        return learner.ranks.broadcast(lambda: self._measure(phase, cast("Model", model)))

    def _measure(self, phase: ScheduledPhase, model: Model) -> tuple[bool, bool]:
        """The same, in the first process; leaves the random states alone."""
        learner = self.learner
        model.facts = self.facts
        with preserve_random_state(learner.device):
            measured = self.score.measure(model)
            if measured:
                self._write({f"heldout/{name}": value for name, value in measured.items()})
                self.progress.heldout(measured)
                if found := alike(measured.get("variance_ratio", 1.0), phase, learner.step):
                    self.progress.say(f"step {learner.step}: {found}")
            best = False
            if self.early.patience:
                value = self.early.measure(model)
                self._write({"samples/frechet": value})
                # After the last step of a phase its own stage, not the next phase's, made the samples.
                best = self.early.see(learner.step, phase.number, value, counts=phase.is_hard(learner.step))
            if learner.step == learner.config.steps and learner.config.search_times and not self.early.stop:
                self.progress.stage("searching the noise level of two steps")
                text, distances = self.middle.search(model, learner.resolved.seen(learner.step))
                if text:
                    self._write(distances)
                    self.progress.say(text)
            self.log.trackers.sheet(learner.step, self.on_sample(model, self.run, learner.step))
        if self.early.stop:
            stop_early(self.run, learner.step, self.early)
            self.progress.say(
                f"step {learner.step}: samples became worse {self.early.worse} times in a row; stopped, and went back "
                f"to the best checkpoint, of step {self.early.best_step}"
            )
        return best, self.early.stop

    def _save(self, *, finished: bool = False) -> None:
        learner, config = self.learner, self.learner.config
        learner.check_health()
        tensors, state = learner.state()
        if learner.ranks.first:
            meta = {
                "inrkit": inrkit.__version__,
                "modality": config.modality,
                "world": learner.ranks.world,
                "config": to_toml(unstructure(config)),
            }
            state |= {"log": self.log.state(), "facts": self.facts, "finished": finished, "watch": self.watch.state()}
            if self.middle.level is not None:
                state["middle"] = self.middle.level
            if self.early.patience:
                state["early_stopping"] = self.early.state()
            folder, best = self.run / "checkpoints", self.early.best_step
            protect = () if best is None else (best,)
            save_checkpoint(folder, learner.step, tensors, state, meta, keep=config.keep, protect=protect)
        else:
            for group in tensors.values():
                tensorfile.give(group)
        learner.ranks.barrier()
