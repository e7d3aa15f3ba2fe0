"""The grid is the same size for every arm, the choice is by validation alone, and all of it is told."""

import math

import pytest

from isotone.errors import ConfigError
from isotone.settings import resolve
from isotone.studies.tuning import Try, Tuned, grid, validation_error


def _names(method: str = "baseline", **more: object) -> list[str]:
    settings = resolve(method, more.pop("settings", {}))  # type: ignore[arg-type]
    asked = {"tune": "lr", "lrs": (), "weight_decays": (), **more}
    return [one.name for one in grid(settings, **asked)]  # type: ignore[arg-type]


def test_each_method_tries_its_own_rate_a_third_and_three_times_it() -> None:
    assert _names("baseline") == ["lr0.067", "lr0.2", "lr0.6"]
    assert _names("rnc") == ["lr0.17", "lr0.5", "lr1.5"]
    assert _names("rnc", settings={"optimizer": "adamw"}) == ["lr0.00033", "lr0.001", "lr0.003"]
    assert _names("rnc", settings={"lr": 0.1}) == ["lr0.033", "lr0.1", "lr0.3"]


def test_a_grid_of_the_user_s() -> None:
    found = _names(lrs=(0.1, 0.3), weight_decays=(0.0, 1e-3))
    assert found == ["lr0.1-wd0", "lr0.1-wd0.001", "lr0.3-wd0", "lr0.3-wd0.001"]
    assert _names(tune="none") == [""]


def test_the_least_validation_error_is_taken_and_told() -> None:
    tries = (Try(0.1), Try(0.2), Try(0.6))
    found = Tuned("L1", tries, (0.5, 0.4, math.inf))
    assert found.chosen == Try(0.2)
    assert found.told == "L1: lr 0.1: 0.5; lr 0.2: 0.4 (taken); lr 0.6: diverged."
    edge = Tuned("L1", tries, (0.3, 0.4, 0.5)).told
    assert edge.endswith("The choice is at the edge of the learning rates tried; a wider grid may do better.")
    assert Tuned("RnC", (Try(),), (0.0,)).told == "RnC: defaults, nothing tuned."


def test_when_every_try_diverged() -> None:
    with pytest.raises(ConfigError) as caught:
        _ = Tuned("L1", (Try(5.0), Try(9.0)), (math.inf, math.inf)).chosen
    assert str(caught.value) == "L1 diverged with every setting tried (lr 5; lr 9). Try lower --lrs."


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"tune": "yes"}, "`tune` has no 'yes'; there are lr, none."),
        ({"tune": "none", "lrs": (0.1,)}, "--tune none tries nothing, but a grid is given. Leave out one of the two."),
        ({"lrs": (0.0,)}, "`lrs` must be a finite number above 0, got 0.0."),
        ({"weight_decays": (2.0,)}, "`weight_decays` must be between 0 and 1, got 2."),
    ],
)
def test_mistakes(more: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        _names(**more)
    assert str(caught.value) == message


def test_the_error_of_several_targets_is_in_standard_deviations() -> None:
    rows = [
        {"split": "val", "role": "model", "target": "a", "mae": {"value": 3.0}},
        {"split": "val", "role": "model", "target": "b", "mae": {"value": 10.0}},
        {"split": "test", "role": "model", "target": "a", "mae": {"value": 99.0}},
        {"split": "val", "role": "refit", "target": "a", "mae": {"value": 99.0}},
    ]
    assert validation_error({"rows": rows}, {"a": 2.0, "b": 5.0}) == 1.75  # (1.5 + 2) / 2
    classes = [{"split": "val", "role": "model", "target": "c", "accuracy": {"value": 0.75}}]
    assert validation_error({"rows": classes}, {}) == 0.25


def test_the_rates_of_mse_reach_upwards_from_its_safe_default() -> None:
    def rates(flat: dict[str, object]) -> list[float | None]:
        return [one.lr for one in grid(resolve("baseline", flat), tune="lr", lrs=(), weight_decays=())]

    assert rates({"head": "mse"}) == [0.02, 0.06, 0.2]
    assert rates({"head": "mse", "lr": 0.3}) == [0.1, 0.3, 0.9]
    assert rates({"head": "l1"}) == [0.067, 0.2, 0.6]
