"""The page of a study: everything on it, nothing of the user's read as markup, nothing from outside."""

from pathlib import Path

from isotone.report.study import Line, Study, Table, line_figure, write_study


def _study(**changes: object) -> Study:
    lines = [Line("plain", ((0.4, 0.5), (0.2,))), Line("other", ((0.4,), (0.3,)))]
    made = {
        "title": "Label noise",
        "question": "What is lost?",
        "answer": ("Little.", "In detail."),
        "columns": ("arm", "0 %", "50 %"),
        "rows": (("plain", "45.0", "20.0"), ("other", "40.0", "30.0")),
        "command": "isotone study label-noise t.csv",
        "figure": line_figure(["0 %", "50 %"], lines, axis="wrong labels", value="accuracy"),
        "data": "<b>t.csv</b>",
    }
    return Study(**{**made, **changes})  # type: ignore[arg-type]


def test_the_page_holds_question_answer_figure_and_table(tmp_path: Path) -> None:
    text = write_study(tmp_path / "study.html", _study()).read_text()
    for part in ("What is lost?", "Little.", "In detail.", "<svg", "45.0", "isotone study label-noise t.csv"):
        assert part in text
    assert "&lt;b&gt;t.csv" in text
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert [p.name for p in tmp_path.iterdir()] == ["study.html"]


def test_the_figure_says_its_means_in_words() -> None:
    figure = _study().figure
    assert figure is not None
    assert figure.alt == ("accuracy against wrong labels (0 %, 50 %). plain: 0.45, 0.2; other: 0.4, 0.3.")


def test_further_tables_and_what_was_held(tmp_path: Path) -> None:
    more = Table("As <published>", ("x", "MAE"), (("l1", "6.63"),), "figure & table")
    text = write_study(tmp_path / "s.html", _study(tables=(more,), held=("The same rows.",))).read_text()
    for part in ("As &lt;published&gt;", "6.63", "figure &amp; table", "How it was made", "The same rows."):
        assert part in text


def test_places_that_stand_alone_are_drawn_with_bars() -> None:
    line = Line("plain", ((0.4,), (0.2,)), ((0.3, 0.5), (0.1, 0.3)))
    steps = line_figure(["a", "b"], [line], axis="x", value="y")
    alone = line_figure(["a", "b"], [line], axis="x", value="y", joined=False)
    assert steps.alt == alone.alt
    assert steps.svg != alone.svg


def test_a_page_without_a_figure(tmp_path: Path) -> None:
    assert "<svg" not in write_study(tmp_path / "s.html", _study(figure=None)).read_text()
