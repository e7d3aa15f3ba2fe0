"""Read a finished run folder into plain records; nothing is computed here and nothing else of the report reads files.

Every text that comes from the user is made printable here (control characters replaced, very long texts shortened);
escaping is the page's business.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypedDict, TypeVar, cast, get_args
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Float, UInt8

from isotone.errors import ConfigError
from isotone.report.collect_classes import read_classes, read_confidence
from isotone.report.collect_probes import read_probes
from isotone.report.contents import Bin, Classes, Data, Epoch, Group, Order, Points, Run, Score, Task, Views
from isotone.report.intervals import read_intervals
from isotone.report.values import LONGEST_VALUE, count, interval, number, rows, text

REQUIRED = ("config.yaml", "run.json", "data.json", "metrics.json", "features.npz")
SPLITS = ("train", "val", "test")

_T = TypeVar("_T")


class _Judged(TypedDict):
    task: Task
    scores: tuple[Score, ...]
    order: Order | None
    bins: tuple[Bin, ...]
    groups: tuple[Group, ...]
    classes: Classes | None


def collect(run: Path) -> Run:
    """Read a finished run folder.

    Args:
        run: the folder that `isotone fit` wrote.

    Returns:
        the records; missing optional parts (log, views, groups, thumbnails, order) are empty or None.

    Raises:
        ConfigError: `run` is not a folder, holds no run, holds an unfinished one, or one of its files is damaged.

    Example:
        >>> collect(Path("none"))
        Traceback (most recent call last):
        isotone.errors.ConfigError: There is no folder none. Give the folder that `isotone fit` wrote (its `--out`).
    """
    _refuse_unfinished(run)
    info = _read(run / "run.json", json.loads)
    metrics = _read(run / "metrics.json", json.loads)
    data = _parsed(run / "data.json", lambda: _data(_read(run / "data.json", json.loads)))
    judged = _parsed(run / "metrics.json", lambda: _judged(metrics, data))
    points = _parsed(run / "features.npz", lambda: _points(run / "features.npz"))
    if judged["task"] == "classes":
        points = _parsed(run / "predictions.csv", lambda: _confident(points, run / "predictions.csv", data.rows))
    return Run(
        folder=run,
        method=text(info.get("method", "model")),
        command=text(info.get("command", ""), LONGEST_VALUE),
        seed=text(info.get("seed", "")),
        started=text(info.get("started", "")),
        seconds=number(info.get("seconds")),
        versions=_versions(info),
        commit=_commit(info.get("git")),
        config=_config(run / "config.yaml"),
        data=data,
        log=_parsed(run / "log.jsonl", lambda: _log(run / "log.jsonl")),
        points=points,
        views=_parsed(run / "views.npz", lambda: _views(run / "views.npz")),
        intervals=_parsed(run / "metrics.json", lambda: read_intervals(metrics)),
        probes=_parsed(run / "probes.jsonl", lambda: read_probes(run / "probes.jsonl")),
        **judged,
    )


# ----------------------------------------------------------------------------------------------------------------------


def _refuse_unfinished(run: Path) -> None:
    if not run.is_dir():
        raise ConfigError(f"There is no folder {run}. Give the folder that `isotone fit` wrote (its `--out`).")
    status = _read(run / "run.json", json.loads).get("status", "done") if (run / "run.json").is_file() else None
    if status not in (None, "done"):
        raise ConfigError(
            f"The run in {run} is not finished (status {status!r}), so there is nothing to report yet. "
            f"Finish it with `isotone resume {run}`."
        )
    missing = [name for name in REQUIRED if not (run / name).is_file()]
    if len(missing) == len(REQUIRED):
        raise ConfigError(
            f"{run} is not a run folder: it holds none of {', '.join(REQUIRED)}. "
            "Give the folder that `isotone fit` wrote (its `--out`)."
        )
    if missing:
        raise ConfigError(
            f"The run in {run} is not finished: {', '.join(missing)} is missing. Finish it with `isotone resume {run}`."
        )


def _read(path: Path, parse: Callable[[str], object]) -> Mapping[str, object]:
    content = _parsed(path, lambda: parse(path.read_text(encoding="utf-8")))
    if not isinstance(content, Mapping):
        raise _damaged(path, f"it holds a {type(content).__name__} where a mapping is expected")
    return cast(Mapping[str, object], content)


def _parsed(path: Path, parse: Callable[[], _T]) -> _T:
    try:
        return parse()
    except ConfigError:
        raise
    except KeyError as error:
        raise _damaged(path, f"the entry {error} is missing") from error
    except (ValueError, TypeError, AttributeError, IndexError, OSError, EOFError, BadZipFile) as error:
        raise _damaged(path, (str(error).splitlines() or [type(error).__name__])[0]) from error


def _damaged(path: Path, why: str) -> ConfigError:
    return ConfigError(f"{path} cannot be read as part of a run: {why}. Run `isotone fit` again to write it anew.")


def _judged(metrics: Mapping[str, object], data: Data) -> _Judged:
    """Return what `metrics.json` holds; runs made before there were classes name no task and predict numbers."""
    task = metrics.get("task", "numbers")
    if task not in get_args(Task):
        raise ValueError(f"its task is {task!r}, not one of {', '.join(get_args(Task))}")
    numbers = task == "numbers"
    first = data.target_names[0] if data.target_names else ""
    scored = rows(metrics["rows"])
    return {
        "task": cast(Task, task),
        "scores": tuple(map(_score, scored)) if numbers else (),
        "order": _order(metrics.get("order")),
        "bins": _bins(metrics.get("by_bin"), first) if numbers else (),
        "groups": _groups(metrics.get("by_group")) if numbers else (),
        "classes": read_classes(metrics) if task == "classes" else None,
    }


def _score(raw: Mapping[str, object]) -> Score:
    return Score(
        model=text(raw["model"]),
        role=text(raw["role"]),
        target=text(raw["target"]),
        split=text(raw["split"]),
        n=count(raw["n"]),
        mae=interval(raw.get("mae")),
        rmse=interval(raw.get("rmse")),
        r2=interval(raw.get("r2")),
        pearson=interval(raw.get("pearson")),
        spearman=interval(raw.get("spearman")),
    )


def _order(raw: object) -> Order | None:
    if not raw:
        return None
    given = cast(Mapping[str, object], raw)
    values = (number(given.get(name)) for name in ("spearman", "kendall", "ordered_triples"))
    return Order(*values, n=count(given["n"]), split=text(given["split"]))


def _bins(raw: object, target: str) -> tuple[Bin, ...]:
    return tuple(
        Bin(
            low=number(row["low"]),
            high=number(row["high"]),
            n_train=count(row["n_train"]),
            n=count(row["n"]),
            mae=number(row["mae"]),
        )
        for row in rows(raw)
        if text(row.get("target", target)) == target
    )


def _groups(raw: object) -> tuple[Group, ...]:
    return tuple(Group(text(row["group"]), count(row["n"]), number(row["mae"])) for row in rows(raw))


def _data(raw: Mapping[str, object]) -> Data:
    statistics = cast(Mapping[str, Mapping[str, object]], raw.get("target") or {})
    classes = cast(Mapping[str, object], raw.get("classes") or {})
    shared = raw.get("shared_groups")
    return Data(
        name=text(raw["name"]),
        kind=text(raw["kind"]),
        rows=count(raw["rows"]),
        target_names=tuple(text(name) for name in cast(list[object], raw["target_names"])),
        group_name=None if raw.get("group_name") is None else text(raw["group_name"]),
        counts=_counts(raw["counts"]),
        groups=None if raw.get("groups") is None else _counts(raw["groups"]),
        shared_groups=None if shared is None else count(shared),
        statistics={text(k): {text(name): number(v) for name, v in row.items()} for k, row in statistics.items()},
        warnings=tuple(text(line, LONGEST_VALUE) for line in cast(list[object], raw.get("warnings") or [])),
        bad_rows=count(raw.get("bad_rows") or 0),
        fingerprint=text(raw.get("fingerprint", "")),
        labelled=None if raw.get("labelled") is None else _counts(raw["labelled"]),
        classes={text(name): _counts(row) for name, row in classes.items()},
    )


def _counts(raw: object) -> dict[str, int]:
    given = cast(Mapping[str, object], raw)
    return {side: count(given.get(side) or 0) for side in SPLITS}


def _versions(info: Mapping[str, object]) -> dict[str, str]:
    named = cast(Mapping[str, object], info.get("versions") or {})
    return {"isotone": text(info.get("isotone", ""))} | {text(k): text(v) for k, v in named.items()}


def _commit(git: object) -> str | None:
    if not git:
        return None
    given = cast(Mapping[str, object], git)
    return text(given.get("commit", "")) + (" with uncommitted changes" if given.get("dirty") else "")


def _config(path: Path) -> dict[str, str]:
    import yaml

    def parse(content: str) -> object:
        try:
            return yaml.safe_load(content) or {}
        except yaml.YAMLError as error:
            raise ValueError(f"not YAML ({str(error).splitlines()[0]})") from error

    return {text(k): "none" if v is None else text(v, LONGEST_VALUE) for k, v in _read(path, parse).items()}


def _log(path: Path) -> tuple[Epoch, ...]:
    if not path.is_file():
        return ()
    lines = rows([json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()])
    return tuple(
        Epoch(
            epoch=int(cast(int, row["epoch"])),
            loss=number(row.get("loss")),
            score=number(row.get("score")),
            lr=number(row.get("lr")),
            watch={text(k): number(v) for k, v in cast(Mapping[str, object], row.get("watch") or {}).items()},
        )
        for row in lines
    )


def _points(path: Path) -> Points:
    with np.load(path, allow_pickle=False) as file:
        raw = {name: file[name] for name in ("index", "label", "split", "group", "target", "prediction", "h", "thumb")}
        named = file["category"] if "category" in file and file["category"].size else None
        classes = tuple(map(text, file["classes"])) if named is not None else ()
    n, target, prediction = len(raw["index"]), _columns(raw["target"]), _columns(raw["prediction"])
    lengths = {len(part) for name, part in raw.items() if name not in ("group", "thumb") or part.size}
    fits = target.shape == prediction.shape if named is None else named.shape == (n,) and prediction.shape[1] <= 1
    if lengths != {n} or not fits or raw["h"].ndim != 2:
        raise ValueError(f"its arrays do not have one entry for each of the {n} rows")
    if named is not None and not (named.min() >= -1 and named.max() < len(classes)):
        raise ValueError(f"its codes of classes are not -1 to {len(classes) - 1}")
    return Points(
        index=raw["index"],
        label=tuple(map(text, raw["label"])),
        split=tuple(map(text, raw["split"])),
        group=tuple(map(text, raw["group"])) if raw["group"].size else None,
        target=target,
        prediction=prediction,
        h=raw["h"].astype(np.float32),
        thumb=_pixels(raw["thumb"]) if raw["thumb"].size else None,
        category=None if named is None else named.astype(np.int64),
        classes=classes,
    )


def _confident(points: Points, path: Path, total: int) -> Points:
    return replace(points, confidence=read_confidence(path, points.index.tolist(), total))


def _columns(values: np.ndarray) -> Float[np.ndarray, "n k"]:
    return values.astype(np.float64).reshape(len(values), -1)


def _pixels(image: np.ndarray) -> UInt8[np.ndarray, "..."]:
    """Keep what can be shown: grey or the first three channels."""
    if image.dtype != np.uint8:
        raise ValueError(f"images must be uint8, got {image.dtype}")
    return image[..., :1] if image.shape[-1] < 3 else image[..., :3]


def _views(path: Path) -> Views | None:
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as raw:
        if not len(raw["image"]):
            return None
        category = raw["category"].astype(np.int64) if "category" in raw else None
        return Views(_pixels(raw["image"]), tuple(map(text, raw["label"])), _columns(raw["target"]), category)
