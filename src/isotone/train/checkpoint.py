"""Checkpoints that survive a kill at any moment: a folder, written beside its place and renamed into it.

A checkpoint is safetensors and JSON, never a pickle. Its manifest (size and SHA-256 of each file) is written last;
reading takes the newest one whose manifest verifies, and the one before where it does not.
"""

import hashlib
import json
import os
import secrets
import shutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor

from isotone.errors import CheckpointError

FORMAT = 1
Tensors = Mapping[str, Tensor]
Json = Any  # a decoded JSON value: json.loads returns Any


@dataclass(frozen=True)
class Checkpoint:
    """What was saved: named sets of tensors, and the rest as JSON."""

    tensors: dict[str, dict[str, Tensor]]
    state: dict[str, Json]


def save_checkpoint(folder: Path, step: int, checkpoint: Checkpoint, *, keep: int = 2) -> Path:
    """Write `folder/step-00001200` atomically, then delete all but the newest `keep`.

    Args:
        folder: holds the run's checkpoints; made where it is missing.
        step: optimizer steps done.
        checkpoint: tensors on any device; non-finite model weights are refused, so that a good checkpoint stays.
        keep: checkpoints left.

    Raises:
        CheckpointError: where weights are not finite or the disk does not take the files; names path and sizes.
    """
    for name, x in checkpoint.tensors.get("model", {}).items():
        if x.is_floating_point() and not bool(torch.isfinite(x).all()):
            raise CheckpointError(f"weights `{name}` are not finite at step {step}; the checkpoint before is kept.")
    files = {f"{name}.safetensors": save(_plain(tensors)) for name, tensors in checkpoint.tensors.items()}
    files["state.json"] = json.dumps(checkpoint.state, indent=1).encode()
    target = folder / f"step-{step:08d}"
    write_folder(target, files)
    for old in _steps(folder)[:-keep]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def load_checkpoint(folder: Path, *, clean: bool = True) -> Checkpoint | None:
    """Return the newest checkpoint that is whole, or None; a damaged one is passed over with one warning.

    Args:
        folder: holds the run's checkpoints.
        clean: remove the leftovers of writes that were killed; False for a process beside the one that writes.

    Raises:
        CheckpointError: where there are checkpoints and every one of them is damaged.
    """
    for stale in folder.glob(".tmp-*") if clean else ():
        shutil.rmtree(stale, ignore_errors=True)
    found = _steps(folder)
    for path in reversed(found):
        try:
            files = read_folder(path)
        except CheckpointError as error:
            warnings.warn(f"{error} Going back to the one before.", stacklevel=2)
            continue
        tensors = {
            name.removesuffix(".safetensors"): load(data) for name, data in files.items() if "safetensors" in name
        }
        return Checkpoint(tensors, json.loads(files["state.json"]))
    if found:
        raise CheckpointError(f"none of the {len(found)} checkpoints in {folder} is whole. Start the run anew.")
    return None


def write_folder(target: Path, files: Mapping[str, bytes]) -> None:
    """Write files and their manifest as a folder that is there whole or not at all; replaces one of the same name.

    Raises:
        CheckpointError: where the disk does not take them; names path, bytes needed and bytes free.
    """
    temporary = target.parent / f".tmp-{secrets.token_hex(8)}"
    manifest = {name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()}
    try:
        temporary.mkdir(parents=True)
        for name, data in files.items():
            _write(temporary / name, data)
        _write(temporary / "manifest.json", json.dumps({"format": FORMAT, "files": manifest}, indent=1).encode())
        _sync(temporary)
        old = temporary.with_name(f"{temporary.name}-old")
        if target.exists():
            os.replace(target, old)  # a rename onto a folder that is not empty fails
        os.replace(temporary, target)
        _sync(target.parent)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise CheckpointError(_refused(target, sum(map(len, files.values())), error)) from error


def read_folder(path: Path) -> dict[str, bytes]:
    """Return the files of a folder that `write_folder` wrote, verified against its manifest.

    Raises:
        CheckpointError: where a file is missing, cut or changed.
    """
    try:
        manifest = json.loads((path / "manifest.json").read_bytes())["files"]
        files = {name: (path / name).read_bytes() for name in manifest}
        ok = {name: hashlib.sha256(data).hexdigest() == manifest[name]["sha256"] for name, data in files.items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is incomplete ({type(error).__name__}).") from error
    if not all(ok.values()):
        raise CheckpointError(f"{path} is damaged: {', '.join(n for n, good in ok.items() if not good)} changed.")
    return files


def preflight(folder: Path, size: int) -> None:
    """Raise a CheckpointError before step 1 unless the folder can be written and has room for three checkpoints.

    Args:
        folder: made where it is missing.
        size: bytes of one checkpoint.
    """
    probe = folder / f".tmp-{secrets.token_hex(8)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.mkdir()
        _write(probe / "probe", b"isotone")
        shutil.rmtree(probe)
    except OSError as error:
        raise CheckpointError(_refused(folder, 3 * size, error)) from error
    free = shutil.disk_usage(folder).free
    if free < 3 * size:
        raise CheckpointError(
            f"{folder} has {free / 1e6:.0f} MB free, three checkpoints need {3 * size / 1e6:.0f} MB. "
            "Free some space, or choose another --out."
        )


# ----------------------------------------------------------------------------------------------------------------------


def _steps(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*"))


def _plain(tensors: Tensors) -> dict[str, Tensor]:
    return {name: x.detach().cpu().contiguous().clone() for name, x in tensors.items()}


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _refused(path: Path, needed: int, error: OSError) -> str:
    place = next((p for p in (path, *path.parents) if p.exists()), Path("/"))
    free = shutil.disk_usage(place).free
    return (
        f"cannot write {path} ({error.strerror}): {needed / 1e6:.1f} MB needed, {free / 1e6:.1f} MB free. "
        "What was saved before is untouched. Free some space or choose another --out."
    )
