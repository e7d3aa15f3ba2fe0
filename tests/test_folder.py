"""Run folders: claimed once, found again, written whole."""

import json
from pathlib import Path

import pytest

from isotone.errors import CheckpointError, ConfigError
from isotone.folder import claim, existing, provenance, write_config, write_json


def test_the_next_free_folder_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert [str(claim(None, "labels-rnc")) for _ in range(2)] == ["runs/labels-rnc-1", "runs/labels-rnc-2"]


def test_a_run_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(ConfigError) as caught:
        claim(tmp_path, "x")
    assert str(caught.value) == (
        f"{tmp_path} holds a run, and nothing is overwritten. "
        f"Choose another --out, or go on with: isotone resume {tmp_path}"
    )


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError) as caught:
        claim(tmp_path / "file" / "run", "x")
    assert str(caught.value) == (
        f"cannot make the run folder {tmp_path}/file/run (Not a directory). Choose another --out."
    )


def test_existing_names_the_nearest(tmp_path: Path) -> None:
    for name in ("run.json", "config.yaml"):
        (tmp_path / "agedb").mkdir(exist_ok=True)
        (tmp_path / "agedb" / name).write_text("{}")
    assert existing(tmp_path / "agedb") == tmp_path / "agedb"
    with pytest.raises(ConfigError, match="Did you mean 'agedb'"):
        existing(tmp_path / "agebd")


def test_files_are_whole(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"x": 1})
    with pytest.raises(ValueError, match="Out of range float values"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": 1}
    write_config(tmp_path / "c.yaml", {"passes": 3, "target": ["age"]})
    assert "passes: 3\ntarget:\n- age\n" in (tmp_path / "c.yaml").read_text()


def test_provenance_holds_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", "s3cr3t-value")
    text = json.dumps(provenance("isotone fit t.csv", "rnc", 0, None))
    assert "s3cr3t-value" not in text
    assert '"command": "isotone fit t.csv"' in text
