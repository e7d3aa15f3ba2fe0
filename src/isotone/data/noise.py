"""Wrong labels on purpose: to study how much of a representation survives them."""

from dataclasses import replace

import numpy as np

from isotone.errors import ConfigError
from isotone.randomness import uniform
from isotone.records import Dataset


def wrong_labels(dataset: Dataset, share: float, seed: int) -> Dataset:
    """Return the data set with the class of some training and validation rows replaced by another; test rows stay.

    Each labelled row of the two sides is picked with probability `share`, and its class is drawn uniformly from the
    others: an error is always one. A pure function of (seed, row).

    Args:
        dataset: with classes.
        share: 0 to below 1; 0 changes nothing.
        seed: of the run.

    Raises:
        ConfigError: a share above 0 for data without classes.

    Example:
        >>> text, split = np.array(list("abcd")), np.array(["train"] * 3 + ["test"])
        >>> data = Dataset("x", "rows", np.eye(4), np.zeros((4, 0)), (), split, text, np.arange(4),
        ...                category=np.array([0, 1, 1, 0]), classes=("no", "yes"))
        >>> wrong_labels(data, 0.99, seed=0).category.tolist()
        [1, 0, 0, 0]

    Source: Yan et al. 2020 (ClusterFit), arXiv 1912.03330, section 4.1.
    """
    if share == 0:
        return dataset
    if dataset.category is None:
        raise ConfigError("`label_noise` replaces classes, but the data name none. Leave it out, or name a --category.")
    category, c = dataset.category.copy(), len(dataset.classes)
    rows = np.concatenate([dataset.labelled("train"), dataset.labelled("val")])
    u = uniform(rows, 2, "wrong labels", seed)
    picked = u[:, 0] < share
    away = 1 + (u[picked, 1] * (c - 1)).astype(np.int64)
    category[rows[picked]] = (category[rows[picked]] + away) % c
    return replace(dataset, category=category)
