"""The definitions of DEX, DLDL-v2, OR and CORN, term by term, with loops: slow, and obviously right.

All take outputs (n, k * each) and standardised targets (n, k), and bins as lists of centres, one list a dimension.

Source: Rothe 2018 (DEX), Gao 2018 (DLDL-v2), Niu 2016 (OR), Shi 2023 (CORN), see the files of the heads.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor


def dex(out: Tensor, y: Tensor, centres: list[list[float]]) -> Tensor:
    """Return the mean of -log p of the bin whose centre is nearest."""
    terms = []
    for logits, target, c in _each(out, y, centres, 0):
        apart = [abs(target - x) for x in c]
        terms.append(-torch.log(_softmax(logits)[apart.index(min(apart))]))
    return sum(terms) / len(terms)


def dldl(out: Tensor, y: Tensor, centres: list[list[float]], sigma: float, weight: float) -> Tensor:
    """Return the mean of KL(Gaussian || p) + weight * |expectation - y|, lengths in bins."""
    terms = []
    for logits, target, c in _each(out, y, centres, 0):
        width = c[1] - c[0] if len(c) > 1 and c[1] > c[0] else 1.0
        height = [math.exp(-((x - target) ** 2) / (2 * (sigma * width) ** 2)) for x in c]
        t, p = [h / sum(height) for h in height], _softmax(logits)
        divergence = sum(a * (math.log(a) - torch.log(b)) for a, b in zip(t, p, strict=True) if a > 0)
        expected = sum(b * x for b, x in zip(p, c, strict=True))
        terms.append(divergence + weight * (expected - target).abs() / width)
    return sum(terms) / len(terms)


def niu(out: Tensor, y: Tensor, centres: list[list[float]]) -> Tensor:
    """Return the mean binary cross-entropy of "above the threshold?"."""
    terms = []
    for logits, target, c in _each(out, y, centres, 1):
        for logit, threshold in zip(logits, _thresholds(c), strict=True):
            p = 1 / (1 + torch.exp(-logit))
            terms.append(-torch.log(p if target > threshold else 1 - p))
    return sum(terms) / len(terms)


def corn(out: Tensor, y: Tensor, centres: list[list[float]]) -> Tensor:
    """Return the sum of each task's binary cross-entropies over its rows, divided by the number of all of them."""
    terms = []
    for logits, target, c in _each(out, y, centres, 1):
        before = -math.inf
        for logit, threshold in zip(logits, _thresholds(c), strict=True):
            if target > before:
                p = 1 / (1 + torch.exp(-logit))
                terms.append(-torch.log(p if target > threshold else 1 - p))
            before = threshold
    return sum(terms) / len(terms)


def expectation(out: Tensor, centres: list[list[float]]) -> list[list[float]]:
    """Return the decoded predictions of DEX and DLDL-v2."""
    k, count = len(centres), len(centres[0])
    rows = [[_softmax(row[i * count : (i + 1) * count]) for i in range(k)] for row in out]
    return [[float(sum(p * x for p, x in zip(ps[i], centres[i], strict=True))) for i in range(k)] for ps in rows]


def counted(out: Tensor, centres: list[list[float]], *, conditional: bool) -> list[list[float]]:
    """Return the decoded predictions of OR, or of CORN, whose answers are conditional on those before."""
    k, each = len(centres), len(centres[0]) - 1
    found = []
    for row in out:
        found.append([])
        for i in range(k):
            passed, yes = 1.0, 0
            for logit in row[i * each : (i + 1) * each]:
                p = 1 / (1 + math.exp(-float(logit)))
                passed = passed * p if conditional else p
                yes += passed > 0.5
            found[-1].append(centres[i][yes])
    return found


def _each(out: Tensor, y: Tensor, centres: list[list[float]], less: int) -> list[tuple[Tensor, float, list[float]]]:
    found = []
    for row, targets in zip(out, y.tolist(), strict=True):
        for i, target in enumerate(targets):
            each = len(centres[i]) - less
            found.append((row[i * each : (i + 1) * each], target, centres[i]))
    return found


def _softmax(logits: Tensor) -> Tensor:
    return torch.exp(logits) / torch.exp(logits).sum()


def _thresholds(c: list[float]) -> list[float]:
    return [(a + b) / 2 for a, b in pairwise(c)]
