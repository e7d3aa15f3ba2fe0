"""Transfer: encoders of one table on another, by a linear probe, fine-tuned, and beside training from scratch."""

from pathlib import Path

import pandas as pd
import pytest
from studies.conftest import SETTINGS

from isotone.api import load
from isotone.errors import ConfigError, DivergenceError
from isotone.studies.transfer import transfer


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            {},
            "the study needs a second table, on which the encoders are judged: --to TABLE, or --to-dataset NAME "
            "--to-root FOLDER.",
        ),
        (
            {"to": "b.csv", "target": ["y", "a"], "features": ["b", "c"]},
            "the study judges errors of one target. Name one column of the second table: --to-target.",
        ),
        ({"to": "b.csv", "tune_lrs": (0.1, -1.0)}, "`tune_lrs` must be a finite number above 0, got -1.0."),
        (
            {"to": "b.csv", "to_rows": 4},
            "`to_rows` must be at least 8 training rows, or 0 for all of them, got 4.",
        ),
        ({"to": "b.csv", "weights": "w"}, "the study sets `weights` itself. Leave it out; --to says what is studied."),
    ],
)
def test_what_is_refused(table: Path, more: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        transfer(table, out=table.parent / "s", quiet=True, **{**SETTINGS, **more})
    assert str(caught.value) == message


@pytest.mark.slow
def test_the_encoders_are_judged_on_the_second_table(table: Path) -> None:
    other = pd.read_csv(table)
    other["z"] = -other["y"]
    other.drop(columns=["y", "who"]).to_csv(table.parent / "b.csv", index=False)
    out = table.parent / "s"
    page = transfer(
        table, out=out, to=table.parent / "b.csv", to_target="z", temperature=1.5, tune_passes=3, quiet=True, **SETTINGS
    )
    found = pd.read_csv(out / "study.csv")
    assert set(found["judged by"]) == {"linear probe", "fine-tuned"}
    assert set(pd.read_csv(out / "scratch.csv")["arm"]) == {"from scratch", "baseline", "rnc"}
    assert (out / "seed0-first-rnc" / "encoder.safetensors").exists()
    config = (out / "seed0-tuned-rnc-at-0.02" / "config.yaml").read_text()
    assert "seed0-first-rnc/encoder.safetensors" in config
    assert "\npasses: 3\n" in config
    assert "\nlr: 0.02\n" in config
    scores = {}
    for start in ("rnc", "baseline", "from-scratch"):
        rates = [
            load(out / f"seed0-tuned-{start}-at-{rate}") for rate in (0.02, 0.2)
        ]  # a tenth of the default, and that
        by_side = [{r["split"]: r["mae"]["value"] for r in x.metrics["rows"] if r["role"] == "model"} for x in rates]
        scores[start] = min(by_side, key=lambda side: side["val"])["test"]
    tuned = found[(found["judged by"] == "fine-tuned") & (found["seed"] == "0")].set_index("arm")["error"]
    assert tuned["rnc"] == pytest.approx(scores["rnc"], rel=1e-5)
    assert tuned["baseline"] == pytest.approx(scores["baseline"], rel=1e-5)
    beside = pd.read_csv(out / "scratch.csv").set_index("arm").query("seed == '0'")["error"]
    assert beside["from scratch"] == pytest.approx(scores["from-scratch"], rel=1e-5)
    text = page.read_text()
    assert "t.csv to b.csv" in text
    assert "Beside training from scratch" in text


@pytest.mark.slow
def test_some_rows_of_each_table_are_drawn_in_whole_groups(table: Path) -> None:
    pd.read_csv(table).to_csv(table.parent / "b.csv", index=False)
    out = table.parent / "s"

    def study(from_rows: int, to_rows: int) -> tuple[str, pd.DataFrame]:
        page = transfer(
            table, out=out, to=table.parent / "b.csv", to_group="who", from_rows=from_rows, to_rows=to_rows,
            quiet=True, **SETTINGS,
        )  # fmt: skip
        found = pd.read_csv(out / "study.csv")
        return page.read_text(), found[found["seed"] == "0"].set_index(["judged by", "arm"])

    text, few = study(60, 30)
    for name, rows in (("from60", 60), ("to30", 30)):
        part = pd.read_csv(out / "tables" / f"seed0-{name}.csv")
        train, test = (part[part["isotone_split"] == side] for side in ("train", "test"))
        assert len(train) == rows
        assert train.groupby("who").size().eq(3).all()
        assert not set(train["who"]) & set(test["who"])
        assert few["n"].eq(len(test)).all()
    assert "About 30 training rows of the second table, or all where it has fewer" in text
    more = study(60, 45)[1]  # in the same folder: other rows are other runs
    assert (few["error"] != more["error"]).all()
    assert more["n"].eq(few["n"]).all()
    everything = study(0, 1000)[1]
    assert not (out / "tables" / "seed0-to1000.csv").exists()
    assert (everything["error"] != more["error"]).all()


@pytest.mark.slow
def test_a_rate_that_diverges_is_left_aside(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pd.read_csv(table).to_csv(table.parent / "b.csv", index=False)
    settings = {**SETTINGS, "arms": ("baseline",), "to": table.parent / "b.csv", "out": table.parent / "s"}
    transfer(table, tune_lrs=(0.02, 1e30), **settings)
    said = capsys.readouterr().err
    assert "note: tuned baseline diverged at a learning rate of 1e+30, seed 0" in said
    assert "note: tuned from scratch diverged" in said
    found = pd.read_csv(table.parent / "s" / "study.csv").query("seed == '0'").set_index("judged by")["error"]
    run = load(table.parent / "s" / "seed0-tuned-baseline-at-0.02")
    test = [r["mae"]["value"] for r in run.metrics["rows"] if (r["role"], r["split"]) == ("model", "test")]
    assert found["fine-tuned"] == pytest.approx(test[0], rel=1e-5)
    with pytest.raises(DivergenceError):
        transfer(table, tune_lrs=(1e30,), **{**settings, "out": table.parent / "all", "quiet": True})
