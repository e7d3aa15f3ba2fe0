"""The page: whole, offline, within 5 MB, the same for the same run, and the same markup whatever the texts are."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from report.markup import PAYLOADS, Page, addresses

from isotone.errors import CheckpointError, ConfigError
from isotone.report import write_report

Copy = Callable[..., Path]

SINKS = (
    "label",
    "group",
    "column",
    "target",
    "table",
    "warning",
    "setting",
    "value",
    "command",
    "method",
    "model",
    "version",
)


@pytest.fixture(scope="module")
def both(finished: dict[str, Path]) -> str:
    return write_report(finished["rnc"], finished["baseline"]).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def bare(finished: dict[str, Path]) -> str:
    return write_report(finished["bare"]).read_text(encoding="utf-8")


def test_one_offline_file_below_5_mb(both: str) -> None:
    page = Page(both)
    assert len(both.encode()) < 5_000_000
    assert addresses(page) <= {"", "data:", "data:image/webp;base64"}
    assert page.drawn <= {"svg", "g", "defs", "path", "use", "clippath", "rect", "text"}
    policy = next(value for name, value in page.attributes if name == "content" and "default-src" in value)
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in policy
    assert "http" not in policy


def test_both_runs_stand_side_by_side(both: str) -> None:
    page = Page(both)
    items = json.loads(page.scripts[0])["items"]
    assert [item["target_id"] for item in items] == ["map-0", "map-1"]
    titles = re.findall(r'id="(\w+)-title"', both)
    assert titles == ["order", "map", "errors", "worst", "training", "views", "data", "again"]
    text = " ".join(page.texts)
    assert text.index("baseline, l1 head") < text.index("rnc, l1 head")
    assert (
        "10 of the 10 test groups (digit) were also seen in training: expect larger errors on groups that are new."
        in text
    )
    assert "isotone fit digits.csv --target angle --method rnc --out runs/rnc --seed 0" in text


def test_every_picture_has_a_text(both: str, bare: str) -> None:
    for text in (both, bare):
        for tag, names in Page(text).markup:
            assert tag != "img" or "alt" in names
            assert tag != "figure" or "aria-label" in names


def test_missing_parts_leave_their_sections_out(bare: str) -> None:
    titles = re.findall(r'id="(\w+)-title"', bare)
    assert titles == ["order", "map", "errors", "worst", "data", "again"]
    page = Page(bare)
    assert "img" not in {tag for tag, _ in page.markup}
    text = " ".join(page.texts)
    assert "No group column was named, so it is not known whether test rows resemble training rows." in text
    assert "Column 'digit' looks like a group: 10 values. Name it with --group digit." in text


def test_runs_that_predict_different_things_stand_side_by_side(finished: dict[str, Path], copied: Copy) -> None:
    run = copied("bare")
    text = " ".join(Page(write_report(run, finished["baseline"]).read_text("utf-8")).texts)
    assert "The two runs used different data or splits, so their errors cannot be compared." in text


def test_same_run_same_page(copied: Copy) -> None:
    run = copied("bare")
    first = write_report(run).read_bytes()
    assert write_report(run).read_bytes() == first


def test_only_the_page_is_written(copied: Copy) -> None:
    run = copied("bare", drop=["report.html"])
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    assert write_report(run) == run / "report.html"
    after = {path.name: path.read_bytes() for path in run.iterdir()}
    assert after.pop("report.html").startswith(b"<!doctype html>")
    assert after == before


def test_a_page_that_cannot_be_written_leaves_the_old_one(copied: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    run = copied("bare")
    (run / "report.html").write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(CheckpointError) as error:
        write_report(run)
    assert str(error.value) == (
        f"The report cannot be written to {run / 'report.html'}: No space left on device. Make room or make the folder "
        "writable, then run `isotone report` again."
    )
    assert (run / "report.html").read_text() == "old"
    assert not list(run.glob(".tmp-*"))


def test_the_second_run_must_be_one_too(finished: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        write_report(finished["bare"], tmp_path)
    assert str(error.value).startswith(f"{tmp_path} is not a run folder: it holds none of config.yaml,")


# ----------------------------------------------------------------------------------------------------------------------


def poison(run: Path, text: Callable[[str], str]) -> Path:
    """Put `text(sink)` wherever a text of the user can stand in a run."""

    def change(file: str, **new: object) -> None:
        content = json.loads((run / file).read_text()) | new
        (run / file).write_text(json.dumps(content))

    with np.load(run / "features.npz") as raw:
        arrays = dict(raw)
    digits = sorted(set(arrays["group"]))
    groups = {digit: f"{digit}{text('group')}" for digit in digits}
    arrays["label"] = np.array([text("label")] * len(arrays["label"]))
    arrays["group"] = np.array([groups[digit] for digit in arrays["group"]])
    np.savez(run / "features.npz", **arrays)
    with np.load(run / "views.npz") as raw:
        np.savez(run / "views.npz", **(dict(raw) | {"label": np.array([text("label")] * 8)}))
    change("run.json", command=text("command"), method=text("method"), versions={text("version"): text("version")})
    data = json.loads((run / "data.json").read_text())
    new = {"name": text("table"), "group_name": text("column"), "warnings": [text("warning")]}
    change("data.json", **new, target_names=[text("target")], target={text("target"): data["target"]["angle"]})
    metrics = json.loads((run / "metrics.json").read_text())
    rows = [row | {"target": text("target"), "model": f"{i}{text('model')}"} for i, row in enumerate(metrics["rows"])]
    by_bin = [row | {"target": text("target")} for row in metrics["by_bin"]]
    by_group = [row | {"group": groups[row["group"]]} for row in metrics["by_group"]]
    change("metrics.json", rows=rows, by_bin=by_bin, by_group=by_group)
    (run / "config.yaml").write_text(json.dumps({text("setting"): text("value")}))  # JSON is YAML
    return run


def check_same_markup(copied: Copy, payload: str) -> None:
    neutral = Page(write_report(poison(copied("rnc", to="neutral"), lambda sink: f"{sink}=")).read_text("utf-8"))
    page = Page(write_report(poison(copied("rnc", to="hostile"), lambda sink: f"{sink}={payload}")).read_text("utf-8"))
    assert page.markup == neutral.markup
    assert page.drawn == neutral.drawn
    assert {name for name, _ in page.attributes} == {name for name, _ in neutral.attributes}
    assert addresses(page) == addresses(neutral)
    assert len(page.scripts) == len(neutral.scripts) == 3
    assert page.scripts[1:] == neutral.scripts[1:]
    assert not re.search("[<>&]", page.scripts[0])
    shown = [*page.texts, *(value for _, value in page.attributes)]
    for sink in SINKS:
        assert any(f"{sink}={payload}" in text for text in shown), sink
    assert f"label={payload}" in json.dumps(json.loads(page.scripts[0]), ensure_ascii=False).replace('\\"', '"')


def test_all_payloads_at_once_in_every_text(copied: Copy) -> None:
    check_same_markup(copied, "".join(PAYLOADS))


@pytest.mark.slow
@pytest.mark.parametrize("payload", PAYLOADS)
def test_each_payload_in_every_text(copied: Copy, payload: str) -> None:
    check_same_markup(copied, payload)
