"""Tables of EDF and BDF files become tables of windows: what is cut, what each window carries, every fault at once."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from data.edf_files import write_edf

from isotone.data.audit import audit
from isotone.data.given import Beside, read
from isotone.data.load import load_inputs, load_table
from isotone.data.recordings import TIME, cut, windowed, written_down
from isotone.data.settings import DataSettings
from isotone.data.table import read_table
from isotone.errors import DataError

mne = pytest.importorskip("mne")
_ = mne.io.read_raw_edf, mne.io.read_raw_bdf, mne.filter.resample  # loaded now, not in the first test's second

FILES, SECONDS, RATE = 8, 10, 50


def samples(i: int, channel: int) -> np.ndarray:
    return np.random.default_rng([i, channel]).integers(-1000, 1000, SECONDS * RATE).astype(float)


def channels(i: int) -> dict[str, np.ndarray]:
    return {"EEG FP1-REF": samples(i, 0), "EEG FP2-REF": samples(i, 1), "EKG1": samples(i, 2)}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """labels.csv with eight recordings of ten seconds; line = number + 2; two of each person."""
    lines = ["file,age,person"]
    for i in range(FILES):
        write_edf(tmp_path / f"{i}.edf", channels(i), rate=RATE)
        lines.append(f"{i}.edf,{20 + 5 * i},p{i // 2}")
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "labels.csv"


@pytest.fixture
def run(tmp_path: Path) -> DataSettings:
    return DataSettings(target=("age",), window_s=2.0, cache_dir=str(tmp_path / "cache"))


def refusal(table: Path, run: DataSettings) -> str:
    with pytest.raises(DataError) as caught:
        load_table(table, run, 0)
    return str(caught.value)


def test_a_window_carries_the_labels_of_its_file(table: Path, run: DataSettings) -> None:
    data, found = load_table(table, run, 0)
    assert [problem.kind for problem in found.problems] == ["unnamed-group"]
    assert (data.kind, data.inputs.shape, data.inputs.dtype) == ("signal", (FILES * 5, 3, 100), "float32")
    assert data.target[:, 0].tolist() == np.repeat(20.0 + 5 * np.arange(FILES), 5).tolist()
    assert data.row.tolist() == np.repeat(np.arange(FILES) + 2, 5).tolist()
    assert data.sequence is not None
    assert data.sequence.tolist() == [f"{i}.edf" for i in range(FILES) for _ in range(5)]
    assert data.time is not None
    assert data.time.tolist() == [0.0, 2.0, 4.0, 6.0, 8.0] * FILES
    assert data.label[6] == "1.edf at 2 s"
    np.testing.assert_allclose(data.inputs[6, 1], samples(1, 1)[100:200], atol=1e-3)


def test_a_recording_is_never_on_two_sides(table: Path, run: DataSettings) -> None:
    data, _ = load_table(table, run, 0)
    assert data.group_name == "file"
    for name in set(data.group.tolist()):  # type: ignore[union-attr]
        assert len(set(data.split[data.group == name].tolist())) == 1
    data, _ = load_table(table, replace(run, group="person"), 0)
    for name in set(data.group.tolist()):  # type: ignore[union-attr]
        assert len(set(data.split[data.group == name].tolist())) == 1
    assert data.group_name == "person"


def test_a_group_that_nobody_named_is_warned_of(table: Path, run: DataSettings) -> None:
    found = audit(windowed(read_table(table, run), run), run)
    assert [str(problem) for problem in found.problems] == [
        "column 'person': looks like a group (4 values in 8 rows). If it says whose row it is, name it with --group: "
        "else copies of one may be on two sides of the split."
    ]


def test_channels_crop_and_step_are_chosen(table: Path, run: DataSettings) -> None:
    run = replace(run, pick=("Fp2", "fp1"), crop_s=(1.0, 6.0), step_s=1.0)
    data, _ = load_table(table, run, 0)
    assert data.inputs.shape == (FILES * 4, 2, 100)
    assert data.time is not None
    assert data.time[:4].tolist() == [1.0, 2.0, 3.0, 4.0]
    np.testing.assert_allclose(data.inputs[1], [samples(0, 1)[100:200], samples(0, 0)[100:200]], atol=1e-3)


def test_reference_comes_before_clipping() -> None:
    x = np.array([[900.0, 3, 5, 7], [-100.0, 1, 1, 1]])
    run = DataSettings(resample_hz=1, window_s=2, average_reference=True, clip_uv=400)
    assert cut(x, 1.0, run).tolist() == [[[400.0, 1.0], [-400.0, -1.0]], [[2.0, 3.0], [-2.0, -3.0]]]
    assert cut(x, 1.0, replace(run, average_reference=False)).tolist()[0] == [[400.0, 3.0], [-100.0, 1.0]]


@pytest.mark.parametrize(("rate", "wanted"), [(250, 100), (256, 100), (100, 128)])
def test_a_slow_wave_survives_another_rate_and_a_fast_one_does_not_fold_back(rate: int, wanted: int) -> None:
    t = np.arange(10 * rate) / rate
    run = DataSettings(resample_hz=wanted, window_s=10.0)
    got = cut(np.stack([np.sin(2 * np.pi * 3 * t), np.sin(2 * np.pi * 0.49 * rate * t)]), float(rate), run)
    assert got.shape == (1, 2, 10 * wanted)
    inner = slice(wanted, -wanted)  # the ends of a filter are its own
    slow = np.sin(2 * np.pi * 3 * np.arange(10 * wanted) / wanted)
    np.testing.assert_allclose(got[0, 0, inner], slow[inner], atol=0.02)
    if wanted < rate:
        assert np.abs(got[0, 1, inner]).max() < 0.02  # 120 Hz would show at 20


def test_files_of_other_rates_come_to_that_of_the_first(table: Path, run: DataSettings) -> None:
    fast = np.repeat(samples(3, 0), 2)
    write_edf(table.with_name("3.edf"), {"FP2": fast, "EKG1": fast, "FP1": fast}, rate=2 * RATE)
    data, _ = load_table(table, run, 0)
    assert data.inputs.shape == (FILES * 5, 3, 100)
    made = written_down(read_table(table, run), run)
    assert (made.signal, made.pick, made.resample_hz) == ("file", tuple(channels(0)), 50.0)
    assert written_down(read_table(table, made), made) == made


def test_every_file_that_cannot_be_used_is_named_at_once(table: Path, run: DataSettings) -> None:
    write_edf(table.with_name("2.edf"), {"EEG FP1-REF": samples(2, 0)}, rate=RATE)
    write_edf(table.with_name("4.edf"), {name: x[:RATE] for name, x in channels(4).items()}, rate=RATE)
    table.with_name("5.edf").write_bytes(b"no header")
    table.write_text(table.read_text().replace("6.edf", "gone.edf").replace("7.edf", "1.edf"))
    assert refusal(table, run).splitlines() == [
        "line 4, column 'file', 2.edf: lacks channels EEG FP2-REF, EKG1; its channels are EEG FP1-REF. Leave it out of "
        "--pick, or remove the row.",
        "line 6, column 'file', 4.edf: has 1 s, less than a window of 2 s. Remove the row, or shorten --window-s.",
        "line 7, column 'file', 5.edf: has no EDF or BDF header. Copy the file again or remove the row.",
        "line 8, column 'file', gone.edf: does not exist. Check the name, which starts from the table's folder, or "
        "remove the row.",
        "line 9, column 'file', 1.edf: is named again: line 3 is of the same file. Remove one of them.",
    ]
    found = read(table, replace(run, on_bad="skip"), Beside(), seed=0)
    assert sorted(set(found.dataset.row.tolist())) == [2, 3, 5]
    assert found.bad is not None
    assert found.bad["line"].tolist() == [4, 6, 7, 8, 9]


def test_a_bad_label_is_told_once_for_all_windows(table: Path, run: DataSettings) -> None:
    table.write_text(table.read_text().replace(",25,", ",,"))
    assert refusal(table, run) == "line 3, column 'age', 1.edf: is empty. Correct it or remove the row."


def test_windows_come_from_the_cache_and_anew_where_a_setting_changed(table: Path, run: DataSettings) -> None:
    first, seen = load_table(table, run, 0)[0], []
    again, _ = load_table(table, run, 0, lambda done, total: seen.append((done, total)))
    assert (seen, again.fingerprint) == ([], first.fingerprint)
    load_table(table, replace(run, clip_uv=50.0), 0, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (FILES * 5, FILES * 5)
    assert not again.inputs.flags.writeable


def test_new_recordings_need_no_labels(table: Path, run: DataSettings) -> None:
    run = written_down(read_table(table, run), run)
    new = table.with_name("new.csv")
    new.write_text("file\n3.edf\n")
    inputs, names = load_inputs(new, run)
    assert (inputs.shape, names.tolist()[:2]) == ((5, 3, 100), ["3.edf at 0 s", "3.edf at 2 s"])


def test_the_column_of_the_start_takes_no_name_that_is_there(table: Path, run: DataSettings) -> None:
    table.write_text(table.read_text().replace("person", TIME))
    made = windowed(read_table(table, run), run)
    assert (made.time, made.column(f"{TIME}_").tolist()[:2]) == (f"{TIME}_", [0.0, 2.0])


@pytest.mark.parametrize("more", [{"sequence": "person"}, {"sequence": "file", "time": "age2"}])
def test_sequence_and_time_are_the_windows_own(table: Path, run: DataSettings, more: dict[str, str]) -> None:
    table.write_text(
        "\n".join(f"{line},{line[-1]}" for line in table.read_text().split()).replace("person,n", "person,age2")
    )
    assert refusal(table, replace(run, **more)) == (
        "labels.csv: holds recordings, whose windows have a sequence (the recording) and a time (their start in "
        "seconds). Leave --sequence and --time out."
    )


def test_of_two_columns_of_recordings_one_is_to_be_named(table: Path, run: DataSettings) -> None:
    table.write_text(
        "\n".join(f"{line},{line.split(',')[0]}" for line in table.read_text().split()).replace("n,file", "n,b")
    )
    assert refusal(table, run) == (
        "labels.csv: has 2 columns that can hold the recordings: file, b. Name one with --signal."
    )
    assert load_table(table, replace(run, signal="b"), 0)[0].inputs.shape == (FILES * 5, 3, 100)


@pytest.mark.slow
def test_recordings_are_trained_on_judged_and_predicted(table: Path, run: DataSettings) -> None:
    import isotone

    settings = {"passes": 2, "batch_size": 16, "device": "cpu", "encoder": "eegnet", "cache_dir": run.cache_dir}
    settings |= {"window_s": 2.0, "pick": ("Fp1", "Fp2"), "augment": ["mild", "channeldrop"], "quiet": True}
    made = isotone.fit(table, target="age", group="person", out=table.parent / "run", **settings)
    saved = made.settings.data
    assert (saved.signal, saved.pick, saved.resample_hz) == ("file", ("Fp1", "Fp2"), 50.0)
    assert {row["n"] for row in made.metrics["by_recording"] if row["split"] == "test"} == {2}
    new = table.with_name("new.csv")
    new.write_text("file\n3.edf\n5.edf\n")
    assert made.predict(new).shape == (10,)
    assert isotone.resume(made.folder, quiet=True).metrics == made.metrics
