"""EDF and BDF recordings as windows: a table with one row a file becomes a table with one row a window.

Each window carries its row's labels, the recording as its sequence and its start as its time. In this order: channels
are picked, the crop is cut out, the average reference is taken off, artefacts are clipped, the rate is changed, windows
are cut. The result is kept in the cache, as decoded images are.

Source: the steps of braindecode's example for the TUH Abnormal EEG corpus; Kemp et al. 1992 (EDF), BioSemi (BDF).
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import Float

from isotone.data.cache import cache_folder, cache_key, new_file, stored_array
from isotone.data.channels import Header, faulty, find_channels, read_channels, read_header
from isotone.data.files import fail, shown
from isotone.data.images import Progress
from isotone.data.settings import DataSettings
from isotone.data.table import Table, label, locate
from isotone.errors import ConfigError, DataError, Problem

TIME = "window_start_s"
FINEST_RATIO = 10_000  # of two rates: 256 Hz become 100 by 25 / 64


@dataclass(frozen=True, eq=False)
class _Recording:
    """A file that can be cut into windows.

    Args:
        path: of the file.
        header: of the file.
        names: the channels to read, as the file calls them, in order.
        rate: of the file, in Hz.
        first: sample where the crop begins, in the file.
        stop: sample where it ends.
        windows: how many it holds.
    """

    path: Path
    header: Header
    names: tuple[str, ...]
    rate: float
    first: int
    stop: int
    windows: int


def written_down(table: Table, settings: DataSettings) -> DataSettings:
    """Return the settings with the column, the channels and the rate of the first sound recording written down.

    New tables must not decide anew. Tables without recordings leave the settings as they are, but for the signal.

    Args:
        table: as `read_table` returns it.
        settings: of the run.
    """
    settings = replace(settings, signal=table.signal)
    if table.signal is None or table.signal in table.inputs or (settings.pick and settings.resample_hz):
        return settings
    for cell in table.column(table.signal):
        try:
            header = read_header(_located(cell, table, settings))
        except DataError:
            continue
        return replace(
            settings, pick=settings.pick or header.names, resample_hz=settings.resample_hz or header.rate(header.names)
        )
    return settings


def windowed(table: Table, settings: DataSettings, progress: Progress | None = None) -> Table:
    """Return the table of the windows of its recordings; a table without recordings as it is.

    A recording that cannot be used has no rows and one problem, with its line and file.

    Args:
        table: as `read_table` returns it.
        settings: channels, rate, windows, crop, clipping and reference.
        progress: called with (windows read, windows).

    Raises:
        DataError: a sequence or a time is named, which windows have of themselves; or a file's samples are damaged.
        ConfigError: the extra `eeg` is not installed, or the cache folder cannot be written.
    """
    name = table.signal
    if name is None or name in table.inputs:
        return table
    if table.time is not None or table.sequence not in (None, name):
        what = "holds recordings, whose windows have a sequence (the recording) and a time (their start in seconds)"
        fail(table.path, "window-time", what, "Leave --sequence and --time out")
    settings = written_down(table, settings)
    found, problems = _look_at_all(table, settings)
    counts = [0 if one is None else one.windows for one in found]
    rows = np.repeat(np.arange(len(found)), counts)
    starts = [i * _step(settings) / settings.resample_hz for count in counts for i in range(count)]
    frame = table.frame.iloc[rows].reset_index(drop=True)
    time = TIME
    while time in frame.columns:
        time += "_"
    frame[time] = np.array(starts, dtype=np.float64) + (settings.crop_s[0] if settings.crop_s else 0.0)
    return replace(
        table,
        frame=frame,
        lines=table.lines[rows],
        inputs={**table.inputs, name: _windows([one for one in found if one is not None], settings, progress)},
        group=table.group or (None if table.fresh else name),
        sequence=None if table.fresh else name,
        time=None if table.fresh else time,
        problems=(*table.problems, *problems),
        names=tuple(f"{label(cell, 0)} at {start:g} s" for cell, start in zip(frame[name], frame[time], strict=True)),
    )


def cut(signal: Float[np.ndarray, "c t"], rate: float, settings: DataSettings) -> Float[np.ndarray, "n c w"]:
    """Return the windows of one recording: reference, clipping, rate, windows.

    Args:
        signal: (c, t) the picked channels of the crop, in microvolts.
        rate: of the signal, in Hz.
        settings: `resample_hz` is above 0.

    Example:
        >>> settings = DataSettings(resample_hz=2, window_s=1, step_s=0.5, average_reference=True, clip_uv=1.5)
        >>> cut(np.array([[0.0, 2, 4], [0.0, 0, 0]]), 2.0, settings)[1].tolist()
        [[1.0, 1.5], [-1.0, -1.5]]
    """
    if settings.average_reference:
        signal = signal - signal.mean(axis=0)
    if settings.clip_uv:
        signal = np.clip(signal, -settings.clip_uv, settings.clip_uv)
    ratio = _ratio(rate, settings)
    if ratio != 1:
        from scipy.signal import resample_poly

        signal = resample_poly(signal, ratio.numerator, ratio.denominator, axis=1, padtype="line")
    width, step = _width(settings), _step(settings)
    view = np.lib.stride_tricks.sliding_window_view(signal, width, axis=1)[:, ::step]
    return np.ascontiguousarray(view.transpose(1, 0, 2), dtype=np.float32)


# ----------------------------------------------------------------------------------------------------------------------


def _look_at_all(table: Table, settings: DataSettings) -> tuple[list[_Recording | None], list[Problem]]:
    assert table.signal is not None, "asked of recordings only"
    found: list[_Recording | None] = []
    problems: list[Problem] = []
    first: dict[Path, int] = {}
    for cell, line in zip(table.column(table.signal), table.lines.tolist(), strict=True):
        try:
            path = _located(cell, table, settings)
            if path in first:
                raise faulty(
                    "same-file", f"is named again: line {first[path]} is of the same file", "Remove one of them"
                )
            first[path] = line
            found.append(_look(path, settings))
        except DataError as error:
            found.append(None)
            file = shown(label(cell, line))
            problems.append(replace(error.problems[0], row=line, column=table.signal, file=file))
    return found, problems


def _located(cell: object, table: Table, settings: DataSettings) -> Path:
    path = locate(cell, table.root, allow_outside=settings.allow_outside, noun="recording")
    if isinstance(path, bytes):
        raise faulty("bad-recording", "holds bytes, where a file is to be named", "Write the recording to a file")
    return path


def _look(path: Path, settings: DataSettings) -> _Recording:
    header = read_header(path)
    names = find_channels(header, settings.pick)
    rate = header.rate(names)
    begin, end = settings.crop_s or (0.0, header.seconds)
    first, stop = round(begin * rate), min(round(end * rate), round(header.seconds * rate))
    ratio = _ratio(rate, settings)
    samples = -(-max(stop - first, 0) * ratio.numerator // ratio.denominator)  # as resample_poly rounds
    if samples < _width(settings):
        seconds = max(stop - first, 0) / rate
        what = f"has {seconds:g} s{' in the crop' if settings.crop_s else ''}, less than a window of "
        raise faulty("short-recording", f"{what}{settings.window_s:g} s", "Remove the row, or shorten --window-s")
    return _Recording(path, header, names, rate, first, stop, 1 + (samples - _width(settings)) // _step(settings))


def _windows(found: Sequence[_Recording], settings: DataSettings, progress: Progress | None) -> np.ndarray:
    """Return the windows of all recordings (n, c, t), from the cache where they are there: read-only, not in memory."""
    total = sum(one.windows for one in found)
    shape = (total, len(settings.pick), _width(settings))
    if not total:
        return np.empty(shape, dtype=np.float32)
    how = [settings.resample_hz, settings.window_s, settings.step_s, settings.crop_s, settings.clip_uv]
    key = cache_key(
        [one.path for one in found], "windows", json.dumps([settings.pick, how, settings.average_reference])
    )
    path = cache_folder(settings) / f"{key}.npy"
    stored = stored_array(path, shape, np.float32)
    if stored is None:
        with new_file(path, 4 * int(np.prod(shape))) as file:
            np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
            for done, windows in _each(found, settings):
                file.write(windows.astype("<f4").tobytes())
                if progress is not None:
                    progress(done, total)
        stored = stored_array(path, shape, np.float32)
    if stored is None:
        raise ConfigError(f"The cache file {path} cannot be read back. Name another folder with --cache-dir.")
    return stored


def _each(found: Sequence[_Recording], settings: DataSettings) -> Iterator[tuple[int, np.ndarray]]:
    done = 0
    for one in found:
        windows = cut(read_channels(one.path, one.header, one.names, one.first, one.stop), one.rate, settings)
        assert len(windows) == one.windows, f"{one.path} changed while it was read"
        done += len(windows)
        yield done, windows


def _ratio(rate: float, settings: DataSettings) -> Fraction:
    return Fraction(settings.resample_hz / rate).limit_denominator(FINEST_RATIO)


def _width(settings: DataSettings) -> int:
    return max(1, round(settings.window_s * settings.resample_hz))


def _step(settings: DataSettings) -> int:
    return max(1, round((settings.step_s or settings.window_s) * settings.resample_hz))
