"""Run folders to report on: small, but every number in them is computed from scikit-learn's handwritten digits.

Each image is turned by a known angle; a linear model on random features learns to read the angle back. `widths` is
the number of features: two runs with different widths are the two sides of a comparison.
"""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import rotate
from scipy.stats import kendalltau, pearsonr, spearmanr
from sklearn.datasets import load_digits
from sklearn.linear_model import Ridge

Interval = dict[str, float | None]
SPLITS = ("train", "val", "test")


@dataclass
class Table:
    """Turned digits, their targets (n, k), the digit as a group, and the split."""

    image: np.ndarray
    target: np.ndarray
    digit: np.ndarray
    split: np.ndarray
    names: list[str]


def turned_digits(rows: int, k: int) -> Table:
    data = load_digits()
    rng = np.random.default_rng(7)
    angle = rng.uniform(-60, 60, rows)
    turned = [rotate(x, a, reshape=False, order=1) for x, a in zip(data.images[:rows], angle, strict=True)]
    image = np.clip(np.stack(turned) * 16, 0, 255).astype(np.uint8)[..., None]  # scikit-learn's pixels are 0 to 16
    target = np.stack([angle, image.mean((1, 2, 3))], 1)[:, :k]
    split = np.array(["train", "train", "train", "val", "test"])[np.arange(rows) % 5]
    return Table(image, target, data.target[:rows].astype(str), split, ["angle", "ink"][:k])


def learn(table: Table, width: int, epochs: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, object]]]:
    """Return the features, the prediction by gradient descent, the prediction by ridge, and the training log."""
    rng = np.random.default_rng(width)
    pixels = table.image.reshape(len(table.image), -1) / 255.0
    h = np.tanh(pixels @ rng.normal(0, 1.0, (pixels.shape[1], width)) + rng.normal(0, 0.5, width))
    train, val = table.split == "train", table.split == "val"
    mean, std = table.target[train].mean(0), table.target[train].std(0)
    y, weights, bias, log = (table.target - mean) / std, np.zeros((width, table.target.shape[1])), 0.0, []
    for epoch in range(epochs):
        rate = 0.8 / width * 0.5 * (1 + np.cos(np.pi * epoch / epochs))
        for _ in range(20):
            error = h[train] @ weights + bias - y[train]
            weights = weights - rate * h[train].T @ error / train.sum()
            bias = bias - rate * error.mean(0)
        out = h @ weights + bias
        score = float(np.abs((out - y)[val]).mean())
        loss = float((error**2).mean())
        log.append({"epoch": epoch + 1, "step": 20 * (epoch + 1), "seconds": 0.01, "loss": loss, "lr": rate})
        log[-1] |= {"wait_share": 0.0, "score": score, "parts": {}}
    refit = Ridge(1.0).fit(h[train], y[train]).predict(h).reshape(len(h), -1)
    return h.astype(np.float32), out * std + mean, refit * std + mean, log


def interval(draw: Callable[[np.ndarray], float], n: int) -> Interval:
    """Return a statistic of rows with its bootstrap interval; null where it is not defined."""
    rng = np.random.default_rng(0)
    values = [draw(rng.integers(0, n, n)) for _ in range(60)]
    low, high = np.quantile(values, (0.025, 0.975))
    numbers = {"value": draw(np.arange(n)), "low": low, "high": high}
    return {name: float(x) if np.isfinite(x) else None for name, x in numbers.items()}


def score(model: str, role: str, name: str, y: np.ndarray, p: np.ndarray) -> dict[str, object]:
    n, constant = len(y), np.ptp(p) == 0
    row: dict[str, object] = {"model": model, "role": role, "target": name, "split": "test", "n": n}
    row["mae"] = interval(lambda i: np.abs(y[i] - p[i]).mean(), n)
    row["rmse"] = interval(lambda i: np.sqrt(((y[i] - p[i]) ** 2).mean()), n)
    row["r2"] = interval(lambda i: 1 - ((y[i] - p[i]) ** 2).sum() / ((y[i] - y[i].mean()) ** 2).sum(), n)
    row["pearson"] = interval(lambda i: float("nan") if constant else pearsonr(y[i], p[i])[0], n)
    row["spearman"] = interval(lambda i: float("nan") if constant else spearmanr(y[i], p[i])[0], n)
    return row


