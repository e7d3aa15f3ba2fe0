"""The one source of every setting of the data room: default, flag, help text and range.

Imports nothing heavy: the command line reads the flags from here before anything else is loaded.
"""

import math
from dataclasses import dataclass, fields
from typing import Literal

from isotone.errors import ConfigError, nearest

DATASETS = ("agedb", "imdb-wiki", "mpii-face-gaze", "skyfinder", "tuab")  # published ones that can be read
SPLITS = ("drawn", "published", "dir")  # of a published data set
_LARGEST_IMAGE = 178_956_970  # pixels; Pillow itself refuses more, so a higher cap would promise what cannot be kept


@dataclass(frozen=True)
class DataSettings:
    """How a table or arrays become a data set.

    Args:
        target: Column or columns of numbers to predict.
        geometry: What targets are places on: line; circle:360, where 359 and 1 are neighbours (360 is the length in the
            target's unit, such as circle:24 for hours); or gaze: pitch and yaw in radians, or three numbers.
        category: Column of classes to tell apart, any text or whole numbers; in place of a target.
        label_noise: Share of the training and validation rows whose class is replaced by a wrong one: for studies.
        unlabelled: Keep rows whose label is empty; they are trained on where the method needs no label, never judged.
        image_column: Column of image files or image bytes; found by itself where only one can be it.
        features: Numeric columns used as input rows where there are no images.
        signal: Array of an .npz file that holds the signals, (n, c, t) or (n, t), or column of EDF / BDF files; found
            by itself where only one can.
        pick: Channels of EDF / BDF files, by name, in order; FP1 also means EEG FP1-REF. Without it all of the first.
        resample_hz: Rate that EDF / BDF files are brought to; 0 means that of the first file.
        window_s: Length of the windows that EDF / BDF files are cut into, in seconds.
        step_s: From the start of one window to that of the next, in seconds; 0 means window_s.
        crop_s: Part of each EDF / BDF file that is used, such as 60,360, in seconds; empty means all.
        clip_uv: Samples of EDF / BDF files beyond this many microvolts, artefacts, are cut to it; 0 means none.
        average_reference: Subtract the mean of the picked channels from each of them.
        second: A second input of each row, for methods that pair two: an image column, or an array of an .npz file.
        group: Column that says whose row it is (person, camera); a group is never on two sides of the split.
        sequence: Column that says which recording, video or track a row is of; may be the group too.
        time: Column of numbers, when in its sequence a row is; without it rows count 0, 1, 2 in their order.
        lag: Rows of one sequence at most this far apart in time are neighbours, in the unit of time.
        split_column: Column with the words train, val and test; without it the split is drawn.
        val_fraction: Share of the rows for validation where the split is drawn.
        test_fraction: Share of the rows for the test where the split is drawn.
        image_size: Side of the square that the encoder sees, in pixels.
        stored_size: Side of the square that is kept in the cache, in pixels; 0 means image_size.
        resize: How an image becomes square: pad with black (keeps shapes), crop the centre, or squash.
        channels: 1 (grey), 3 (colour), or auto (1 if every image is grey).
        on_bad: What a faulty row does: error stops before training, skip leaves it out and lists it.
        allow_outside: Read images outside the table's folder too.
        max_pixels: Images with more pixels are refused before they are decoded.
        cache_dir: Folder for decoded images; empty means $XDG_CACHE_HOME/isotone or ~/.cache/isotone.
        dataset: A published data set, read from its folder in place of a table; `isotone datasets` lists them.
        split: For a dataset: drawn (by its groups), published, or dir (validation and test balanced over the target).
        hold_out: For a dataset: the group that is the test, such as a person or a camera.

    Raises:
        ConfigError: a value out of its range, or settings that exclude each other.

    Example:
        >>> DataSettings(target=("age",), group="person").side
        64
    """

    target: tuple[str, ...] = ()
    geometry: str = "line"
    category: str | None = None
    label_noise: float = 0.0
    unlabelled: bool = False
    image_column: str | None = None
    features: tuple[str, ...] = ()
    signal: str | None = None
    pick: tuple[str, ...] = ()
    resample_hz: float = 0.0
    window_s: float = 10.0
    step_s: float = 0.0
    crop_s: tuple[float, ...] = ()
    clip_uv: float = 0.0
    average_reference: bool = False
    second: str | None = None
    group: str | None = None
    sequence: str | None = None
    time: str | None = None
    lag: float = 1.0
    split_column: str | None = None
    val_fraction: float = 0.15
    test_fraction: float = 0.15
    image_size: int = 64
    stored_size: int = 0
    resize: Literal["pad", "crop", "squash"] = "pad"
    channels: Literal["auto", "1", "3"] = "auto"
    on_bad: Literal["error", "skip"] = "error"
    allow_outside: bool = False
    max_pixels: int = 50_000_000
    cache_dir: str = ""
    dataset: str | None = None
    split: Literal["drawn", "published", "dir"] = "drawn"
    hold_out: str | None = None

    def __post_init__(self) -> None:
        _check_choice(self, "resize", ("pad", "crop", "squash"))
        _check_choice(self, "channels", ("auto", "1", "3"))
        _check_choice(self, "on_bad", ("error", "skip"))
        _check_choice(self, "split", SPLITS)
        _check_choice(self, "dataset", (*DATASETS, None))
        _check_range(self, "image_size", 4, 4096)
        _check_range(self, "label_noise", 0, 0.99)
        _check_range(self, "max_pixels", 1, _LARGEST_IMAGE)
        _check_stored_size(self)
        _check_fractions(self)
        _check_time(self)
        _check_windows(self)
        _check_geometry(self)
        _check_exclusive(self)
        _check_columns(self)
        _check_dataset(self)

    @property
    def side(self) -> int:
        """Side of the stored square in pixels."""
        return self.stored_size or self.image_size


