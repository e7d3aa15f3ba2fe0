"""kNN as a head: what it says, its number of neighbours, and a run with it: kept, loaded, asked, refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import isotone
from isotone.errors import ConfigError, ShapeError
from isotone.evaluate.knn import knn_numbers
from isotone.evaluate.probe import ProbeData
from isotone.predict.knn import Neighbours, fit_neighbours
from isotone.studies.scheme import scheme


def _rows(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    h = torch.randn(n, 3, generator=torch.Generator().manual_seed(seed)) + 50
    return h, (h[:, :2] - 50) ** 2


def test_it_is_the_probe() -> None:
    (h, y), (val_h, val_y), (test_h, test_y) = _rows(60, 0), _rows(30, 1), _rows(20, 2)
    fit = fit_neighbours(h, y[:, :1], val_h, val_y[:, :1])
    numbers = [x.numpy() for x in (h, y[:, 0], val_h, val_y[:, 0], test_h, test_y[:, 0])]
    probe = knn_numbers(ProbeData(*numbers))
    assert int(fit.head.k) == probe.settings["k"]
    np.testing.assert_allclose(fit.head(test_h)[:, 0].numpy(), probe.prediction, rtol=1e-6)
    assert len(fit.ks) == len(fit.val_scores)
    assert min(fit.val_scores) == fit.val_scores[fit.ks.index(int(fit.head.k))]


def test_several_targets_share_their_neighbours() -> None:
    (h, y), (val_h, val_y) = _rows(60, 0), _rows(30, 1)
    fit = fit_neighbours(h, y, val_h, val_y)
    alone = [Neighbours(h, y[:, [i]], int(fit.head.k))(val_h) for i in (0, 1)]
    torch.testing.assert_close(fit.head(val_h), torch.cat(alone, dim=1))
    assert min(fit.val_scores) == pytest.approx(float((fit.head(val_h) - val_y).abs().mean()), rel=1e-5)


def test_a_collapsed_representation_gives_the_mean() -> None:
    y = torch.tensor([[1.0], [2.0], [6.0]])
    for k in (1, 2, 3):
        assert Neighbours(torch.ones(3, 2), y, k)(torch.ones(1, 2)).item() == pytest.approx(3)


def test_no_rows_give_no_answers() -> None:
    assert Neighbours(torch.ones(3, 2), torch.ones(3, 4), 1)(torch.ones(0, 2)).shape == (0, 4)


def test_what_is_not_finite_is_refused() -> None:
    (h, y), (val_h, val_y) = _rows(60, 0), _rows(30, 1)
    h[4, 1] = torch.nan
    with pytest.raises(ShapeError, match="row 4"):
        fit_neighbours(h, y, val_h, val_y)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(120, 3))
    path = tmp_path_factory.mktemp("table") / "t.csv"
    pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "y": x[:, 0] + 2 * x[:, 1], "z": x[:, 2]}).to_csv(path)
    return path


def test_a_run_with_it_is_kept_loaded_and_asked(table: Path, tmp_path: Path) -> None:
    settings = {"features": ("a", "b", "c"), "target": ("y", "z"), "passes": 8, "batch_size": 32}
    run = isotone.fit(table, method="rnc", head="knn", interval=0.8, out=tmp_path / "run", quiet=True, **settings)
    made = pd.read_csv(run.folder / "predictions.csv")
    again = isotone.load(tmp_path / "run")
    np.testing.assert_array_equal(again.predict(table), run.predict(table))
    test = made[made["split"] == "test"]
    rows = [row for row in run.metrics["rows"] if (row["split"], row["role"]) == ("test", "model")]
    mae = {row["target"]: row["mae"]["value"] for row in rows}
    for name in ("y", "z"):
        error = (test[f"predicted_{name}"] - test[name]).abs().mean()
        assert error == pytest.approx(mae[name], rel=1e-5)
        assert error < test[name].std()  # it has learned something
        assert made[f"predicted_{name}"].between(made[name].min() - 1e-9, made[name].max() + 1e-9).all()
        assert made.columns.str.contains(f"{name}_low|{name}_high|low_{name}|high_{name}").sum() == 2
    assert run.metrics["head"]["k"] in run.metrics["head"]["ks"]
    assert {row["model"] for row in rows} == {f"rnc, knn head (k = {run.metrics['head']['k']})"}


def test_on_a_circle_neighbours_meet_across_the_seam(tmp_path: Path) -> None:
    angle = np.linspace(0, 360, 200, endpoint=False)
    x = np.stack([np.cos(np.radians(angle)), np.sin(np.radians(angle))], axis=1)
    pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": angle}).to_csv(tmp_path / "t.csv", index=False)
    settings = {"features": ("a", "b"), "geometry": "circle:360", "passes": 40, "batch_size": 32}
    run = isotone.fit(tmp_path / "t.csv", target="y", method="rnc", head="knn", out=tmp_path / "run", **settings)
    off = np.abs(run.predict(tmp_path / "t.csv") - angle)
    assert np.minimum(off, 360 - off)[[0, 1, 2, -2, -1]].max() < 20  # a mean of the angles themselves is near 180


def test_a_study_and_a_comparison_have_it(table: Path, tmp_path: Path) -> None:
    settings = {"features": ("a", "b", "c"), "target": ("y", "z"), "passes": 4, "batch_size": 32}
    isotone.compare(
        table,
        methods=["baseline", "rnc"],
        heads=["knn"],
        seeds=1,
        tune="none",
        out=tmp_path / "cmp",
        quiet=True,
        **settings,
    )
    arms = pd.read_csv(tmp_path / "cmp" / "compare.csv")
    assert set(arms["arm"]) == {"baseline-l1", "rnc-knn", "median", "mean", "linear-raw"}
    run = isotone.fit(table, method="rnc", head="knn", out=tmp_path / "run", quiet=True, **settings)
    rows = {row["target"]: row for row in run.metrics["rows"] if (row["split"], row["role"]) == ("test", "model")}
    found = arms[arms["arm"] == "rnc-knn"].set_index("target")["mae"]
    assert {name: row["mae"]["value"] for name, row in rows.items()} == pytest.approx(found.to_dict(), rel=1e-6)


def test_a_study_of_schemes_refuses_it_before_it_trains(table: Path, tmp_path: Path) -> None:
    settings = {"features": ("a", "b"), "target": ("y",), "passes": 60}
    with pytest.raises(ConfigError) as caught:
        scheme(table, out=tmp_path / "study", method="rnc head=knn", quiet=True, **settings)
    assert str(caught.value) == (
        "the study trains encoder and head on, and the head knn has nothing to train. Name another: --head l1."
    )
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "baseline"}, "head"),
        ({"method": "rnc", "scheme": "finetune"}, "knn has nothing to train"),
    ],
)
def test_it_cannot_be_trained(table: Path, tmp_path: Path, settings: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        isotone.fit(
            table, features=("a", "b"), target="y", head="knn", passes=2, out=tmp_path / "run", quiet=True, **settings
        )  # type: ignore[arg-type]


def test_classes_are_refused(table: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="predicts numbers"):
        isotone.fit((np.eye(90), list("abc") * 30), method="simclr", head="knn", passes=2, out=tmp_path / "run")
