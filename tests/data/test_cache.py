"""The cache: whole files or none, faulty ones made again, a full or forbidden folder told in one message."""

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from isotone.data.cache import cache_folder, cache_key, new_file, stored_array
from isotone.data.settings import DataSettings
from isotone.errors import ConfigError


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder(DataSettings()) == Path("/somewhere/isotone")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # the XDG rule: to be ignored
    assert cache_folder(DataSettings()) == Path.home() / ".cache" / "isotone"
    assert cache_folder(DataSettings(cache_dir="~/x")) == Path.home() / "x"


def test_the_key_knows_files_bytes_order_and_settings(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"1")
    keys = [
        cache_key([path]),
        cache_key([path], 1),
        cache_key([b"1"]),
        cache_key([path, b"1"]),
        cache_key([b"1", path]),
    ]
    os.utime(path, ns=(0, 0))
    keys += [cache_key([path]), cache_key([tmp_path / "none"])]
    assert len(set(keys)) == len(keys)
    assert cache_key([path]) == cache_key([path])


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.npy"
    with new_file(path, 3) as file:
        file.write(b"abc")
        assert not path.exists()
    assert path.read_bytes() == b"abc"
    with pytest.raises(KeyboardInterrupt), new_file(tmp_path / "new" / "b.npy", 3):
        raise KeyboardInterrupt
    assert [entry.name for entry in path.parent.iterdir()] == ["a.npy"]


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b[:40], lambda b: b"", lambda b: b"x" * len(b)])
def test_a_faulty_file_counts_as_none(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((4, 4), np.uint8))
    assert stored_array(path, (4, 4)) is not None
    assert stored_array(path, (4, 5)) is None
    path.write_bytes(damage(path.read_bytes()))
    assert stored_array(path, (4, 4)) is None


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    assert stored_array(path, (1,)) is None


def test_a_full_disk_is_told_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(ConfigError) as caught, new_file(tmp_path / "a.npy", 2_500_000):
        pytest.fail("the work began")
    assert str(caught.value) == (
        f"The cache folder {tmp_path} cannot take 2.5 MB (No space left on device). "
        "Free space or rights there, or name another folder with --cache-dir."
    )
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError) as caught, new_file(tmp_path / "file" / "a.npy", 0):
        pytest.fail("the work began")
    assert str(caught.value) == (
        f"The cache folder {tmp_path / 'file'} cannot take 0.0 MB (File exists). "
        "Free space or rights there, or name another folder with --cache-dir."
    )


def test_only_our_own_old_leftovers_are_swept(tmp_path: Path) -> None:
    old, young = (tmp_path / f".{'0' * 64}.npy.{name * 16}.tmp" for name in "ab")
    foreign = tmp_path / ".notes.tmp"
    for path in (old, young, foreign):
        path.write_text("")
    for path in (old, foreign):
        os.utime(path, (time.time() - 10**6,) * 2)
    with new_file(tmp_path / "a.npy", 1) as file:
        file.write(b"a")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted([young.name, foreign.name, "a.npy"])
