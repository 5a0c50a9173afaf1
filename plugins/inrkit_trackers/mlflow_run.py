"""MLflow."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from torch import Tensor

from inrkit import Tracker, UsageError


@final
class MlflowTracker(Tracker):
    """A run of MLflow in a store of files, the folder `mlflow` of the run directory.

    Nothing is sent, unless the environment variable ``MLFLOW_TRACKING_URI`` names a server. ``MLFLOW_EXPERIMENT_NAME``
    names the experiment ("inrkit").
    """

    name = "mlflow"

    def start(self, run: Path, config: Mapping[str, Any], step: int) -> None:
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        try:
            from mlflow import MlflowClient
            from mlflow.entities import Metric
        except ImportError as error:
            command = 'pip install "inrkit[mlflow]"'
            raise UsageError(f"the tracker 'mlflow' needs MLflow, which is not installed; run: {command}") from error
        folder = run.absolute() / "mlflow"
        folder.mkdir(exist_ok=True)
        self._metric, self._identity, self._told = Metric, folder / "inrkit-id", folder / "inrkit-step"
        self._client: Any = MlflowClient(os.environ.get("MLFLOW_TRACKING_URI") or (folder / "runs").as_uri())
        if self._identity.exists():  # a resumed run is the same one
            self._id = self._identity.read_text()
            self._client.update_run(self._id, status="RUNNING")
            return
        title = os.environ.get("MLFLOW_EXPERIMENT_NAME", "inrkit")
        experiment = self._client.get_experiment_by_name(title)
        number = self._client.create_experiment(title) if experiment is None else experiment.experiment_id
        self._id = str(self._client.create_run(number, run_name=run.name).info.run_id)
        self._identity.write_text(self._id)
        for key, value in config.items():
            self._client.log_param(self._id, key, str(value)[:500])

    def log(self, step: int, values: Mapping[str, float]) -> None:
        if self._told.exists() and step <= int(self._told.read_text() or 0):
            return  # by a process that was stopped after it
        now = int(time.time() * 1000)
        named = {name.replace("/", "."): value for name, value in values.items()}  # "loss" is a file, and no folder
        self._client.log_batch(self._id, [self._metric(name, value, now, step) for name, value in named.items()])
        self._told.write_text(str(step))

    def picture(self, step: int, name: str, values: Tensor) -> None:
        pixels = values.mul(255).round().byte().permute(1, 2, 0).numpy()
        self._client.log_image(self._id, pixels, f"{name}/step-{step:08d}.png")

    def finish(self) -> None:
        self._client.set_terminated(self._id)