def metrics(table: Table, h: np.ndarray, out: np.ndarray, refit: np.ndarray, name: str, grouped: bool) -> dict:
    test, train = table.split == "test", table.split == "train"
    rows = []
    for j, target in enumerate(table.names):
        y = table.target[test, j]
        median, mean = np.median(table.target[train, j]), table.target[train, j].mean()
        rows.append(score(f"{name}, l1 head", "model", target, y, out[test, j]))
        rows.append(score(f"{name}, ridge refit", "refit", target, y, refit[test, j]))
        rows.append(score("median predictor", "constant", target, y, np.full(len(y), median)))
        rows.append(score("mean predictor", "constant", target, y, np.full(len(y), mean)))
    edges = np.quantile(table.target[:, 0], np.linspace(0, 1, 7))
    error = np.abs(out - table.target)[:, 0]
    place = np.clip(np.searchsorted(edges, table.target[:, 0], "right") - 1, 0, 5)
    by_bin = []
    for b in range(6):
        here, mae = (place == b) & test, None
        mae = float(error[here].mean()) if here.any() else None
        span = {"target": table.names[0], "low": float(edges[b]), "high": float(edges[b + 1])}
        by_bin.append(span | {"n_train": int(((place == b) & train).sum()), "n": int(here.sum()), "mae": mae})
    by_group = []
    for digit in sorted(set(table.digit)) if grouped else []:
        here = (table.digit == digit) & test
        if here.any():
            by_group.append({"group": digit, "n": int(here.sum()), "mae": float(error[here].mean())})
    return {"rows": rows, "order": order(h[test], table.target[test]), "by_bin": by_bin, "by_group": by_group}


def order(h: np.ndarray, target: np.ndarray) -> dict[str, object]:
    n = min(len(h), 60)
    near = np.linalg.norm(h[:n, None] - h[None, :n], axis=-1)
    far = np.abs(target[:n, None] - target[None, :n]).sum(-1)
    upper = np.triu_indices(n, 1)
    closer = far[:, :, None] < far[:, None, :]
    kept = (near[:, :, None] < near[:, None, :])[closer].mean()
    rho, tau = spearmanr(near[upper], far[upper])[0], kendalltau(near[upper], far[upper])[0]
    return {"spearman": float(rho), "kendall": float(tau), "ordered_triples": float(kept), "n": n, "split": "test"}


def describe(table: Table, kind: str, grouped: bool) -> dict[str, object]:
    sides = {side: int((table.split == side).sum()) for side in SPLITS}
    digits = {side: set(table.digit[table.split == side]) for side in SPLITS}
    statistics = {"min": np.min, "median": np.median, "mean": np.mean, "max": np.max, "std": np.std}
    return {
        "name": "digits.csv",
        "kind": kind,
        "rows": len(table.target),
        "target_names": table.names,
        "group_name": "digit" if grouped else None,
        "counts": sides,
        "groups": {side: len(found) for side, found in digits.items()} if grouped else None,
        "shared_groups": len(digits["test"] & digits["train"]) if grouped else None,
        "target": {
            name: {stat: float(f(table.target[:, j])) for stat, f in statistics.items()}
            for j, name in enumerate(table.names)
        },
        "warnings": [] if grouped else ["Column 'digit' looks like a group: 10 values. Name it with --group digit."],
        "bad_rows": 0,
        "fingerprint": sha256(table.image.tobytes() + table.target.tobytes()).hexdigest(),
    }


def write_arrays(folder: Path, table: Table, h: np.ndarray, out: np.ndarray, kind: str, grouped: bool) -> None:
    n, images = len(h), kind == "image"
    label = np.array([f"digit-{i:04d}.png" if images else f"row {i + 2}" for i in range(n)])
    np.savez_compressed(
        folder / "features.npz",
        index=np.arange(n),
        label=label,
        split=table.split,
        group=table.digit if grouped else np.array([], dtype=str),
        target=table.target,
        prediction=out,
        h=h,
        thumb=table.image if images else np.zeros(0, np.uint8),
    )
    if images:
        views = np.stack([np.roll(table.image[:8], shift, axis=2) for shift in (0, 1)], 1)  # (r, v, s, s, c)
        np.savez_compressed(folder / "views.npz", image=views, label=label[:8], target=table.target[:8])


