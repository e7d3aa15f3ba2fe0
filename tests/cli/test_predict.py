"""`predict`: the user's units, a new table without targets, nothing overwritten."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from isotone.export.saved import load_model

Cli = Callable[..., tuple[int, str, str]]


def test_predictions_are_those_of_the_run(finished: tuple[Path, Path], tmp_path: Path, cli: Cli) -> None:
    table, run = finished
    new = table.parent / "new.csv"
    new.write_text("\n".join(line.split(",")[0] for line in table.read_text().splitlines()) + "\n")
    out = tmp_path / "preds.csv"
    status, _, said = cli("predict", run, new, "--out", out)
    assert status == 0, said
    found, kept = pd.read_csv(out), pd.read_csv(run / "predictions.csv")
    np.testing.assert_allclose(found["grey"], kept["predicted_grey"], rtol=1e-5)
    assert found["label"].tolist() == kept["label"].tolist()


def test_any_finished_run_can_be_asked_for_intervals(finished: tuple[Path, Path], tmp_path: Path, cli: Cli) -> None:
    table, run = finished
    out = tmp_path / "preds.csv"
    status, _, said = cli("predict", run, table, "--interval", "0.7", "--out", out)  # 3 groups of validation rows
    assert status == 0, said
    found = pd.read_csv(out)
    assert list(found) == ["label", "grey", "low_grey", "high_grey"]
    width = load_model(run / "model").half_width(0.7)[0]
    np.testing.assert_allclose(found["high_grey"] - found["grey"], width, rtol=1e-6)
    np.testing.assert_allclose(found["grey"] - found["low_grey"], width, rtol=1e-6)
    status, _, said = cli("predict", run, table, "--interval", "0.9")
    assert status == 2
    assert said == (
        "isotone: 90 % intervals need validation rows of at least 9 groups (rows, where there are no groups), but "
        "there are 3. Ask for at most --interval 0.75, or for more of them: --val-fraction.\n"
    )


def test_a_run_of_quantile_heads_gives_its_own_intervals(table: Path, tmp_path: Path, cli: Cli) -> None:
    words = ("fit", table, "--target", "grey", "--passes", "2", "--batch-size", "16", "--image-size", "16")
    chosen = ("--interval", "0.6", "--interval-form", "quantile", "--out", tmp_path / "run")
    status, _, said = cli(*words, "--cache-dir", tmp_path / "cache", *chosen)
    assert status == 0, said
    kept = pd.read_csv(tmp_path / "run" / "predictions.csv")[["low_grey", "high_grey"]]
    for form, path in (((), "own.csv"), (("--interval-form", "constant"), "constant.csv")):
        status, _, said = cli("predict", tmp_path / "run", table, "--interval", "0.6", *form, "--out", tmp_path / path)
        assert status == 0, said
    found, constant = (pd.read_csv(tmp_path / name) for name in ("own.csv", "constant.csv"))
    np.testing.assert_allclose(found[["low_grey", "high_grey"]], kept, rtol=1e-4, atol=1e-3)
    assert (found["high_grey"] - found["low_grey"]).std() > 1e-3
    assert (constant["high_grey"] - constant["low_grey"]).std() < 1e-3
    status, _, said = cli("predict", tmp_path / "run", table, "--interval", "0.5")
    assert status == 2
    assert said == (
        "isotone: the quantile heads of this run are of 60 %, but --interval is 0.5. Ask for --interval 0.6, or for "
        "intervals of one width, of any level: --interval-form constant.\n"
    )
    status, _, said = cli("predict", tmp_path / "run", table, "--interval-form", "quantile")
    assert status == 2
    assert said == (
        "isotone: --interval-form says of which kind intervals are, but none are asked for. Add --interval 0.9.\n"
    )


def test_nothing_is_overwritten(finished: tuple[Path, Path], tmp_path: Path, cli: Cli) -> None:
    out = tmp_path / "preds.csv"
    out.write_text("mine")
    status, _, said = cli("predict", finished[1], finished[0], "--out", out)
    assert status == 2
    assert said == f"isotone: {out} exists, and nothing is overwritten. Choose another --out.\n"
    assert out.read_text() == "mine"


def test_a_folder_that_is_no_run_names_the_nearest(finished: tuple[Path, Path], cli: Cli) -> None:
    wrong = finished[1].parent / "rum"
    status, _, said = cli("predict", wrong, finished[0])
    assert status == 2
    assert said == f"isotone: {wrong} is not the folder of a run: it has no run.json. Did you mean 'run'?\n"


def test_classes_are_written_with_their_probabilities(table: Path, tmp_path: Path, cli: Cli) -> None:
    head, *lines = table.read_text().splitlines()
    rows = [f"{line},{'=dark' if float(line.split(',')[1]) < 5 else 'light'}" for line in lines]
    table.write_text("\n".join([f"{head},label", *rows]) + "\n")
    words = ["--category", "label", "--method", "baseline", "--passes", "2", "--batch-size", "16", "--image-size", "16"]
    status, out, said = cli("fit", table, *words, "--out", tmp_path / "run")
    assert status == 0, said
    assert out.startswith("test accuracy")
    status, _, said = cli("predict", tmp_path / "run", table, "--out", tmp_path / "p.csv")
    assert status == 0, said
    found, kept = pd.read_csv(tmp_path / "p.csv"), pd.read_csv(tmp_path / "run" / "predictions.csv")
    assert list(found) == ["label", "predicted_label", "probability_=dark", "probability_light"]
    assert found["label"].tolist() == kept["label"].tolist()  # how a row is called
    assert found["predicted_label"].tolist() == kept["predicted_label"].tolist()
    assert set(found["predicted_label"]) <= {"'=dark", "light"}
    np.testing.assert_allclose(found["probability_light"], kept["probability_light"], rtol=1e-4)
    np.testing.assert_allclose(found["probability_=dark"] + found["probability_light"], 1, rtol=1e-5)
