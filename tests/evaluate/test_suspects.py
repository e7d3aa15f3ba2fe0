"""Planted wrong targets come first; neighbours are of other groups; what cannot be ranked is refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from isotone.data.arrays import load_arrays
from isotone.data.settings import DataSettings
from isotone.data.views import Views
from isotone.errors import ConfigError, ShapeError
from isotone.evaluate.suspects import averaged, first, suspects
from isotone.records import Dataset

CPU = torch.device("cpu")


def _line(rows: int = 200, groups: np.ndarray | None = None) -> Dataset:
    """A representation that is the target itself, with a little noise."""
    draw = np.random.default_rng(0)
    y = draw.uniform(0, 100, rows)
    h = np.stack([y + draw.normal(0, 1, rows), draw.normal(0, 1, rows)], 1)
    return load_arrays(h, y, groups=groups, settings=DataSettings(), seed=0)


def test_planted_targets_come_first() -> None:
    data = _line()
    wrong = np.random.default_rng(1).choice(data.rows("train"), 8, replace=False)
    target = data.target.copy()
    target[wrong] = (target[wrong] + 50) % 100
    found = suspects(replace(data, target=target), data.inputs)
    assert set(found.index[:8]) == set(wrong)
    assert found.score[7] > 4 > found.score[8]
    assert np.all(np.diff(found.score) <= 0)
    np.testing.assert_allclose(found.said[:8, 0], data.target[found.index[:8], 0], atol=12)  # 20 of 140 neighbours
    assert sorted(found.index) == data.rows("train").tolist()
    assert first(found, 3).near.shape == (3, 5)


def test_the_spread_of_the_neighbours_excuses_a_disagreement() -> None:
    """Two rows are 20 off: one among neighbours that agree, one among neighbours that do not."""
    draw = np.random.default_rng(0)
    side = np.arange(160) % 2
    h = np.stack([100.0 * side + draw.normal(0, 1, 160), draw.normal(0, 1, 160)], 1)
    y = 50 + draw.normal(0, 1, 160) * np.where(side == 1, 20, 1)
    y[[4, 5]] = 70.0
    split = np.array(["train"] * 140 + ["val"] * 10 + ["test"] * 10)
    data = load_arrays(h, y, split=split, settings=DataSettings(), seed=0)
    score = dict(zip(*(lambda s: (s.index.tolist(), s.score.tolist()))(suspects(data, h)), strict=True))
    assert score[4] > 5
    assert score[5] < 2


def test_neighbours_are_training_rows_of_other_groups() -> None:
    data = _line(groups=np.arange(200) // 5)
    found = suspects(data, data.inputs, rows="all")
    assert data.group is not None
    assert sorted(found.index) == list(range(200))
    assert not np.any(data.group[found.near] == data.group[found.index][:, None])
    assert set(data.split[found.near].ravel()) == {"train"}


def test_neighbours_are_the_nearest_in_any_block(monkeypatch: pytest.MonkeyPatch) -> None:
    data = _line()
    whole = suspects(data, data.inputs + 1e4, neighbours=4)
    monkeypatch.setattr("isotone.evaluate.suspects.BLOCK", 1000)
    parts = suspects(data, data.inputs + 1e4, neighbours=4)
    assert whole.near.tolist() == parts.near.tolist()
    one, train = int(whole.index[0]), data.rows("train")
    distance = np.linalg.norm(data.inputs[train] - data.inputs[one], axis=1)
    assert whole.near[0].tolist() == train[np.argsort(distance)[1:5]].tolist()


def test_rows_without_a_target_are_left_out() -> None:
    data = _line()
    target = data.target.copy()
    target[data.rows("train")[:20]] = np.nan
    found = suspects(replace(data, target=target), data.inputs)
    assert len(found.index) == len(data.rows("train")) - 20
    assert np.isfinite(found.score).all()
    assert np.isfinite(found.said).all()


def test_targets_that_all_agree_have_no_suspects() -> None:
    data = _line()
    found = suspects(replace(data, target=np.full_like(data.target, 7.0)), data.inputs)
    assert found.score.tolist() == [0.0] * len(data.rows("train"))


def test_any_of_several_targets_makes_a_suspect() -> None:
    data = _line()
    target = np.concatenate([data.target, 1000 - 10 * data.target], 1)
    one = data.rows("train")[3]
    target[one, 1] = (target[one, 1] + 500) % 1000
    found = suspects(replace(data, target=target, target_names=("a", "b")), data.inputs)
    assert found.index[0] == one
    assert found.said.shape == (len(data.rows("train")), 2)


def test_what_cannot_be_ranked_is_refused() -> None:
    classes = load_arrays(np.eye(60), np.resize(["x", "y"], 60), settings=DataSettings(category="c"), seed=0)
    with pytest.raises(ConfigError) as caught:
        suspects(classes, classes.inputs)
    assert str(caught.value) == (
        "suspects are rows whose number disagrees with their neighbours', but these data have no target of numbers. "
        "Use a run with --target."
    )
    data = _line()
    with pytest.raises(ConfigError) as few:
        suspects(replace(data, group=np.where(np.arange(200) < 198, "a", "b")), data.inputs)
    rows = set(data.rows("train")) & {198, 199}
    assert str(few.value) == (
        "suspects need at least 3 training rows of other groups for each row, but the largest group leaves "
        f"{len(rows)}. Give more groups, or a finer --group."
    )
    with pytest.raises(ShapeError) as broken:
        suspects(data, data.inputs * np.nan)
    assert str(broken.value) == "Suspects expect finite representations. Look for a diverged encoder."


def test_a_row_is_the_mean_of_its_views() -> None:
    data = _line(40)
    net = nn.Linear(2, 3)
    views = Views("rows", 0, ("mild",), 0, (0.0, 0.0), (1.0, 1.0))
    clean = averaged(net, data, views, device=CPU, count=0)
    some = averaged(net, data, views, device=CPU, count=4)
    assert some.shape == (40, 3)
    assert np.array_equal(some, averaged(net, data, views, device=CPU, count=4))
    expected = data.inputs @ net.weight.detach().numpy().T + net.bias.detach().numpy()
    np.testing.assert_allclose(clean, expected, rtol=1e-5, atol=1e-5)
