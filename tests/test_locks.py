"""The locks hold what pyproject.toml asks for, every package with hashes, and are split as the set-up expects."""

import re
import tomllib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "requirements"
RESOLVED = """\
cuda-toolkit==13.0 ; sys_platform == 'linux' \\
    --hash=sha256:aa
    # via torch
lightly==1.6.0 \\
    --hash=sha256:ee
    # via isotone (pyproject.toml:bench)
lightly-needs==1.0 ; python_full_version < '3.12' \\
    --hash=sha256:ff
    # via lightly
lightly-needs==2.0 ; python_full_version >= '3.12' \\
    --hash=sha256:ff
    # via
    #   -c requirements/constraints.txt
    #   lightly
numpy==2.4.6 \\
    --hash=sha256:bb
    # via
    #   isotone (pyproject.toml)
    #   lightly
torch==2.13.0 \\
    --hash=sha256:cc
    # via isotone (pyproject.toml)
triton==3.7.1 \\
    --hash=sha256:dd
    # via
    #   isotone (pyproject.toml:dev)
    #   torch
"""


@pytest.fixture(scope="module")
def locks() -> ModuleType:
    spec = spec_from_file_location("locks", FOLDER / "locks.py")
    assert spec is not None, "requirements/locks.py is missing"
    assert spec.loader is not None, "requirements/locks.py cannot be loaded"
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_split_by_what_pip_must_be_told(locks: ModuleType) -> None:
    parts = locks.split(RESOLVED)
    names = {lock: re.findall(r"^\w[\w-]*", text, re.MULTILINE) for lock, text in parts.items()}
    assert names == {
        "torch.lock": ["torch"],
        "cuda.lock": ["cuda-toolkit"],
        "bench.lock": ["lightly", "lightly-needs", "lightly-needs"],
        "dev.lock": ["numpy", "triton"],
    }
    assert parts["torch.lock"] == "torch==2.13.0 \\\n    --hash=sha256:cc\n    # via isotone (pyproject.toml)\n"


def test_cpu_wheel_is_of_the_locked_torch() -> None:
    cpu, default = [(FOLDER / name).read_text().split()[0] for name in ("torch-cpu.lock", "torch.lock")]
    assert cpu == f"{default}+cpu"


@pytest.mark.parametrize(
    ("requirements", "wanted"),
    [
        (["numpy", "nvidia-cublas==1"], True),
        (["cuda-toolkit==13; python_version >= '3'"], True),
        (["cuda-toolkit==13; python_version < '3'", "triton"], False),
        (["nvidia-cublas; extra == 'cuda'"], False),
        ([], False),
    ],
)
def test_cuda_is_wanted_where_torch_asks_for_it(locks: ModuleType, requirements: list[str], wanted: bool) -> None:
    assert locks.wants_cuda(requirements) is wanted


def test_every_dependency_is_locked_with_hashes() -> None:
    text = "".join(path.read_text() for path in sorted(FOLDER.glob("*.lock")))
    entries = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]
    assert [entry.split("\n")[0] for entry in entries if "--hash=sha256:" not in entry] == []
    locked = {re.split(r"[=\[\s]", entry, maxsplit=1)[0] for entry in entries}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    asked = [*project["project"]["dependencies"], *groups["dev"], *groups["bench"]]
    missing = {re.split(r"[^\w-]", name, maxsplit=1)[0] for name in asked} - locked
    assert not missing, f"run `make lock`: the locks lack {sorted(missing)}"
