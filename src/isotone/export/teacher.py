"""What a finished run says of other rows: their representations and, where it has classes, the probabilities."""

import json
from pathlib import Path

import numpy as np
import torch

from isotone.errors import ConfigError
from isotone.export.saved import Model, load_model
from isotone.records import Dataset, Kind, Teacher
from isotone.train.checkpoint import read_folder
from isotone.train.forward import forward


def load_teacher(run: Path, kind: Kind, shape: tuple[int, ...]) -> Model:
    """Return the model of a finished run, which must take the same inputs as the run that it teaches.

    Args:
        run: its folder.
        kind: of the inputs of the run that is taught.
        shape: of one view there.

    Raises:
        ConfigError: the run is not finished, was made with a module of the user's, or takes other inputs.
        CheckpointError: its model is damaged.
    """
    if not (run / "model" / "manifest.json").is_file():
        raise ConfigError(f"the teacher {run} is not finished. Go on with it: isotone resume {run}")
    if json.loads(read_folder(run / "model")["model.json"])["encoder"] == "custom":
        raise ConfigError(
            f"the teacher {run} was made with an encoder of your own, which its folder does not hold. Use a run with a "
            "named encoder."
        )
    model = load_model(run / "model")
    if (model.kind, model.shape) != (kind, shape):
        sizes = model.kind == kind == "image" and model.shape[0] == shape[0]
        fix = f"Use --image-size {model.shape[1]}" if sizes else "Use a run on the same inputs"
        raise ConfigError(
            f"the teacher {run} takes inputs of kind {model.kind} and shape {model.shape}, but this run's are of kind "
            f"{kind} and shape {shape}. {fix}."
        )
    return model


def taught(model: Model, dataset: Dataset, rows: np.ndarray, device: torch.device) -> Teacher:
    """Return what the model says of these rows.

    Args:
        model: of a finished run that takes these inputs.
        dataset: where the rows are.
        rows: (n,) indices.
        device: where the encoder runs.
    """
    h = forward(model.encoder.to(device), dataset, rows, model.views, device=device).numpy()
    return Teacher(h, model.probabilities(h) if model.classes else None)
