"""Low-shot: how good a linear classifier becomes with 1, 2, 4, ... 96 labelled training rows of each class.

Five draws of the rows, mean and standard deviation over them. Nothing is chosen on validation rows, since their labels
would be many more than the ones that are counted: the strength of the classifiers is fixed.

Source: Goyal et al. 2019, arXiv 1905.01235, section 5 (VOC07 low-shot): the counts, and five draws.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Int

from isotone.evaluate.probe import ProbeData, ProbeResult, class_result, classes, without_fit_warnings
from isotone.evaluate.subject import Answers, Subject, plain
from isotone.evaluate.svm import svm
from isotone.randomness import numpy_generator

SHOTS = (1, 2, 4, 8, 16, 32, 64, 96)
DRAWS = 5
STRENGTH = 1.0  # scikit-learn's C


def low_shot(subject: Subject, *, shots: Sequence[int] = SHOTS, draws: int = DRAWS) -> list[dict[str, Any]]:
    """Score logistic regression and one-against-rest SVMs fitted on a few rows of each class, on all test rows.

    Both have C = 1. The features are brought to length 1 for the SVMs as in `svm`, and standardised for logistic
    regression by all training rows, which takes no label.

    Args:
        subject: encoder and rows with classes.
        shots: training rows of each class. Those that the smallest class cannot give are left out; a note says so.
        draws: of the rows, by the seed.

    Returns:
        For each number of rows a line for `linear` (accuracy) and one for `svm` (mean average precision): `score` is
        the mean over the draws, `std` their standard deviation (divided by draws - 1), `scores` each of them;
        `rows_per_class` is among the settings.

    Raises:
        ShapeError: a single class among the training rows, no test rows with a class.

    Source: as at the top of this file.
    """
    (one,) = subject.answers
    h = subject.frozen.h
    mean, std = (f(h[one.train], axis=0, dtype=np.float64) for f in (np.mean, np.std))
    scaled = (h - mean) / np.where(std > 1e-6 * std.max(initial=0.0), std, 1.0)
    smallest = int(np.unique(one.y[one.train], return_counts=True)[1].min())
    possible = [k for k in shots if k <= smallest]
    notes = [] if len(possible) == len(shots) else [f"the smallest class has {smallest} training rows"]
    without = replace(one, val=one.val[:0])
    lines: list[dict[str, Any]] = []
    for k in possible:
        picks = [replace(without, train=draw_rows(one, k, seed=subject.seed, draw=draw)) for draw in range(draws)]
        logistics = [_logistic(pick.data(scaled[pick.rows])) for pick in picks]
        svms = [svm(pick.data(h[pick.rows]), costs=(STRENGTH,), seed=subject.seed) for pick in picks]
        last = notes if k == possible[-1] else []
        lines += [_line(one, k, logistics, last), _line(one, k, svms, last)]
    return lines


def draw_rows(one: Answers, count: int, *, seed: int, draw: int) -> Int[np.ndarray, " n"]:
    """Return `count` training rows of each class, ascending; a larger draw of one number holds the smaller ones.

    Args:
        one: classes.
        count: of each class; all where a class has fewer.
        seed: of the run.
        draw: its number.

    Example:
        >>> one = Answers("animal", np.array(["cat", "cat", "dog"]), np.arange(3), np.arange(0), np.arange(0))
        >>> len(draw_rows(one, 1, seed=0, draw=0)), draw_rows(one, 2, seed=0, draw=0).tolist()
        (2, [0, 1, 2])
    """
    order = numpy_generator("few rows", seed, draw).permutation(one.train)
    label = one.y[order]
    return np.sort(np.concatenate([order[label == name][:count] for name in np.unique(label)]))


# ----------------------------------------------------------------------------------------------------------------------


def _logistic(data: ProbeData) -> ProbeResult:
    from sklearn.linear_model import LogisticRegression

    found = classes(data, "low-shot")
    with without_fit_warnings():
        model = LogisticRegression(C=STRENGTH, max_iter=1000).fit(data.train_h, found.train)
    return class_result("linear", found, model.predict(data.test_h), {"model": "logistic"})


def _line(one: Answers, k: int, results: list[ProbeResult], notes: list[str]) -> dict[str, Any]:
    scores = [result.score for result in results]
    return {
        "probe": "low-shot",
        "target": one.name,
        "split": "test",
        "n": len(one.test),
        "score": plain(float(np.mean(scores))),
        "std": plain(float(np.std(scores, ddof=1))) if len(scores) > 1 else None,
        "scores": scores,
        "score_name": results[0].score_name,
        "higher_is_better": True,
        "settings": {"rows_per_class": k, "model": results[0].settings["model"], "C": STRENGTH, "draws": len(results)},
        "notes": notes,
    }
