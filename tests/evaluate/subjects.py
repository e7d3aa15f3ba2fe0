"""Small subjects for the tests of probes: an untrained encoder with batch norm, and real digits of 32 pixels."""

from dataclasses import replace

import numpy as np
import torch
from accelerate import Accelerator
from sklearn.datasets import load_digits
from torch import nn

from isotone.data.views import Views
from isotone.evaluate.subject import Subject
from isotone.nets.encoders import build_encoder
from isotone.records import Dataset

CLASSES = ("five", "four", "one", "three", "two", "zero")


def digits(rows: int = 120, *, answers: str = "classes", side: int = 32) -> Dataset:
    """Return digits 0 to 5, their grey as a number or no answer; a sixth of the rows is val, a sixth test."""
    found = load_digits(n_class=6)
    grey = np.kron(found.images[:rows] * (255 / 16), np.ones((side // 8, side // 8))).astype(np.uint8)[..., None]
    names = np.array(["zero", "one", "two", "three", "four", "five"])[found.target[:rows]]
    data = Dataset(
        name="digits",
        kind="image",
        inputs=grey,
        target=np.zeros((rows, 0)),
        target_names=(),
        split=np.random.default_rng(0).permutation(
            np.resize(["train", "val", "train", "train", "test", "train"], rows)
        ),
        label=np.arange(rows).astype(str),
        row=np.arange(rows),
    )
    if answers == "classes":
        return replace(data, category=np.searchsorted(CLASSES, names), classes=CLASSES, category_name="digit")
    if answers == "numbers":
        return replace(data, target=found.images[:rows].mean(axis=(1, 2))[:, None], target_names=("grey",))
    return data


def subject(data: Dataset | None = None, encoder: nn.Module | None = None, *, seed: int = 0) -> Subject:
    """Return a subject on the data with a small CNN, or with another encoder."""
    data = digits() if data is None else data
    shape = data.inputs.shape[3:] + data.inputs.shape[1:3] if data.kind == "image" else data.inputs.shape[1:]
    if encoder is None:
        encoder = build_encoder("small-cnn", kind="image", shape=shape)[0]
        with torch.no_grad():  # statistics of its own, so that a change of them shows
            encoder.train()(torch.rand(8, *shape, generator=torch.Generator().manual_seed(0)))
    views = Views("image", shape[1], ("mild",), seed) if data.kind == "image" else Views(data.kind, seed=seed)
    return Subject(encoder.eval(), views, shape, lambda: data, accelerator=Accelerator(cpu=True), seed=seed)
