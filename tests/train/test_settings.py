"""Ranges of the training settings."""

import pytest

from isotone.errors import ConfigError
from isotone.train.settings import TrainSettings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"passes": 0}, "`passes` must be between 1 and 1,000,000, got 0."),
        ({"lr": -1.0}, "`lr` must be a finite number above 0, got -1.0."),
        ({"batch_size": 1}, "`batch_size` must be between 2 and 1,000,000, got 1."),
        ({"micro_batch": -1}, "`micro_batch` must be between 0 and 1,000,000, got -1."),
        (
            {"optimizer": "adamw", "lr": 0.5},
            "`lr` 0.5 is far too large for adamw and fits sgd. Try --lr 0.001.",
        ),
    ],
)
def test_values_out_of_range_are_named(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        TrainSettings(**settings)  # type: ignore[arg-type]
    assert str(caught.value) == message
