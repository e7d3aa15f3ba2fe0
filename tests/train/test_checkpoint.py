"""Checkpoints: whole or not there, newest that verifies, damage is found."""

import os
from pathlib import Path

import pytest
import torch

from isotone.errors import CheckpointError
from isotone.train.checkpoint import (
    Checkpoint,
    load_checkpoint,
    preflight,
    read_folder,
    save_checkpoint,
    write_folder,
)


def _checkpoint(value: float) -> Checkpoint:
    return Checkpoint(
        {"model": {"w": torch.full((3,), value)}, "optimizer": {}, "best": {}}, {"step": value, "sums": {"a": 0.1}}
    )


def test_round_trip_keeps_the_two_newest(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        save_checkpoint(tmp_path, step, _checkpoint(step))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000002", "step-00000003"]
    found = load_checkpoint(tmp_path)
    assert found is not None
    assert found.tensors["model"]["w"].tolist() == [3.0, 3.0, 3.0]
    assert found.state == {"step": 3, "sums": {"a": 0.1}}


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path) is None


@pytest.mark.parametrize("file", ["model.safetensors", "state.json", "manifest.json"])
@pytest.mark.parametrize("damage", ["cut", "flip", "remove"])
def test_damage_falls_back_with_one_warning(tmp_path: Path, file: str, damage: str) -> None:
    save_checkpoint(tmp_path, 1, _checkpoint(1))
    path = save_checkpoint(tmp_path, 2, _checkpoint(2)) / file
    data = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "flip":
        path.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    with pytest.warns(UserWarning, match="Going back to the one before") as caught:
        found = load_checkpoint(tmp_path)
    assert len(caught) == 1
    assert found is not None
    assert found.state["step"] == 1


def test_all_damaged_is_an_error(tmp_path: Path) -> None:
    (save_checkpoint(tmp_path, 1, _checkpoint(1)) / "state.json").write_bytes(b"{}")
    with pytest.warns(UserWarning, match="damaged"), pytest.raises(CheckpointError) as caught:
        load_checkpoint(tmp_path)
    assert str(caught.value) == f"none of the 1 checkpoints in {tmp_path} is whole. Start the run anew."


def test_weights_that_are_not_finite_never_replace_good_ones(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, 1, _checkpoint(1))
    with pytest.raises(CheckpointError) as caught:
        save_checkpoint(tmp_path, 2, _checkpoint(float("nan")))
    assert str(caught.value) == "weights `w` are not finite at step 2; the checkpoint before is kept."
    assert load_checkpoint(tmp_path) is not None


def test_leftovers_of_a_kill_are_removed(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, 1, _checkpoint(1))
    (tmp_path / ".tmp-0123").mkdir()
    (tmp_path / ".tmp-0123" / "model.safetensors").write_bytes(b"half")
    assert load_checkpoint(tmp_path) is not None
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000001"]


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    write_folder(tmp_path / "model", {"a": b"1"})
    write_folder(tmp_path / "model", {"b": b"2"})
    assert read_folder(tmp_path / "model") == {"b": b"2"}
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_a_disk_that_refuses_is_named_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_checkpoint(tmp_path, 1, _checkpoint(1))

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError) as caught:
        save_checkpoint(tmp_path, 2, _checkpoint(2))
    message = str(caught.value)
    assert message.startswith(f"cannot write {tmp_path}/step-00000002 (No space left on device): 0.0 MB needed, ")
    assert message.endswith("What was saved before is untouched. Free some space or choose another --out.")
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000001"]


def test_preflight_names_a_folder_without_room(tmp_path: Path) -> None:
    preflight(tmp_path, 10)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(CheckpointError) as caught:
        preflight(tmp_path, 10**18)
    assert "three checkpoints need 3000000000000 MB. Free some space, or choose another --out." in str(caught.value)
