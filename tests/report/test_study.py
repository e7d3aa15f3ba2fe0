"""The page of a study: everything on it, nothing of the user's read as markup, nothing from outside."""

from pathlib import Path

from isotone.report.study import Line, Study, line_figure, write_study


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


def test_a_page_without_a_figure(tmp_path: Path) -> None:
    assert "<svg" not in write_study(tmp_path / "s.html", _study(figure=None)).read_text()
