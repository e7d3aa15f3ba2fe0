"""A small real job: scikit-learn's digits, their mean grey as target, so that 20 steps learn something."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from sklearn.datasets import load_digits

from isotone.data.arrays import load_arrays
from isotone.data.settings import DataSettings
from isotone.data.views import Views
from isotone.methods import METHODS
from isotone.nets.encoders import build_encoder
from isotone.predict.scaling import Scaling
from isotone.records import Dataset, Facts
from isotone.train.loop import Job, train
from isotone.train.settings import TrainSettings

Trainer = Callable[..., dict[str, torch.Tensor]]


@pytest.fixture(scope="session")
def digits() -> Dataset:
    found = load_digits()
    images = (found.images[:200] * (255 / 16)).astype(np.uint8)
    return load_arrays(images, found.images[:200].mean((1, 2)), settings=DataSettings(image_size=8), seed=0)


@pytest.fixture
def job(digits: Dataset) -> Callable[..., Job]:
    def make(folder: Path, method: str = "rnc", norm: str = "batch", queue: int = 0, **settings: object) -> Job:
        chosen = METHODS[method](**({"queue": queue} if queue else {}), head="l1")
        encoder, width = build_encoder("small-cnn", kind="image", shape=(1, 8, 8), norm=norm)  # type: ignore[arg-type]
        torch.manual_seed(0)
        facts = Facts(width, shape=(1, 8, 8), k=1, instances=len(digits.rows("train")))
        net = chosen.build(torch.nn.Sequential(encoder, torch.nn.Dropout(0.1)), facts)
        run = TrainSettings(**{"passes": 8, "batch_size": 32, "lr": 0.4, **settings})  # type: ignore[arg-type]
        views = Views("image", 8, ("flip", "light"), 0, (0.5,), (0.5,))
        folder.mkdir(exist_ok=True)
        scaling, memory = Scaling.of(digits.target[digits.rows("train")]), chosen.memory(net, facts)
        return Job(chosen, net, digits, views, scaling, run, folder, "go on", memory)

    return make


@pytest.fixture
def trained(job: Callable[..., Job]) -> Trainer:
    def run(folder: Path, **settings: object) -> dict[str, torch.Tensor]:
        return dict(train(job(folder, **settings), Accelerator(cpu=True), stream=None).state_dict())

    return run
