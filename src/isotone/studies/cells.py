"""A cell: one run of a study or a comparison, made once, gone on with where it was stopped, never made again."""

from pathlib import Path
from typing import Any

from isotone.api import Run, fit, load, resume
from isotone.errors import ConfigError
from isotone.relations.geometry import distance_of
from isotone.settings import read_config, resolve

STARTED = {"config.yaml", "data.json", ".tmp-data.json", "bad_rows.csv", ".tmp-run.json"}  # before there is a run.json
FILLED_IN = {"head", "teacher", "image_column", "signal", "stored_size"}  # by a run itself, from the data
BY_CARD = {"target", "group", "split_column", "augment", "geometry"}  # what a published data set fills in too


def cell(folder: Path, table: str | Path, *, method: str, quiet: bool = False, **settings: Any) -> Run:
    """Return the finished run in `folder`: loaded where it is done, resumed where it was stopped, else made.

    Args:
        folder: of the run.
        table: CSV, Parquet or .npz.
        method: name.
        quiet: no progress on standard error.
        settings: of `isotone fit`.

    Raises:
        ConfigError: the folder holds a run with other settings; DataError and others: see `isotone.fit`.

    Example: see `isotone.studies.label_noise`.
    """
    if (folder / "run.json").exists():
        check_same(folder, resolve(method, settings).flat())
        return load(folder) if (folder / "metrics.json").exists() else resume(folder, quiet=quiet)
    _clear(folder)
    return fit(table, method=method, out=folder, quiet=quiet, **settings)


def check_same(folder: Path, wanted: dict[str, Any]) -> None:
    """Refuse to go on with a run that was made with other settings.

    Args:
        folder: of the run.
        wanted: its settings as `Settings.flat` gives them.

    Raises:
        ConfigError: names the first setting that differs.
    """
    values = read_config(folder / "config.yaml")
    kept = resolve(str(values.pop("method")), values).flat()  # a setting that is newer than the run is its default
    filled = FILLED_IN | (BY_CARD if wanted.get("dataset") else set())
    if wanted.get("distance") == "auto":
        wanted = {**wanted, "distance": distance_of(kept["geometry"])}  # which a run writes down
    for name in sorted(wanted.keys() - filled):
        if kept.get(name) != wanted[name]:
            raise ConfigError(
                f"{folder} was made with {name} {kept.get(name)!r}, not {wanted[name]!r}. Choose another --out, or "
                "repeat the study with the settings it has."
            )


# ----------------------------------------------------------------------------------------------------------------------


def _clear(folder: Path) -> None:
    """Empty a folder in which a run was killed before it had begun, and no other."""
    there = list(folder.iterdir()) if folder.is_dir() else []
    if there and {path.name for path in there} <= STARTED:
        for path in there:
            path.unlink()
