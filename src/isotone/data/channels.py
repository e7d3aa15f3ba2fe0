"""One EDF or BDF file: what its header says, its channels by name, its samples in microvolts.

The header is read here, so that every fault of a thousand files shows in seconds; the samples by `mne` (extra `eeg`).

Source: Kemp et al. 1992 and Kemp and Olivan 2003 (EDF, EDF+), BioSemi (BDF); Temple University's names of channels.
"""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from isotone.data.files import shown
from isotone.errors import ConfigError, DataError, Problem, nearest

SUFFIXES = (".edf", ".bdf")
_BYTES = {".edf": 2, ".bdf": 3}  # of a sample
_NO_SIGNAL = ("EDF ANNOTATIONS", "BDF ANNOTATIONS", "STATUS", "TRIGGER")
_VOLTS = ("V", "mV", "uV", "µV")  # what mne brings to volts
_KIND = re.compile(r"^(EEG|EOG|ECG|EKG|EMG)\s+")
_REFERENCE = re.compile(r"-(REF|LE|AR|AVG)$")


@dataclass(frozen=True)
class Header:
    """What a file says of itself.

    Args:
        names: of its channels, as it calls them; annotations and triggers are none.
        rates: of each channel, in Hz.
        units: of each channel.
        seconds: how long it is.
    """

    names: tuple[str, ...]
    rates: tuple[float, ...]
    units: tuple[str, ...]
    seconds: float

    def rate(self, names: Sequence[str]) -> float:
        """Return the rate of these channels, of several the highest: the others are brought to it as they are read."""
        return max(self.rates[self.names.index(name)] for name in names)