def make_run(
    folder: Path, *, name: str = "rnc", width: int = 64, rows: int = 300, k: int = 1, kind: str = "image",
    grouped: bool = True, logged: bool = True,
) -> Path:  # fmt: skip
    """Write a whole run folder, except for the model, which a report does not read."""
    folder.mkdir(parents=True)
    table = turned_digits(rows, k)
    h, out, refit, log = learn(table, width, epochs=30)
    command = f"isotone fit digits.csv --target {' '.join(table.names)} --method {name} --out runs/{name} --seed 0"
    config = {"method": name, "head": "l1", "passes": 600, "batch_size": 180, "lr": 0.8 / width, "width": width}
    run: dict[str, object] = {"isotone": "0.1.0", "versions": {"python": "3.11.7", "numpy": np.__version__}}
    run |= {"command": command, "seed": 0, "git": None, "started": "2026-11-01T10:00:00", "seconds": 4.2}
    run |= {"method": name, "status": "done"}
    (folder / "config.yaml").write_text("".join(f"{key}: {value}\n" for key, value in config.items()))
    (folder / "run.json").write_text(json.dumps(run))
    (folder / "data.json").write_text(json.dumps(describe(table, kind, grouped)))
    (folder / "metrics.json").write_text(json.dumps(metrics(table, h, out, refit, name, grouped)))
    if logged:
        (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log))
    write_arrays(folder, table, h, out, kind, grouped)
    return folder


# ----------------------------------------------------------------------------------------------------------------------
# runs that tell the digits apart, and runs without labels

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def plain_digits(rows: int) -> Table:
    """Return digits as they are, the classes mixed over the sides of the split."""
    data = load_digits()
    image = np.clip(data.images[:rows] * 16, 0, 255).astype(np.uint8)[..., None]
    split = np.random.default_rng(3).permutation(
        np.array(["train", "train", "train", "val", "test"])[np.arange(rows) % 5]
    )
    return Table(image, np.zeros((rows, 0)), data.target[:rows].astype(str), split, [])


def tell_apart(table: Table, width: int, epochs: int) -> tuple[np.ndarray, np.ndarray, list[dict[str, object]]]:
    """Return the features, the probability of each digit (n, 10), and the log of a softmax regression on them."""
    rng = np.random.default_rng(width)
    pixels, digit = table.image.reshape(len(table.image), -1) / 255.0, table.digit.astype(int)
    h = np.tanh(pixels @ rng.normal(0, 0.7, (pixels.shape[1], width)))
    train, val = table.split == "train", table.split == "val"
    weights, log = np.zeros((width, 10)), []
    for epoch in range(epochs):
        for _ in range(20):
            logits = h @ weights + 1e-3 * h[:, :1]
            p = np.exp(logits - logits.max(1, keepdims=True))
            p /= p.sum(1, keepdims=True)
            weights = weights - 0.05 * h[train].T @ (p[train] - np.eye(10)[digit[train]]) / train.sum()
        loss, right = -np.log(p[np.arange(len(p)), digit]), p.argmax(1) == digit
        logits = logits - logits.mean(0)
        share = np.linalg.svd(logits, compute_uv=False) / np.linalg.norm(logits, "nuc")
        rank = float(np.exp(-(share * np.log(share + 1e-12)).sum()))
        watch = {"knn": float(right[val].mean()), "effective_rank": rank, "dead_units": float((share < 1e-9).mean())}
        watch |= {"cosine": 0.4, "spread": 0.6}
        log.append({"epoch": epoch + 1, "step": 20 * (epoch + 1), "seconds": 0.1, "loss": float(loss[train].mean())})
        log[-1] |= {"lr": 0.2, "wait_share": 0.0, "micro_batch": 64, "score": None, "parts": {}}
        log[-1] |= {"watch": watch if epoch % 3 == 0 or epoch == epochs - 1 else {}}
    return h.astype(np.float32), p, log


