"""The Python of the README and of every page in docs, run; and what they say that a program can check."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

README = Path(__file__).parents[1] / "README.md"
PAGES = [README, *sorted((README.parent / "docs").glob("*.md"))]
BLOCKS = [
    pytest.param(block, id=f"{page.stem}: {block.splitlines()[-1][:30]}")
    for page in PAGES
    for block in re.findall(r"^```python\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL)
]


@pytest.mark.parametrize("block", BLOCKS)
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
        "net": (net := torch.nn.Linear(3, 4)),
        "views": torch.randn(8, 3),
        "optimizer": torch.optim.SGD(net.parameters(), lr=0.1),
    }
    exec(compile(block, "README.md", "exec"), names)


def test_every_verb_of_the_readme_exists() -> None:
    from isotone.cli.main import VERBS

    told = set(re.findall(r"^isotone (\w+)", README.read_text(), flags=re.MULTILINE))
    assert told <= set(VERBS)
    assert len(told) >= 6


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert (page.parent / target).is_file(), target