def read_header(path: Path) -> Header:
    """Read what a file says of itself; its samples are not read.

    Raises:
        DataError: the file is missing, no EDF or BDF, damaged, cut off, has gaps, or has no channel.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise faulty("not-a-recording", f"is no recording: {path.suffix or 'no'} suffix", "Name .edf or .bdf files")
    if not path.is_file():
        fix = "Check the name, which starts from the table's folder, or remove the row"
        raise faulty("missing-file", "does not exist", fix)
    try:
        with path.open("rb") as file:
            fixed = file.read(256).decode("latin-1")
            count = int(fixed[252:256])
            fields = file.read(256 * count).decode("latin-1")
            if not 0 < count < 10_000 or len(fields) < 256 * count:
                raise ValueError
        header = _parsed(fixed, fields, count, path)
    except ValueError as error:
        if isinstance(error, DataError):
            raise
        raise faulty("damaged", "has no EDF or BDF header", "Copy the file again or remove the row") from None
    except OSError as error:
        raise faulty("unreadable-file", f"cannot be opened ({error.strerror})", "Correct its rights") from None
    if not header.names:
        raise faulty("no-channel", "has no channel of signals", "Remove the row")
    return header


def find_channels(header: Header, wanted: Sequence[str]) -> tuple[str, ...]:
    """Return the file's own names of the channels that were asked for, in the order asked.

    `Fp1`, `FP1-REF` and `EEG FP1-LE` are one channel; a name that the file has as it was asked for comes first.

    Args:
        header: of the file.
        wanted: names.

    Raises:
        DataError: a channel is missing, or its name fits several.

    Example:
        >>> find_channels(Header(("EEG FP1-REF", "EEG T3-REF"), (250.0,) * 2, ("uV",) * 2, 1.0), ["T3", "Fp1"])
        ('EEG T3-REF', 'EEG FP1-REF')
    """
    found = [_matches(header.names, name) for name in wanted]
    if missing := [name for name, own in zip(wanted, found, strict=True) if not own]:
        close = nearest(missing[0], header.names) if len(missing) == 1 else ""
        has = f"its channels are {shown(', '.join(header.names), 200)}"
        what = f"lacks {'channel' if len(missing) == 1 else 'channels'} {', '.join(missing)}; {has}"
        raise faulty("missing-channel", what, f"Leave it out of --pick, or remove the row.{close}".rstrip("."))
    if several := [own for own in found if len(own) > 1]:
        what = f"has {len(several[0])} channels of one name: {', '.join(several[0])}"
        raise faulty("same-channel", what, "Give --pick the whole name of one")
    return tuple(own[0] for own in found)


def read_channels(path: Path, header: Header, names: Sequence[str], first: int, stop: int) -> Float[np.ndarray, "c t"]:
    """Return the samples of channels, in microvolts where the file gives volts of any size, else in its own unit.

    Args:
        path: of the file.
        header: of the file.
        names: as the file calls the channels; of several rates the lower are brought to the highest.
        first: sample to begin with, at that rate.
        stop: sample to end before.

    Raises:
        DataError: the file is damaged.
        ConfigError: the extra `eeg` is not installed.
    """
    try:
        import mne
    except ImportError:
        raise ConfigError(
            "EDF and BDF recordings are read by mne, which is not installed. Install the extra: "
            "pip install 'isotone[eeg]'."
        ) from None
    read = mne.io.read_raw_edf if path.suffix.lower() == ".edf" else mne.io.read_raw_bdf
    mixed = len({header.rates[header.names.index(name)] for name in names}) > 1
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a birthday or a filter that it cannot parse changes no sample
            raw = read(path, include=list(names), preload=mixed, verbose="error")
            volts = np.asarray(raw.get_data(start=first, stop=stop))
    except Exception as error:  # it may raise anything on foreign bytes
        text = shown(" ".join(str(error).split()))
        raise faulty("damaged", f"is damaged ({text})", "Copy the file again or remove the row") from None
    scale = [1e6 if header.units[header.names.index(name)] in _VOLTS else 1.0 for name in names]
    return volts[[raw.ch_names.index(name) for name in names]] * np.array(scale)[:, None]


def faulty(kind: str, what: str, fix: str) -> DataError:
    """Return the one problem of a recording, without its place."""
    return DataError([Problem(kind, what, fix)])


# ----------------------------------------------------------------------------------------------------------------------


def _parsed(fixed: str, fields: str, count: int, path: Path) -> Header:
    """Return the header; ValueError where a number is none."""
    records, record_s = int(fixed[236:244]), float(fixed[244:252].replace(",", "."))
    names, units = (_column(fields, count, *place) for place in ((0, 16), (96, 8)))
    samples = [int(text) for text in _column(fields, count, 216, 8)]
    record_bytes = _BYTES[path.suffix.lower()] * sum(samples)
    if record_s <= 0 or min(samples) < 0 or record_bytes == 0:
        raise ValueError
    if fixed[192:197].upper() in ("EDF+D", "BDF+D"):
        what = "is a recording with gaps (EDF+D), which windows would span"
        raise faulty("gaps", what, "Write it as a continuous one, or remove the row")
    whole = (path.stat().st_size - 256 * (1 + count)) // record_bytes
    if whole < max(records, 1):
        what = f"is cut off: it holds {whole} of {records if records > 0 else 'its'} records"
        raise faulty("truncated", what, "Copy the file again or remove the row")
    kept = [i for i, name in enumerate(names) if name.upper() not in _NO_SIGNAL]
    seconds = (records if records > 0 else whole) * record_s  # -1: the recording was not stopped
    rates = tuple(samples[i] / record_s for i in kept)
    return Header(tuple(names[i] for i in kept), rates, tuple(units[i] for i in kept), seconds)


def _column(fields: str, count: int, start: int, width: int) -> list[str]:
    """Return one field of every channel; each field stands for all channels, one after another."""
    at = count * start
    return [fields[at + i * width : at + (i + 1) * width].split("\0")[0].strip() for i in range(count)]


def _matches(names: Sequence[str], wanted: str) -> list[str]:
    same = [name for name in names if name == wanted]
    return same or [name for name in names if _short(name) == _short(wanted)]


def _short(name: str) -> str:
    return _REFERENCE.sub("", _KIND.sub("", name.strip().upper())).strip(". ")