def class_score(model: str, role: str, split: str, true: np.ndarray, guess: np.ndarray) -> dict[str, object]:
    right = true == guess
    row = {"model": model, "role": role, "target": "digit", "split": split, "n": len(true)}

    def balanced(i: np.ndarray) -> float:
        return float(np.mean([right[i][true[i] == c].mean() for c in np.unique(true[i])]))

    return row | {
        "accuracy": interval(lambda i: right[i].mean(), len(true)),
        "balanced_accuracy": interval(balanced, len(true)),
    }


def class_metrics(table: Table, probability: np.ndarray, name: str, grouped: bool) -> dict[str, object]:
    test, train, true = table.split == "test", table.split == "train", table.digit.astype(int)
    guess = probability.argmax(1)
    often = np.full(len(true), np.bincount(true[train]).argmax())
    rows = []
    for split in ("test", "val"):
        here = table.split == split
        rows.append(class_score(f"{name}, classify head", "model", split, true[here], guess[here]))
        constant = "most frequent class of the training rows"
        rows.append(class_score(constant, "constant", split, true[here], often[here]))
    confusion = np.zeros((10, 10), int)
    np.add.at(confusion, (true[test], guess[test]), 1)
    by_class = [
        {"class": word, "n_train": int((true[train] == c).sum()), "n": int((true[test] == c).sum())}
        | {"recall": float((guess == c)[test & (true == c)].mean()) if (true[test] == c).any() else None}
        for c, word in enumerate(WORDS)
    ]
    writers = writer(table)
    by_group = [
        {"group": w, "n": int(here.sum()), "accuracy": float((guess == true)[here].mean())}
        for w in sorted(set(writers))
        if grouped and (here := test & (writers == w)).any()
    ]
    return {"task": "classes", "rows": rows, "by_class": by_class, "confusion": confusion.tolist()} | {
        "classes": list(WORDS),
        "by_group": by_group,
        "order": None,
    }


def writer(table: Table) -> np.ndarray:
    return np.array([f"writer {i // 10 % 8}" for i in range(len(table.digit))])


def write_common(folder: Path, name: str, target: str, log: list[dict[str, object]]) -> None:
    folder.mkdir(parents=True)
    command = f"isotone fit digits.csv {target}--method {name} --out runs/{name} --seed 0"
    run: dict[str, object] = {"isotone": "0.1.0", "versions": {"python": "3.11.7"}, "command": command, "seed": 0}
    run |= {"git": None, "started": "2026-11-01T10:00:00", "seconds": 4.2, "method": name, "status": "done"}
    (folder / "config.yaml").write_text(f"method: {name}\nbatch_size: 180\n")
    (folder / "run.json").write_text(json.dumps(run))
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log))


