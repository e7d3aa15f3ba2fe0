"""EDF and BDF files that the test writes: samples come back to the bit, names in every form, faults by name."""

import builtins
from pathlib import Path

import numpy as np
import pytest
from data.edf_files import write_edf

from isotone.data.channels import Header, find_channels, read_channels, read_header
from isotone.errors import ConfigError, DataError

mne = pytest.importorskip("mne")
_ = mne.io.read_raw_edf, mne.io.read_raw_bdf, mne.filter.resample  # loaded now, not in the first test's second

RNG = np.random.default_rng(0)
FP1, T3 = (RNG.integers(-3000, 3000, 500).astype(float) for _ in range(2))


def tuh(folder: Path, suffix: str = ".edf") -> Path:
    return write_edf(folder / f"a{suffix}", {"EEG FP1-REF": FP1, "EEG T3-REF": T3})


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_header(path)
    return str(caught.value)


@pytest.mark.parametrize("suffix", [".edf", ".bdf"])
def test_samples_come_back_in_microvolts_and_in_the_order_asked(tmp_path: Path, suffix: str) -> None:
    path = tuh(tmp_path, suffix)
    header = read_header(path)
    assert header == Header(("EEG FP1-REF", "EEG T3-REF"), (100.0, 100.0), ("uV", "uV"), 5.0)
    names = find_channels(header, ["t3", "Fp1"])
    assert names == ("EEG T3-REF", "EEG FP1-REF")
    got = read_channels(path, header, names, 150, 420)
    np.testing.assert_allclose(got, [T3[150:420], FP1[150:420]], atol=1e-9)


def test_bdf_has_24_bits(tmp_path: Path) -> None:
    path = write_edf(tmp_path / "a.bdf", {"A": np.linspace(-8_000_000, 8_000_000, 100)})
    got = read_channels(path, read_header(path), ["A"], 0, 100)
    np.testing.assert_allclose(got[0], np.round(np.linspace(-8_000_000, 8_000_000, 100)), rtol=1e-12)


def test_volts_of_any_size_become_microvolts_and_the_rest_stays(tmp_path: Path) -> None:
    x = np.arange(100.0)
    path = write_edf(tmp_path / "a.edf", {"A": x, "B": x, "C": x}, units={"A": "mV", "B": "bpm"})
    got = read_channels(path, read_header(path), ["A", "B", "C"], 0, 100)
    np.testing.assert_allclose(got, [1000 * x, x, x], atol=1e-9)


def test_a_slower_channel_is_brought_to_the_rate_of_the_faster(tmp_path: Path) -> None:
    slow = 100 * np.sin(np.arange(500) / 50 * 2 * np.pi)  # 1 Hz at 50 Hz
    path = write_edf(tmp_path / "a.edf", {"A": np.zeros(1000), "B": slow}, rates={"B": 50})
    header = read_header(path)
    assert (header.rates, header.rate(["B"]), header.rate(["B", "A"])) == ((100.0, 50.0), 50.0, 100.0)
    got = read_channels(path, header, ["A", "B"], 0, 1000)
    assert got.shape == (2, 1000)
    np.testing.assert_allclose(got[1], 100 * np.sin(np.arange(1000) / 100 * 2 * np.pi), atol=1.0)  # rounded to 1
    assert read_channels(path, header, ["B"], 0, 500).shape == (1, 500)


def test_triggers_and_annotations_are_no_channels(tmp_path: Path) -> None:
    x = np.zeros(100)
    path = write_edf(tmp_path / "a.bdf", {"A": x, "Status": x, "BDF Annotations": x})
    assert read_header(path).names == ("A",)
    path = write_edf(tmp_path / "b.bdf", {"Status": x})
    assert refusal(path) == "table: has no channel of signals. Remove the row."


def test_a_recording_that_was_not_stopped_counts_its_records(tmp_path: Path) -> None:
    path = write_edf(tmp_path / "a.edf", {"A": np.arange(300)}, records=-1)
    header = read_header(path)
    assert header.seconds == 3.0
    assert read_channels(path, header, ["A"], 250, 300)[0].tolist() == pytest.approx(range(250, 300))


def test_a_file_cut_off_is_refused(tmp_path: Path) -> None:
    path = write_edf(tmp_path / "a.edf", {"A": np.zeros(500)})
    path.write_bytes(path.read_bytes()[:-300])
    text = "table: is cut off: it holds 3 of 5 records. Copy the file again or remove the row."
    assert refusal(path) == text


def test_a_recording_with_gaps_is_refused(tmp_path: Path) -> None:
    path = write_edf(tmp_path / "a.edf", {"A": np.zeros(500)}, reserved="EDF+D")
    assert refusal(path) == (
        "table: is a recording with gaps (EDF+D), which windows would span. Write it as a continuous one, or remove "
        "the row."
    )


@pytest.mark.parametrize("content", [b"", b"hello", b"0" * 300, bytes(512), b"\xff" * 2000])
def test_what_is_no_recording_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.edf"
    path.write_bytes(content)
    assert refusal(path) == "table: has no EDF or BDF header. Copy the file again or remove the row."


def test_a_missing_file_and_another_kind_are_refused(tmp_path: Path) -> None:
    text = "table: does not exist. Check the name, which starts from the table's folder, or remove the row."
    assert refusal(tmp_path / "a.edf") == text
    assert refusal(tmp_path / "a.fif") == "table: is no recording: .fif suffix. Name .edf or .bdf files."


@pytest.mark.parametrize(
    ("names", "wanted", "text"),
    [
        (
            ("EEG FP1-REF", "EEG T3-REF"),
            ["Fp1", "A1", "A2"],
            "table: lacks channels A1, A2; its channels are EEG FP1-REF, EEG T3-REF. Leave it out of --pick, or remove "
            "the row.",
        ),
        (
            ("EEG FP1-REF", "EEG T3-REF"),
            ["T33"],
            "table: lacks channel T33; its channels are EEG FP1-REF, EEG T3-REF. Leave it out of --pick, or remove the "
            "row.",
        ),
        (
            ("EEG FP1-REF", "EEG FP1-LE"),
            ["Fp1"],
            "table: has 2 channels of one name: EEG FP1-REF, EEG FP1-LE. Give --pick the whole name of one.",
        ),
    ],
)
def test_channels_that_do_not_fit_are_named(names: tuple[str, ...], wanted: list[str], text: str) -> None:
    header = Header(names, (1.0,) * len(names), ("uV",) * len(names), 1.0)
    with pytest.raises(DataError) as caught:
        find_channels(header, wanted)
    assert str(caught.value) == text


def test_a_whole_name_comes_before_its_short_form() -> None:
    header = Header(("Fp1.", "FP1", "EEG FP1-LE"), (1.0,) * 3, ("uV",) * 3, 1.0)
    assert find_channels(header, ["FP1", "EEG FP1-LE"]) == ("FP1", "EEG FP1-LE")


def test_without_mne_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, real = tuh(tmp_path), builtins.__import__

    def refuse(name: str, *rest: object, **more: object) -> object:
        if name == "mne":
            raise ImportError(name)
        return real(name, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ConfigError) as caught:
        read_channels(path, read_header(path), ["EEG T3-REF"], 0, 100)
    assert str(caught.value) == (
        "EDF and BDF recordings are read by mne, which is not installed. Install the extra: pip install 'isotone[eeg]'."
    )
