"""MLflow."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from torch import Tensor

from inrkit import Tracker
from inrkit_trackers.begin import package, pixels_of


@final
class MlflowTracker(Tracker):
    """A run of MLflow in a store of files, the folder `mlflow` of the run directory.

    Nothing is sent, unless the environment variable ``MLFLOW_TRACKING_URI`` names a server. ``MLFLOW_EXPERIMENT_NAME``
    names the experiment ("inrkit").
    """

    name = "mlflow"

    @classmethod
    def check(cls) -> None:
        package("mlflow", "mlflow")

    def start(self, run: Path, config: Mapping[str, Any], step: int) -> None:
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        mlflow = package("mlflow", "mlflow")
        self._metric: Any = package("mlflow", "mlflow.entities").Metric
        folder = run.absolute() / "mlflow"
        folder.mkdir(exist_ok=True)
        identity = folder / "inrkit-id"
        self._client: Any = mlflow.MlflowClient(os.environ.get("MLFLOW_TRACKING_URI") or (folder / "runs").as_uri())
        if identity.exists():  # a resumed run is the same one
            self._id = identity.read_text()
            self._client.update_run(self._id, status="RUNNING")
            return
        title = os.environ.get("MLFLOW_EXPERIMENT_NAME", "inrkit")
        experiment = self._client.get_experiment_by_name(title)
        number = self._client.create_experiment(title) if experiment is None else experiment.experiment_id
        self._id = str(self._client.create_run(number, run_name=run.name).info.run_id)
        identity.write_text(self._id)
        for key, value in config.items():
            self._client.log_param(self._id, key, str(value)[:500])

    def log(self, step: int, values: Mapping[str, float]) -> None:
        now = int(time.time() * 1000)
        named = {name.replace("/", "."): value for name, value in values.items()}  # "loss" is a file, and no folder
        self._client.log_batch(self._id, [self._metric(name, value, now, step) for name, value in named.items()])

    def picture(self, step: int, name: str, values: Tensor) -> None:
        self._client.log_image(self._id, pixels_of(values), f"{name}/step-{step:08d}.png")

    def finish(self) -> None:
        self._client.set_terminated(self._id)
