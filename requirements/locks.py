"""Split one resolution into four locks, and tell which of them this machine needs.

`pip` must be told different things about different packages:

- `torch.lock`: torch and torchvision as the registry has them, without their dependencies. On Linux that torch needs
  several GB of CUDA packages.
- `cuda.lock`: those CUDA packages, installed only where the torch that is installed asks for them.
- `bench.lock`: what only the group `bench` asks for: the libraries that `make bench` measures against, installed by it
  alone. `excludes.txt` names what they ask for and do not need for that.
- `dev.lock`: everything else, run time and development.

`torch-cpu.lock` is written by hand: the hash of a CPU-only wheel of the same torch, which a machine may have on disk or
in an index of its own. It is tried first, because among files for `torch==2.13.0` pip prefers those whose hash the
index lists, and that is never the one on disk.

`python requirements/locks.py split FILE` writes them from the output of `uv pip compile`; `python requirements/locks.py
wants-cuda` exits with 0 where the installed torch asks for `cuda.lock`, with 1 where it does not.
"""

import re
import sys
from collections.abc import Iterable
from importlib.metadata import requires
from pathlib import Path

FOLDER = Path(__file__).parent
TORCH = ("torch", "torchvision")
CUDA = ("nvidia-", "cuda-")


def split(text: str) -> dict[str, str]:
    """Return the text of each lock by file name.

    Args:
        text: what `uv pip compile --generate-hashes --no-header` wrote, with its notes of who asks for a package.
    """
    locks = {"torch.lock": "", "cuda.lock": "", "bench.lock": "", "dev.lock": ""}
    entries = [(_name(entry), entry) for entry in re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]]
    bench = _bench(entries)
    for name, entry in entries:
        if name in TORCH:
            locks["torch.lock"] += entry
        elif name.startswith(CUDA):
            locks["cuda.lock"] += entry
        else:
            locks["bench.lock" if name in bench else "dev.lock"] += entry
    return locks


def wants_cuda(requirements: Iterable[str]) -> bool:
    """Return whether requirements of the installed torch name CUDA packages for this machine."""
    from packaging.requirements import Requirement  # comes with dev.lock; splitting works without it

    parsed = [Requirement(text) for text in requirements]
    return any(r.name.startswith(CUDA) and (r.marker is None or r.marker.evaluate({"extra": ""})) for r in parsed)


# ----------------------------------------------------------------------------------------------------------------------


def _name(entry: str) -> str:
    return re.split(r"[\s=\[]", entry, maxsplit=1)[0]


def _bench(entries: Iterable[tuple[str, str]]) -> set[str]:
    """Return the packages that nothing but the group `bench`, or another such package, asks for."""
    wanted: dict[str, set[str]] = {}
    for name, entry in entries:  # a package may have one entry for each of several Pythons
        wanted.setdefault(name, set()).update(re.findall(r"^    #(?: via|  ) (\w.*)$", entry, re.MULTILINE))
    found = {"isotone (pyproject.toml:bench)"}
    while more := {name for name, askers in wanted.items() if askers and askers <= found} - found:
        found |= more
    return found


def _main(arguments: list[str]) -> int:
    if arguments[:1] == ["split"] and len(arguments) == 2:
        for name, text in split(Path(arguments[1]).read_text()).items():
            (FOLDER / name).write_text(text)
            print(f"requirements/{name}: {len(re.findall(r'^[A-Za-z0-9]', text, re.MULTILINE))} packages")
        return 0
    if arguments == ["wants-cuda"]:
        return 0 if wants_cuda(requires("torch") or []) else 1
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