# ----------------------------------------------------------------------------------------------------------------------


def _check_choice(settings: DataSettings, name: str, options: tuple[str | None, ...]) -> None:
    value = getattr(settings, name)
    if value not in options:
        known = [option for option in options if option]
        raise ConfigError(f"{name} must be one of {', '.join(known)}, but is {value!r}.{nearest(str(value), known)}")


def _check_range(settings: DataSettings, name: str, low: float | int, high: float | int) -> None:
    value = getattr(settings, name)
    if not low <= value <= high:
        raise ConfigError(f"{name} must be from {low} to {high}, but is {value}.")


def _check_stored_size(settings: DataSettings) -> None:
    if settings.stored_size and not settings.image_size <= settings.stored_size <= 4096:
        raise ConfigError(
            f"stored_size must be 0 or from image_size ({settings.image_size}) to 4096, but is {settings.stored_size}."
        )


def _check_fractions(settings: DataSettings) -> None:
    val, test = settings.val_fraction, settings.test_fraction
    if not (val > 0 and test > 0 and val + test < 1):
        raise ConfigError(
            f"val_fraction and test_fraction must be above 0 and leave rows to train on, but are {val} and {test}. "
            f"Their sum must be below 1."
        )


def _check_time(settings: DataSettings) -> None:
    if not 0 < settings.lag < math.inf:
        raise ConfigError(f"lag must be a finite number above 0, but is {settings.lag}.")
    if settings.time is not None and settings.sequence is None:
        raise ConfigError(
            f"time ({settings.time!r}) needs sequence, the column of the recordings or tracks that it counts in. "
            "Name that column too."
        )


def _check_windows(settings: DataSettings) -> None:
    for name, low in (("resample_hz", 0.0), ("window_s", 1e-3), ("step_s", 0.0), ("clip_uv", 0.0)):
        _check_range(settings, name, low, 1e6)
    crop = settings.crop_s
    if crop and not (len(crop) == 2 and 0 <= crop[0] < crop[1]):
        raise ConfigError(f"crop_s must be a start and an end in seconds, such as 60,360, but is {crop}.")


def _check_geometry(settings: DataSettings) -> None:
    name, _, period = settings.geometry.partition(":")
    try:
        length = float(period) if name == "circle" else 1.0
    except ValueError:
        length = 0.0
    if name not in ("line", "circle", "gaze") or (name != "circle" and period) or not 0 < length < math.inf:
        raise ConfigError(
            f"geometry must be line, gaze or circle:PERIOD with a number above 0, such as circle:360, but is "
            f"{settings.geometry!r}."
        )


def _check_exclusive(settings: DataSettings) -> None:
    if settings.target and settings.category is not None:
        raise ConfigError(
            "target and category exclude each other: what is predicted is numbers or a class. Leave out one."
        )
    if settings.category is not None and settings.geometry != "line":
        raise ConfigError(
            f"geometry ({settings.geometry!r}) is of a target, and category names classes. Leave out one."
        )
    inputs = "the input is images, rows or signals"
    for one, other in (("image_column", "features"), ("signal", "image_column"), ("signal", "features")):
        if getattr(settings, one) and getattr(settings, other):
            raise ConfigError(f"{one} and {other} exclude each other: {inputs}. Leave out one.")


def _check_dataset(settings: DataSettings) -> None:
    asked = f"split {settings.split!r}" if settings.split != "drawn" else f"hold_out {settings.hold_out!r}"
    if settings.dataset is None and (settings.split != "drawn" or settings.hold_out is not None):
        raise ConfigError(f"{asked} needs a dataset. The split of a table is its column: name split_column.")
    if settings.split != "drawn" and settings.hold_out is not None:
        raise ConfigError(f"split {settings.split!r} and hold_out exclude each other: both say what the test is.")


def _check_columns(settings: DataSettings) -> None:
    for name in ("target", "features"):
        if isinstance(getattr(settings, name), str):
            raise ConfigError(f"{name} must be a tuple of column names, but is {getattr(settings, name)!r}.")
    used: dict[str, str] = {}
    for setting in (f.name for f in fields(settings) if f.name in _COLUMN_SETTINGS):
        value = getattr(settings, setting)
        for column in (value,) if isinstance(value, str) else value or ():
            if column in used and (used[column], setting) != ("group", "sequence"):  # a recording may be the group too
                raise ConfigError(
                    f"column {column!r} is named by {used[column]} and again by {setting}. Leave out one."
                )
            used[column] = setting


_COLUMN_SETTINGS = (
    *("target", "category", "image_column", "features", "signal", "second"),
    *("group", "sequence", "time", "split_column"),
)
