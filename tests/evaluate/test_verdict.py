"""The words of a verdict."""

import pytest

from isotone.evaluate.metrics import Interval
from isotone.evaluate.paired import Difference
from isotone.evaluate.verdict import verdict


def _found(low: float, high: float) -> Difference:
    one = Interval(1.0, 1.0, 1.0)
    return Difference(one, one, Interval((low + high) / 2, low, high), (0.0,), 0.01)


@pytest.mark.parametrize(
    ("low", "high", "p", "kind", "text"),
    [
        (-0.11, -0.06, 0.001, "better", "A beats B by 6-11 % (5 seeds)."),
        (0.02, 0.054, 0.01, "worse", "A is worse than B by 2-5 % (5 seeds)."),
        (-0.021, -0.003, 0.01, "better", "A beats B by 0.3-2.1 % (5 seeds)."),
        (-0.5, -0.5, 0.0, "better", "A beats B by 50.0 % (5 seeds)."),
        (
            -0.03,
            0.12,
            0.3,
            "open",
            "A and B: no difference that these data can show (3.0 % better to 12 % worse, 5 seeds).",
        ),
        (
            -0.09,
            -0.01,
            0.06,
            "open",
            "A beats B by 1-9 % (5 seeds) if it is looked at alone; among 4 comparisons these data cannot show it "
            "(Holm).",
        ),
        (
            float("nan"),
            float("nan"),
            float("nan"),
            "open",
            "A and B: too few held-out rows or groups to say anything (5 seeds).",
        ),
    ],
)
def test_every_outcome_has_its_sentence(low: float, high: float, p: float, kind: str, text: str) -> None:
    found = verdict("A", "B", _found(low, high), seeds=5, p=p, many=4)
    assert (found.kind, found.text) == (kind, text)


def test_one_seed_is_said() -> None:
    assert verdict("A", "B", _found(-0.2, -0.1), seeds=1, p=0.0, many=1).text == "A beats B by 10-20 % (1 seed)."
