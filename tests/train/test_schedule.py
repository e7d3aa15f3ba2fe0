"""The learning rate by hand."""

import pytest

from isotone.settings import resolve
from isotone.train.schedule import learning_rate, nominal_lr
from isotone.train.settings import TrainSettings


def _rate(step: int, **settings: object) -> float:
    return learning_rate(TrainSettings(**settings), base=0.5, step=step, steps=100, steps_per_epoch=10)  # type: ignore[arg-type]


def test_published_epochs_count_from_one() -> None:
    published = {"warmup": 0.0, "lr_floor": 1e-3, "lr_update": "epoch"}
    # floor + (lr - floor) (1 + cos(pi e / E)) / 2 with e = 1, E = 10: 0.0005 + 0.4995 * 0.975528
    assert _rate(0, **published) == _rate(9, **published) == pytest.approx(0.487776, abs=1e-6)
    assert _rate(99, **published) == pytest.approx(0.0005)


def test_warm_up_is_linear() -> None:
    assert _rate(0, warmup=0.1) == pytest.approx(0.05)
    assert _rate(4, warmup=0.1) < _rate(5, warmup=0.1) < _rate(9, warmup=0.1)
    assert _rate(0, warmup=0.0) == pytest.approx(0.5)


def test_it_only_falls_after_the_warm_up() -> None:
    rates = [_rate(step) for step in range(5, 100)]
    assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize(
    ("method", "flat", "wanted"),
    [
        ("rnc", {}, 0.5),
        ("rnc", {"optimizer": "adamw"}, 0.001),
        ("rnc", {"lr": 0.4}, 0.4),
        ("rnc", {"head": "mse"}, 0.5),  # its head is fitted afterwards
        ("baseline", {}, 0.2),
        ("baseline", {"head": "mse"}, 0.02),
        ("fds", {"head": "mse"}, 0.02),
        ("joint", {"head": "huber"}, 0.2),
    ],
)
def test_the_rate_where_the_user_names_none(method: str, flat: dict[str, object], wanted: float) -> None:
    settings = resolve(method, flat)
    assert nominal_lr(settings.method, settings.train) == wanted
