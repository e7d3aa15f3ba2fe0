"""A job for any method by its name: scikit-learn's digits at 32 px, with every kind of tag that a method may need."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor

from isotone.data.arrays import load_arrays
from isotone.data.partners import neighbour_views, second_views
from isotone.data.settings import DataSettings
from isotone.data.views import Views
from isotone.methods import METHODS
from isotone.nets.encoders import build_encoder
from isotone.predict.scaling import Scaling
from isotone.records import Dataset, Facts, Method, Teacher
from isotone.train.loop import Job, training_rows
from isotone.train.settings import TrainSettings

ROWS, SIDE = 120, 32
SMALL = {
    "moco": {"queue": 24},
    "jigsaw": {"permutations": 8},
    "clusterfit": {"clusters": 6},
    "fds": {"label_bins": 8},
}  # defaults are for more rows
# end to end on numbers: L1's gradient is as long near the target as far from it, and 20 steps end where they overshoot
END_TO_END = ("cmixup", "fds", "joint", "lds", "ordinal-entropy", "ranksim")
NAMES = list(METHODS)
# every method with its defaults, and the settings that choose another loss, network or memory
CASES: dict[str, tuple[str, dict[str, object]]] = {
    **{name: (name, {}) for name in NAMES},
    **{f"npid {form}": ("npid", {"form": form}) for form in ("nce", "pirl-nce", "softmax")},
    **{f"pirl {transform}": ("pirl", {"transform": transform}) for transform in ("rotation", "both")},
    "pirl pirl-nce": ("pirl", {"form": "pirl-nce", "projection": "mlp"}),
    "moco symmetric": ("moco", {"symmetric": True}),
    "moco linear": ("moco", {"projection": "linear"}),
    "rnc queue": ("rnc", {"queue": 20}),
    "supcon in": ("supcon", {"form": "in"}),
    "temporal triplet": ("temporal", {"form": "triplet"}),
    "rotation two views": ("rotation", {"views": 2}),
    "joint one view": ("joint", {"views": 1}),
    "lds inverse": ("lds", {"reweight": "inverse"}),
    **{f"{name} two views": (name, {"views": 2}) for name in ("cmixup", "fds", "ordinal-entropy", "ranksim")},
}


def digits() -> Dataset:
    """Return 120 digits: the mean grey as target, the digit as class, tracks of 8, and the negative as second input."""
    found = load_digits()
    images = np.kron(found.images[:ROWS], np.ones((4, 4))) * (255 / 16)
    made = load_arrays(
        images.astype(np.uint8), found.images[:ROWS].mean((1, 2)), settings=DataSettings(image_size=SIDE), seed=0
    )
    return replace(
        made,
        category=found.target[:ROWS].astype(np.int64),
        classes=tuple("0123456789"),
        category_name="digit",
        sequence=np.array([f"track {i // 8}" for i in range(ROWS)]),
        time=np.arange(ROWS, dtype=np.float64),
        second=255 - made.inputs,
        second_kind="image",
    )


def chosen(case: str) -> Method:
    """Return the method of a case, or of that name, with sizes that fit few rows."""
    name, more = CASES.get(case, (case, {}))
    settings = {**SMALL.get(name, {}), **more}
    method = METHODS[name]
    if "teacher" in method.needs:
        settings["teacher"] = "runs/teacher"
    made = method(**settings)
    heads = {"rnc": "l1", "baseline": "classify", **dict.fromkeys(END_TO_END, "huber")}
    head = heads.get(name)
    return made if head is None else replace(made, head=head)  # type: ignore[type-var]


def facts_of(dataset: Dataset, method: Method, width: int, seed: int = 0) -> Facts:
    """Return what the method is told; the teacher is a random projection of the pixels, and knows the classes."""
    rows = training_rows(method, dataset)
    pixels = dataset.inputs[rows].reshape(len(rows), -1) / 255
    draw = np.random.default_rng(0)
    h = (pixels @ draw.standard_normal((pixels.shape[1], 16))).astype(np.float32)
    assert dataset.category is not None
    probabilities = (0.9 * np.eye(10)[dataset.category[rows]] + 0.01).astype(np.float32)
    second = build_encoder("small-cnn", kind="image", shape=(1, SIDE, SIDE), norm="group", seed=1)
    return Facts(
        width,
        shape=(1, SIDE, SIDE),
        k=dataset.target.shape[1],
        classes=len(dataset.classes),
        instances=len(rows),
        seed=seed,
        second=second if "second" in method.needs else None,
        teacher=Teacher(h, probabilities) if "teacher" in method.needs else None,
        targets=_scaling(dataset).standardise(dataset.target[rows]),
    )


def build_job(folder: Path, case: str, **settings: object) -> Job:
    """Return a job of the method in `folder`: group norm, so that no row's result depends on its batch."""
    dataset, method = digits(), chosen(case)
    run = TrainSettings(**{"passes": 4, "batch_size": 16, "lr": 0.05, **settings})  # type: ignore[arg-type]
    encoder, width = build_encoder("small-cnn", kind="image", shape=(1, SIDE, SIDE), norm="group", seed=run.seed)
    views = Views("image", SIDE, ("light",), run.seed)
    facts = facts_of(dataset, method, width, run.seed)
    net = method.build(encoder, facts)
    folder.mkdir(exist_ok=True, parents=True)
    return Job(
        method,
        net,
        dataset,
        views,
        _scaling(dataset),
        run,
        folder,
        "go on",
        method.memory(net, facts),
        partners=_partners(dataset, method, views, run.seed),
    )


def _scaling(dataset: Dataset) -> Scaling:
    return Scaling.of(dataset.target[dataset.rows("train")])


def _partners(dataset: Dataset, method: Method, views: Views, seed: int) -> Callable[[np.ndarray, int], Tensor] | None:
    if "sequence" in method.needs:
        return neighbour_views(dataset, views, 1.0, seed)
    return second_views(dataset, views) if "second" in method.needs else None


def state(job: Job) -> dict[str, torch.Tensor]:
    """Return the weights and the memory of a job, copied."""
    memory = {} if job.memory is None else job.memory.state_dict()
    both = {**job.net.state_dict(), **{f"memory.{key}": x for key, x in memory.items()}}
    return {key: x.detach().clone() for key, x in both.items()}
