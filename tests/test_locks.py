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
numpy==2.4.6 \\
    --hash=sha256:bb
torch==2.13.0 \\
    --hash=sha256:cc
triton==3.7.1 \\
    --hash=sha256:dd
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
    assert re.findall(r"^\w[\w-]*", parts["dev.lock"], re.MULTILINE) == ["numpy"]
    assert re.findall(r"^\w[\w-]*", parts["cuda.lock"], re.MULTILINE) == ["cuda-toolkit", "triton"]
    assert parts["torch.lock"] == "torch==2.13.0 \\\n    --hash=sha256:cc\n"


def test_cpu_wheel_is_of_the_locked_torch() -> None:
    cpu, default = [(FOLDER / name).read_text().split()[0] for name in ("torch-cpu.lock", "torch.lock")]
    assert cpu == f"{default}+cpu"


@pytest.mark.parametrize(
    ("requirements", "wanted"),
    [
        (["numpy", "nvidia-cublas==1"], True),
        (["triton==3; python_version >= '3'"], True),
        (["triton==3; python_version < '3'", "numpy"], False),
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
    asked = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    missing = {re.split(r"[^\w-]", name, maxsplit=1)[0] for name in asked} - locked
    assert not missing, f"run `make lock`: the locks lack {sorted(missing)}"
