"""The README's Python, run; and what it says that a program can check."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", README.read_text(), flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=[block.splitlines()[-1][:30] for block in BLOCKS])
def test_every_python_block_runs(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    images = (load_digits().images[:60] * 15).astype(np.uint8)
    names = {
        "images": images,
        "new_images": images[:5],
        "ages": images.mean((1, 2)),
        "person": np.arange(60) // 2,
        "embeddings": torch.randn(8, 2, 4),
        "targets": torch.rand(8),
    }
    exec(compile(block, "README.md", "exec"), names)


def test_every_verb_of_the_readme_exists() -> None:
    from isotone.cli.main import VERBS

    told = set(re.findall(r"^isotone (\w+)", README.read_text(), flags=re.MULTILINE))
    assert told <= set(VERBS)
    assert len(told) >= 6


def test_every_file_that_the_readme_names_exists() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README.read_text()):
        assert (README.parent / target).is_file(), target
