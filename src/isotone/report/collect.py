"""Read a finished run folder into plain records; nothing is computed here and nothing else of the report reads files.

Every text that comes from the user is made printable here (control characters replaced, very long texts shortened);
escaping is the page's business.
"""

import json
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar, cast
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Float, UInt8

from isotone.errors import ConfigError
from isotone.report.contents import Bin, Data, Epoch, Group, Interval, Order, Points, Run, Score, Views

REQUIRED = ("config.yaml", "run.json", "data.json", "metrics.json", "features.npz")
SPLITS = ("train", "val", "test")

_T = TypeVar("_T")
_LONGEST_TEXT = 160  # one file name or label; a command or a setting may be longer
_LONGEST_VALUE = 2000


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
    first = data.target_names[0]
    return Run(
        folder=run,
        method=_text(info.get("method", "model")),
        command=_text(info.get("command", ""), _LONGEST_VALUE),
        seed=_text(info.get("seed", "")),
        started=_text(info.get("started", "")),
        seconds=_number(info.get("seconds")),
        versions=_versions(info),
        commit=_commit(info.get("git")),
        config=_config(run / "config.yaml"),
        data=data,
        log=_parsed(run / "log.jsonl", lambda: _log(run / "log.jsonl")),
        scores=_parsed(run / "metrics.json", lambda: _scores(metrics["rows"])),
        order=_parsed(run / "metrics.json", lambda: _order(metrics.get("order"))),
        bins=_parsed(run / "metrics.json", lambda: _bins(metrics.get("by_bin") or [], first)),
        groups=_parsed(run / "metrics.json", lambda: _groups(metrics.get("by_group") or [])),
        points=_parsed(run / "features.npz", lambda: _points(run / "features.npz")),
        views=_parsed(run / "views.npz", lambda: _views(run / "views.npz")),
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


def _text(value: object, longest: int = _LONGEST_TEXT) -> str:
    """Make any user text printable: no control characters (an SVG may hold none), no half characters, not too long."""
    text = str(value).encode("utf-8", "replace").decode("utf-8")
    text = "".join(" " if c in "\t\r\n" else "\ufffd" if unicodedata.category(c) == "Cc" else c for c in text)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _number(value: object) -> float:
    """Return a float; null and missing stand for a number that is not defined."""
    return float("nan") if value is None else float(cast(float, value))


def _interval(raw: Mapping[str, object] | None) -> Interval:
    given = raw or {}
    return Interval(_number(given.get("value")), _number(given.get("low")), _number(given.get("high")))


def _scores(raw: object) -> tuple[Score, ...]:
    return tuple(_score(row) for row in cast(list[Mapping[str, object]], raw))


def _score(raw: Mapping[str, object]) -> Score:
    def interval(name: str) -> Interval:
        return _interval(cast(Mapping[str, object] | None, raw.get(name)))

    return Score(
        model=_text(raw["model"]),
        role=_text(raw["role"]),
        target=_text(raw["target"]),
        split=_text(raw["split"]),
        n=int(_number(raw["n"])),
        mae=interval("mae"),
        rmse=interval("rmse"),
        r2=interval("r2"),
        pearson=interval("pearson"),
        spearman=interval("spearman"),
    )


def _order(raw: object) -> Order | None:
    if not raw:
        return None
    given = cast(Mapping[str, object], raw)
    values = (_number(given.get(name)) for name in ("spearman", "kendall", "ordered_triples"))
    return Order(*values, n=int(_number(given["n"])), split=_text(given["split"]))


def _bins(raw: object, target: str) -> tuple[Bin, ...]:
    rows = cast(list[Mapping[str, object]], raw)
    return tuple(
        Bin(
            low=_number(row["low"]),
            high=_number(row["high"]),
            n_train=int(_number(row["n_train"])),
            n=int(_number(row["n"])),
            mae=_number(row["mae"]),
        )
        for row in rows
        if _text(row.get("target", target)) == target
    )


def _groups(raw: object) -> tuple[Group, ...]:
    rows = cast(list[Mapping[str, object]], raw)
    return tuple(Group(_text(row["group"]), int(_number(row["n"])), _number(row["mae"])) for row in rows)


def _data(raw: Mapping[str, object]) -> Data:
    statistics = cast(Mapping[str, Mapping[str, object]], raw.get("target") or {})
    shared = raw.get("shared_groups")
    return Data(
        name=_text(raw["name"]),
        kind=_text(raw["kind"]),
        rows=int(_number(raw["rows"])),
        target_names=tuple(_text(name) for name in cast(list[object], raw["target_names"])),
        group_name=None if raw.get("group_name") is None else _text(raw["group_name"]),
        counts=_counts(raw["counts"]),
        groups=None if raw.get("groups") is None else _counts(raw["groups"]),
        shared_groups=None if shared is None else int(_number(shared)),
        statistics={_text(k): {_text(name): _number(v) for name, v in row.items()} for k, row in statistics.items()},
        warnings=tuple(_text(line, _LONGEST_VALUE) for line in cast(list[object], raw.get("warnings") or [])),
        bad_rows=int(_number(raw.get("bad_rows") or 0)),
        fingerprint=_text(raw.get("fingerprint", "")),
    )


def _counts(raw: object) -> dict[str, int]:
    given = cast(Mapping[str, object], raw)
    return {side: int(_number(given.get(side) or 0)) for side in SPLITS}


def _versions(info: Mapping[str, object]) -> dict[str, str]:
    named = cast(Mapping[str, object], info.get("versions") or {})
    return {"isotone": _text(info.get("isotone", ""))} | {_text(k): _text(v) for k, v in named.items()}


def _commit(git: object) -> str | None:
    if not git:
        return None
    given = cast(Mapping[str, object], git)
    return _text(given.get("commit", "")) + (" with uncommitted changes" if given.get("dirty") else "")


def _config(path: Path) -> dict[str, str]:
    import yaml

    def parse(text: str) -> object:
        try:
            return yaml.safe_load(text) or {}
        except yaml.YAMLError as error:
            raise ValueError(f"not YAML ({str(error).splitlines()[0]})") from error

    return {_text(k): "none" if v is None else _text(v, _LONGEST_VALUE) for k, v in _read(path, parse).items()}


def _log(path: Path) -> tuple[Epoch, ...]:
    if not path.is_file():
        return ()
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return tuple(
        Epoch(int(row["epoch"]), _number(row.get("loss")), _number(row.get("score")), _number(row.get("lr")))
        for row in rows
    )


def _points(path: Path) -> Points:
    with np.load(path, allow_pickle=False) as file:
        raw = {name: file[name] for name in ("index", "label", "split", "group", "target", "prediction", "h", "thumb")}
    n, target, prediction = len(raw["index"]), _columns(raw["target"]), _columns(raw["prediction"])
    lengths = {len(part) for name, part in raw.items() if name not in ("group", "thumb") or part.size}
    if lengths != {n} or target.shape != prediction.shape or raw["h"].ndim != 2:
        raise ValueError(f"its arrays do not have one entry for each of the {n} rows")
    return Points(
        index=raw["index"],
        label=tuple(map(_text, raw["label"])),
        split=tuple(map(_text, raw["split"])),
        group=tuple(map(_text, raw["group"])) if raw["group"].size else None,
        target=target,
        prediction=prediction,
        h=raw["h"].astype(np.float32),
        thumb=_pixels(raw["thumb"]) if raw["thumb"].size else None,
    )


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
        return Views(_pixels(raw["image"]), tuple(map(_text, raw["label"])), _columns(raw["target"]))
