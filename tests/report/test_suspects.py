"""The page and the table of suspects: what they say, and that nothing a user typed becomes markup or a formula."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits

from isotone.data.arrays import load_arrays
from isotone.data.settings import DataSettings
from isotone.evaluate.suspects import Suspects, suspects
from isotone.records import Dataset
from isotone.report.suspects import answer, suspects_figure, suspects_table, write_suspects

WRONG = [5, 40]


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    images = (load_digits().images[:120] * 15).astype(np.uint8)
    y = images.mean((1, 2))
    split = np.array(["train"] * 100 + ["val"] * 10 + ["test"] * 10)
    data = load_arrays(images, y, split=split, groups=np.arange(120) // 2, settings=DataSettings(), seed=0)
    target = data.target.copy()
    target[WRONG] += 80
    label = data.label.astype(object)
    label[5], label[40] = "<b>five</b>.png", "=1+1"
    return replace(data, target=target, target_names=("grey",), label=label.astype(str), group_name="<i>person</i>")


@pytest.fixture(scope="module")
def found(dataset: Dataset) -> Suspects:
    return suspects(dataset, dataset.inputs.mean((1, 2)))  # a representation that is the grey itself


def test_the_table_says_where_a_row_is_and_what_its_neighbours_say(dataset: Dataset, found: Suspects) -> None:
    frame = suspects_table(dataset, found)
    assert list(frame) == [
        *("row", "file", "split", "group", "grey", "neighbours_grey", "disagreement_grey", "score", "nearest")
    ]
    assert set(frame["row"][:2]) == set(dataset.row[WRONG])
    assert set(frame["file"][:2]) == {"<b>five</b>.png", "'=1+1"}  # a spreadsheet would run the second
    first = frame.iloc[0]
    assert first["disagreement_grey"] == pytest.approx(abs(first["grey"] - first["neighbours_grey"]))
    assert len(frame) == 100
    assert len(first["nearest"].split("; ")) == 5


def test_a_target_that_is_called_like_a_column_has_its_own(dataset: Dataset, found: Suspects) -> None:
    frame = suspects_table(replace(dataset, target_names=("score",)), found)
    assert np.array_equal(frame["target_score"], dataset.target[found.index, 0])
    assert np.array_equal(frame["score"], found.score)


def test_the_page_shows_the_rows_and_trusts_no_text(tmp_path: Path, dataset: Dataset, found: Suspects) -> None:
    frame = write_suspects(tmp_path, dataset, found, command="isotone suspects a --top 3", top=3)
    page = (tmp_path / "suspects.html").read_text()
    assert answer(dataset, found) in page
    assert "&lt;b&gt;five&lt;/b&gt;.png" in page
    assert "<b>five" not in page
    assert "<i>person" not in page
    assert "<script" not in page
    assert page.count("<li>") == 3
    assert page.count("data:image/webp") == 3 * (1 + 5)
    assert "The 3 most suspicious rows" in page
    assert "isotone suspects a --top 3" in page
    assert "Validation and test rows are ranked too" not in page
    pd.testing.assert_frame_equal(
        pd.read_csv(tmp_path / "suspects.csv", dtype={"group": str}), frame, check_dtype=False
    )


def test_ranking_test_rows_warns(tmp_path: Path, dataset: Dataset) -> None:
    everything = suspects(dataset, dataset.inputs.mean((1, 2)), rows="all")
    write_suspects(tmp_path, dataset, everything, command="")
    assert "leaving out test rows because the model finds them odd" in (tmp_path / "suspects.html").read_text()
    assert answer(dataset, everything).endswith(
        "of the 120 rows clearly disagree with their neighbours: look at these first."
    )


def test_the_answer_counts(dataset: Dataset, found: Suspects) -> None:
    assert answer(dataset, replace(found, score=np.zeros(100))) == (
        "No target of the 100 training rows clearly disagrees with its neighbours."
    )
    assert answer(dataset, replace(found, score=np.eye(100)[0] * 9)) == (
        "1 target of the 100 training rows clearly disagrees with its neighbours: look at these first."
    )


def test_rows_without_pictures_are_shown_as_text(tmp_path: Path, dataset: Dataset, found: Suspects) -> None:
    plain = replace(dataset, kind="rows", inputs=dataset.inputs.reshape(120, -1))
    write_suspects(tmp_path, plain, found, command="", top=2)
    page = (tmp_path / "suspects.html").read_text()
    assert "data:image" not in page
    assert "textonly" in page


def test_the_figure_says_in_words_what_it_shows(dataset: Dataset, found: Suspects) -> None:
    clear = int((found.score >= 2.5).sum())
    drawn = suspects_figure(dataset, found, 0)
    assert drawn.alt == f"What the neighbours say against the target grey: {clear} of 100 rows lie far off the line."
    assert "clear suspects" in drawn.svg
