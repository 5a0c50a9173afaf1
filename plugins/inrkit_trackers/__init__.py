"""Experiment trackers: TensorBoard, Weights & Biases, MLflow and Trackio.

inrkit train --tracker tensorboard --out runs/first
tensorboard --logdir runs
"""

import inrkit

INRKIT_API = 1


@inrkit.hookimpl
def register_trackers(register: inrkit.Register) -> None:
    register("tensorboard", "inrkit_trackers.board:TensorBoardTracker", "event files for TensorBoard, in the run")
    register("wandb", "inrkit_trackers.wandb_run:WandbTracker", "a run of Weights & Biases, offline by default")
    register("trackio", "inrkit_trackers.trackio_run:TrackioTracker", "a run of Trackio, which 'trackio show' shows")
    register("mlflow", "inrkit_trackers.mlflow_run:MlflowTracker", "a run of MLflow, as files in the run")
