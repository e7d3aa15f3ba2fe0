"""The page of class runs and of runs without labels: whole, offline, and the same markup whatever the texts are."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from report.markup import PAYLOADS, Page, addresses

from isotone.report import write_report

Copy = Callable[..., Path]

SINKS = (
    "label",
    "group",
    "column",
    "class",
    "question",
    "model",
    "probe",
    "target",
    "stage",
    "penalty",
    "note",
    "watch",
)


def page_of(run: Path, against: Path | None = None) -> tuple[str, Page]:
    text = write_report(run, against).read_text("utf-8")
    return text, Page(text)


@pytest.fixture(scope="module")
def both(finished: dict[str, Path]) -> tuple[str, Page]:
    return page_of(finished["supcon"], finished["linear"])


@pytest.fixture(scope="module")
def none(finished: dict[str, Path]) -> tuple[str, Page]:
    return page_of(finished["simclr"])


def test_one_offline_file_below_5_mb(both: tuple[str, Page], none: tuple[str, Page]) -> None:
    for text, page in (both, none):
        assert len(text.encode()) < 5_000_000
        assert addresses(page) <= {"", "data:", "data:image/webp;base64"}
        assert page.drawn <= {"svg", "g", "defs", "path", "use", "clippath", "rect", "text"}
        for tag, names in page.markup:
            assert tag != "img" or "alt" in names
            assert tag != "figure" or "aria-label" in names


def test_sections_of_classes(both: tuple[str, Page]) -> None:
    text, page = both
    titles = re.findall(r'id="(\w+)-title"', text)
    assert titles == ["probes", "map", "errors", "worst", "training", "views", "data", "again"]
    words = " ".join(page.texts)
    for expected in (
        *("Telling apart 10 classes: ", "Balanced accuracy", "Predicted against true classes", "Recall by class"),
        *("Accuracy by group", "expect more errors on groups that are new.", "Scores by stage as numbers"),
    ):
        assert expected in words
    assert "MAE" not in words
    assert "Prediction against target" not in words


def test_sections_without_labels(none: tuple[str, Page]) -> None:
    text, page = none
    assert re.findall(r'id="(\w+)-title"', text) == ["map", "training", "views", "data", "again"]
    words = " ".join(page.texts)
    assert "Learning without labels" in words
    assert re.search(r"isotone evaluate \S+simclr --probe linear,knn --category COLUMN", words)
    for absent in ("MAE", "ccuracy", "predicted", "error", "No group column was named"):
        assert absent not in words


def test_all_rows_in_training(copied: Copy) -> None:
    run = copied("simclr")
    data = json.loads((run / "data.json").read_text())
    (run / "data.json").write_text(json.dumps(data | {"counts": {"train": 120, "val": 0, "test": 0}}))
    with np.load(run / "features.npz", allow_pickle=False) as raw:
        changed = dict(raw) | {"split": np.array(["train"] * 120)}
    np.savez(run / "features.npz", **changed)
    text, _ = page_of(run)
    assert 'name="rows"' not in text
    assert "There are no test rows" not in text


def test_probes_stand_on_the_page_of_a_run_of_numbers_too(finished: dict[str, Path], copied: Copy) -> None:
    run = copied("bare")
    (run / "probes.jsonl").write_text((finished["supcon"] / "probes.jsonl").read_text())
    text, _ = page_of(run)
    assert re.findall(r'id="(\w+)-title"', text)[0] == "probes"


def test_rows_without_a_label_are_counted(copied: Copy) -> None:
    run = copied("plain")
    data = json.loads((run / "data.json").read_text())
    assert "With a label" not in " ".join(page_of(run)[1].texts)
    (run / "data.json").write_text(json.dumps(data | {"labelled": {"train": 13, "val": 20, "test": 20}}))
    words = " ".join(page_of(run)[1].texts)
    assert "With a label" in words
    assert " 13 " in words


def test_runs_that_do_different_things_stand_side_by_side(finished: dict[str, Path], copied: Copy) -> None:
    for run, other in (("bare", "plain"), ("simclr", "plain"), ("plain", "simclr")):
        words = " ".join(page_of(copied(run, to=f"{run}-{other}"), finished[other])[1].texts)
        assert "The two runs do different things, so they cannot be compared: read each by itself." in words


def test_same_run_same_page(copied: Copy) -> None:
    run = copied("plain")
    first = write_report(run).read_bytes()
    assert write_report(run).read_bytes() == first


# ----------------------------------------------------------------------------------------------------------------------


def poison(run: Path, text: Callable[[str], str]) -> Path:
    """Put `text(sink)` wherever a text of the user can stand in a class run."""

    def change(file: str, **new: object) -> None:
        content = json.loads((run / file).read_text()) | new
        (run / file).write_text(json.dumps(content))

    names = [f"{i}{text('class')}" for i in range(10)]
    with np.load(run / "features.npz", allow_pickle=False) as raw:
        arrays = dict(raw)
    writers = {name: f"{name}{text('group')}" for name in sorted(set(arrays["group"]))}
    arrays |= {"label": np.array([text("label")] * len(arrays["label"])), "classes": np.array(names)}
    np.savez(run / "features.npz", **arrays | {"group": np.array([writers[name] for name in arrays["group"]])})
    data = json.loads((run / "data.json").read_text())
    counts = dict(zip(names, data["classes"].values(), strict=True))
    change("data.json", group_name=text("column"), category_name=text("question"), classes=counts)
    found = json.loads((run / "metrics.json").read_text())
    rows = [row | {"target": text("question"), "model": f"{i}{text('model')}"} for i, row in enumerate(found["rows"])]
    by_class = [row | {"class": name} for row, name in zip(found["by_class"], names, strict=True)]
    by_group = [row | {"group": writers[row["group"]]} for row in found["by_group"]]
    change("metrics.json", rows=rows, by_class=by_class, by_group=by_group, classes=names)
    said = {"target": text("target"), "score_name": "accuracy", "settings": {text("penalty"): 1}, "score": 0.5}
    probe = {"probe": text("probe"), "notes": [text("note")]} | said
    stage = {"probe": "layers", "stage": text("stage")} | said
    (run / "probes.jsonl").write_text(json.dumps(probe) + "\n" + json.dumps(stage) + "\n")
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    (run / "log.jsonl").write_text("\n".join(json.dumps(line | {"watch": {text("watch"): 1.0}}) for line in lines))
    return run


def check_same_markup(copied: Copy, payload: str) -> None:
    _, neutral = page_of(poison(copied("supcon", to="neutral"), lambda sink: f"{sink}="))
    _, page = page_of(poison(copied("supcon", to="hostile"), lambda sink: f"{sink}={payload}"))
    assert page.markup == neutral.markup
    assert page.drawn == neutral.drawn
    assert {name for name, _ in page.attributes} == {name for name, _ in neutral.attributes}
    assert addresses(page) == addresses(neutral)
    assert page.scripts[1:] == neutral.scripts[1:]
    assert not re.search("[<>&]", page.scripts[0])
    shown = [*page.texts, *(value for _, value in page.attributes)]
    for sink in SINKS:
        assert any(f"{sink}={payload[:12]}" in text for text in shown), sink  # narrow places cut long names


def test_all_payloads_at_once_in_every_text(copied: Copy) -> None:
    check_same_markup(copied, "".join(PAYLOADS))


@pytest.mark.slow
@pytest.mark.parametrize("payload", PAYLOADS)
def test_each_payload_in_every_text(copied: Copy, payload: str) -> None:
    check_same_markup(copied, payload)