def write_probes(folder: Path, target: str, scores: Sequence[float]) -> None:
    """Two calls of `linear`, of which the later counts, one of `layers`, a row a stage, and a repeated `low-shot`."""
    at = {"split": "test", "n": 60, "target": target, "score_name": "accuracy", "higher_is_better": True, "notes": []}
    lines: list[dict[str, object]] = []
    for minute, score in ((0, 0.5), (1, scores[-1])):
        row = {"time": f"2026-11-01T10:0{minute}:00", "probe": "linear", "score": score, "settings": {"penalty": 0.01}}
        lines.append(row | at | {"accuracy": {"value": score, "low": score - 0.05, "high": score + 0.04}})
    for stage, score in zip(("stages.0", "stages.1", "stages.2", "representation"), scores, strict=True):
        row = {"time": "2026-11-01T10:02:00", "probe": "layers", "stage": stage, "score": score, "settings": {}}
        lines.append(row | at)
    row = {
        "time": "2026-11-01T10:03:00",
        "probe": "low-shot",
        "score": 0.5,
        "std": 0.02,
        "settings": {"rows_per_class": 1},
    }
    lines.append(row | at)
    (folder / "probes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def make_class_run(
    folder: Path, *, name: str = "supcon", width: int = 48, rows: int = 300, kind: str = "image", grouped: bool = True
) -> Path:
    """Write a whole run folder of a run that tells the digits apart."""
    table = plain_digits(rows)
    h, probability, log = tell_apart(table, width, 12)
    write_common(folder, name, "--category digit ", log)
    guess, category = probability.argmax(1), table.digit.astype(int)
    bare = replace(table, digit=writer(table))
    about = describe(bare, kind, grouped) | {"fingerprint": "digits", "warnings": []}
    about |= {"group_name": "writer" if grouped else None, "category_name": "digit", "task": "classes"}
    about["labelled"] = about["counts"]
    about["classes"] = {
        word: {side: int(((category == c) & (table.split == side)).sum()) for side in SPLITS}
        for c, word in enumerate(WORDS)
    }
    (folder / "data.json").write_text(json.dumps(about))
    (folder / "metrics.json").write_text(json.dumps(class_metrics(table, probability, name, grouped)))
    write_arrays(folder, bare, h, guess[:, None].astype(float), kind, grouped)
    add_arrays(folder / "features.npz", category=category, classes=np.array(WORDS))
    head = ["row", "label", "split", "digit", "predicted_digit", *(f"probability_{word}" for word in WORDS)]
    lines = [
        ",".join([str(i + 2), f"digit-{i:04d}.png", split, WORDS[true], WORDS[g], *(f"{x:.4f}" for x in p)])
        for i, (split, true, g, p) in enumerate(zip(table.split, category, guess, probability, strict=True))
    ]
    (folder / "predictions.csv").write_text("\n".join([",".join(head), *lines]) + "\n")
    if kind == "image":
        add_arrays(folder / "views.npz", category=category[:8])
    write_probes(folder, "digit", (0.6, 0.8, 0.85, 0.75) if name == "supcon" else (0.6, 0.7, 0.6, 0.4))
    return folder


def make_unlabelled_run(folder: Path, *, name: str = "simclr", width: int = 48, rows: int = 300) -> Path:
    """Write a whole run folder of a run that was given no labels."""
    table = plain_digits(rows)
    h, _, log = tell_apart(table, width, 12)
    for line in log:
        line["watch"].pop("knn", None)  # there are no labels to probe with
    write_common(folder, name, "", log)
    (folder / "data.json").write_text(json.dumps(describe(table, "image", False) | {"warnings": []}))
    (folder / "metrics.json").write_text(json.dumps({"task": "none", "rows": [], "order": None}))
    write_arrays(folder, table, h, np.zeros((rows, 0)), "image", False)
    return folder


def add_arrays(path: Path, **arrays: np.ndarray) -> None:
    with np.load(path, allow_pickle=False) as raw:
        everything = dict(raw) | arrays
    np.savez_compressed(path, **everything)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Finished runs, made once.

    Of numbers: two that compare (`baseline`, `rnc`), a bare one (rows, two targets, no groups). Of classes: two that
    compare (`linear`, `supcon`), one of rows without groups (`plain`). Without labels: `simclr`.
    """
    base = tmp_path_factory.mktemp("runs")
    return {
        "baseline": make_run(base / "baseline", name="baseline", width=8, rows=200),
        "rnc": make_run(base / "rnc", rows=200),
        "bare": make_run(base / "bare", rows=60, k=2, kind="rows", grouped=False, logged=False),
        "supcon": make_class_run(base / "supcon"),
        "linear": make_class_run(base / "linear", name="linear", width=6),
        "plain": make_class_run(base / "plain", width=24, rows=100, kind="rows", grouped=False),
        "simclr": make_unlabelled_run(base / "simclr", rows=120),
    }


@pytest.fixture
def copied(finished: dict[str, Path], tmp_path: Path) -> Callable[..., Path]:
    """Copy a finished run to change it; `drop` names files to leave out."""

    def copy(name: str, *, drop: Sequence[str] = (), to: str | None = None) -> Path:
        return Path(shutil.copytree(finished[name], tmp_path / (to or name), ignore=lambda _, __: drop))

    return copy
