"""The run folder: claimed once, never overwritten silently, and complete enough to repeat the run from it alone."""

import json
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from isotone.errors import CheckpointError, ConfigError, nearest

PACKAGES = ("torch", "numpy", "timm", "accelerate", "pandas", "pillow", "scikit-learn")


def claim(out: str | Path | None, stem: str) -> Path:
    """Return a new, empty run folder.

    Args:
        out: where the user wants it; None takes the next free `runs/STEM-1`, `runs/STEM-2`, ...
        stem: name of the folder where the user gives none.

    Raises:
        ConfigError: where the folder holds something already; names both ways out.
        CheckpointError: where it cannot be made.
    """
    if out is None:
        number = 1
        while (folder := Path("runs", f"{stem}-{number}")).exists():
            number += 1
    else:
        folder = Path(out)
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        what = "holds a run" if (folder / "run.json").exists() else "is not empty"
        raise ConfigError(
            f"{folder} {what}, and nothing is overwritten. Choose another --out, or go on with: isotone resume {folder}"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CheckpointError(
            f"cannot make the run folder {folder} ({error.strerror}). Choose another --out."
        ) from error
    return folder


def existing(run: str | Path) -> Path:
    """Return the folder of a run that was started.

    Raises:
        ConfigError: where there is no run, with the nearest name beside it.
    """
    folder = Path(run)
    if not (folder / "run.json").is_file() or not (folder / "config.yaml").is_file():
        parent = folder.parent
        beside = [p.name for p in parent.iterdir() if (p / "run.json").is_file()] if parent.is_dir() else []
        raise ConfigError(f"{folder} is not the folder of a run: it has no run.json.{nearest(folder.name, beside)}")
    return folder


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON so that the file is there whole or not at all."""
    temporary = path.with_name(f".tmp-{path.name}")
    temporary.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def write_config(path: Path, settings: Mapping[str, Any]) -> None:
    """Write the resolved settings as YAML that `--config` reads back."""
    import yaml

    head = "# every setting of this run, resolved; repeat it with: isotone fit TABLE --config THIS_FILE --out NEW\n"
    path.write_text(head + yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True), encoding="utf-8")


def provenance(command: str, method: str, seed: int, source: str | None) -> dict[str, Any]:
    """Return what `run.json` holds at the start: versions, command, seed, where the data are, state of the code.

    Args:
        command: that repeats the run.
        method: name.
        seed: of the run.
        source: absolute path of the table; None for arrays.
    """
    return {
        "isotone": version("isotone"),
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
        "machine": {"system": platform.platform(), "cores": os.cpu_count()},
        "command": command,
        "method": method,
        "seed": seed,
        "source": source,
        "git": _git(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "seconds": 0.0,
        "status": "running",
    }


# ----------------------------------------------------------------------------------------------------------------------


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _git() -> dict[str, Any] | None:
    """Return commit and cleanliness of the folder the user works in, never the remote: its address may hold a token."""
    git = shutil.which("git")
    if git is None:
        return None
    try:
        commit, dirty = (
            subprocess.run([git, *words], capture_output=True, text=True, check=True, timeout=10).stdout.strip()  # noqa: S603
            for words in (("rev-parse", "HEAD"), ("status", "--porcelain"))
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit, "dirty": bool(dirty)}
