"""Every setting out of its range is refused with its value."""

import pytest

from isotone.data.settings import DataSettings
from isotone.errors import ConfigError


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"resize": "stretch"}, "resize must be one of pad, crop, squash, but is 'stretch'."),
        ({"channels": "2"}, "channels must be one of auto, 1, 3, but is '2'."),
        ({"on_bad": "ignore"}, "on_bad must be one of error, skip, but is 'ignore'."),
        ({"target": "age"}, "target must be a tuple of column names, but is 'age'."),
    ],
)
def test_faulty_types_are_refused(changed: dict[str, object], message: str, request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--jaxtyping-packages", default=None):
        pytest.skip("under the type-checking hook the hook refuses the type first")
    with pytest.raises(ConfigError) as caught:
        DataSettings(**changed)  # type: ignore[arg-type]
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"image_size": 0}, "image_size must be from 4 to 4096, but is 0."),
        ({"max_pixels": 10**9}, "max_pixels must be from 1 to 178956970, but is 1000000000."),
        ({"stored_size": 32}, "stored_size must be 0 or from image_size (64) to 4096, but is 32."),
        (
            {"val_fraction": 0.0},
            "val_fraction and test_fraction must be above 0 and leave rows to train on, but are 0.0 and 0.15. "
            "Their sum must be below 1.",
        ),
        (
            {"val_fraction": 0.5, "test_fraction": 0.5},
            "val_fraction and test_fraction must be above 0 and leave rows to train on, but are 0.5 and 0.5. "
            "Their sum must be below 1.",
        ),
        (
            {"image_column": "image", "features": ("a",)},
            "image_column and features exclude each other: the input is images, rows or signals. Leave out one.",
        ),
        (
            {"target": ("age",), "features": ("age",)},
            "column 'age' is named by target and again by features. Leave out one.",
        ),
        (
            {"target": ("age",), "category": "sex"},
            "target and category exclude each other: what is predicted is numbers or a class. Leave out one.",
        ),
        (
            {"signal": "x", "features": ("a",)},
            "signal and features exclude each other: the input is images, rows or signals. Leave out one.",
        ),
        (
            {"signal": "x", "image_column": "a"},
            "signal and image_column exclude each other: the input is images, rows or signals. Leave out one.",
        ),
        (
            {"time": "t"},
            "time ('t') needs sequence, the column of the recordings or tracks that it counts in. "
            "Name that column too.",
        ),
        (
            {"geometry": "sphere"},
            "geometry must be line, gaze or circle:PERIOD with a number above 0, such as circle:360, but is 'sphere'.",
        ),
        (
            {"geometry": "circle"},
            "geometry must be line, gaze or circle:PERIOD with a number above 0, such as circle:360, but is 'circle'.",
        ),
        (
            {"geometry": "circle:-24"},
            "geometry must be line, gaze or circle:PERIOD with a number above 0, such as circle:360, but is "
            "'circle:-24'.",
        ),
        (
            {"geometry": "gaze:2"},
            "geometry must be line, gaze or circle:PERIOD with a number above 0, such as circle:360, but is 'gaze:2'.",
        ),
        (
            {"geometry": "gaze", "category": "who"},
            "geometry ('gaze') is of a target, and category names classes. Leave out one.",
        ),
        ({"window_s": 0.0}, "window_s must be from 0.001 to 1000000.0, but is 0.0."),
        ({"step_s": -1.0}, "step_s must be from 0.0 to 1000000.0, but is -1.0."),
        ({"clip_uv": float("nan")}, "clip_uv must be from 0.0 to 1000000.0, but is nan."),
        (
            {"crop_s": (60.0,)},
            "crop_s must be a start and an end in seconds, such as 60,360, but is (60.0,).",
        ),
        (
            {"crop_s": (60.0, 30.0)},
            "crop_s must be a start and an end in seconds, such as 60,360, but is (60.0, 30.0).",
        ),
        ({"lag": 0.0}, "lag must be a finite number above 0, but is 0.0."),
        ({"lag": float("inf")}, "lag must be a finite number above 0, but is inf."),
        ({"lag": float("nan")}, "lag must be a finite number above 0, but is nan."),
        (
            {"category": "who", "sequence": "who"},
            "column 'who' is named by category and again by sequence. Leave out one.",
        ),
        (
            {"image_column": "x", "second": "x"},
            "column 'x' is named by image_column and again by second. Leave out one.",
        ),
        (
            {"sequence": "who", "time": "who"},
            "column 'who' is named by sequence and again by time. Leave out one.",
        ),
        ({"target": ("age", "age")}, "column 'age' is named by target and again by target. Leave out one."),
    ],
)
def test_faulty_settings_are_refused(changed: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        DataSettings(**changed)  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_a_recording_can_be_the_group_too() -> None:
    assert DataSettings(group="recording", sequence="recording").sequence == "recording"


def test_stored_size_defaults_to_image_size() -> None:
    assert DataSettings(image_size=32).side == 32
    assert DataSettings(image_size=32, stored_size=40).side == 40


def test_every_field_has_its_help() -> None:
    assert DataSettings.__doc__ is not None
    for name in DataSettings.__dataclass_fields__:
        assert f"\n        {name}: " in DataSettings.__doc__
