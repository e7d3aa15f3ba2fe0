"""The rules of the house that a program can check: sizes, names, docstrings, what no file may hold or call."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "isotone"
PYTHON = sorted(path for room in ("src", "tests", "bench", "requirements") for path in (ROOT / room).rglob("*.py"))
SHIPPED = [path for path in PYTHON if SOURCE in path.parents]
FILE_LINES, FUNCTION_LINES = 400, 60

UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
NETWORK_MODULES = {"aiohttp", "ftplib", "http", "httpx", "requests", "smtplib", "urllib3", "urllib.request"}
TELEMETRY_MODULES = {
    "analytics", "bugsnag", "comet_ml", "mixpanel", "mlflow", "neptune", "opentelemetry", "posthog", "rollbar",
    "segment", "sentry_sdk", "statsd", "wandb",
}  # fmt: skip
UNSAFE_CALLS = {"eval", "exec", "torch.load", "torch.save", "torch.hub.load", "os.system", "os.popen", "yaml.load"}
UNSAFE_CALLS |= {"yaml.full_load", "yaml.unsafe_load", "numpy.load", "np.load"}  # np.load: only with allow_pickle=False

# Written in two halves, so that this file does not hold what it looks for.
HOSTS = ["py" + "pi.org", "python" + "hosted", "py" + "torch.org", "registry." + "npmjs", "yarn" + "pkg.com"]
HOSTS += ["ana" + "conda.org", "deb." + "debian.org", "/opt/" + "wheels", "/opt/" + "pypi", "extra-index" + "-url"]

pytestmark = pytest.mark.filterwarnings("ignore::SyntaxWarning")


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _each(paths: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", paths, ids=_name)


@_each(PYTHON)
def test_files_and_functions_are_short(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= FILE_LINES, f"{_name(path)} is over {FILE_LINES} lines: split it by idea"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            assert lines <= FUNCTION_LINES, f"{_name(path)}: {node.name} has {lines} lines, over {FUNCTION_LINES}"


@_each([path for path in SHIPPED if not path.name.startswith("__")])
def test_every_source_file_has_its_test(path: Path) -> None:
    inside = path.relative_to(SOURCE)
    twin = ROOT / "tests" / inside.with_name(f"test_{inside.name}")
    assert twin.is_file(), f"{_name(path)} has no {_name(twin)}"


@_each(SHIPPED)
def test_files_and_public_names_have_docstrings(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), f"{_name(path)} opens without a docstring: what, why, source"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{_name(path)}: {node.name} has no docstring"


@_each(SHIPPED)
def test_no_forbidden_module_or_call(path: Path) -> None:
    found = list(_forbidden(ast.parse(path.read_text())))
    assert not found, f"{_name(path)}: {'; '.join(found)}"


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from urllib.request import urlopen",
        "import urllib.request",
        "import posthog.client",
        "from torch import load",
        "torch.save(x, p)",
        "eval('1')",
        "exec('1')",
        "yaml.load(text)",
        "np.load(p)",
        "np.load(p, allow_pickle=True)",
        "subprocess.run('ls', shell=True)",
    ],
)
def test_forbidden_code_is_found(code: str) -> None:
    assert list(_forbidden(ast.parse(code)))


@pytest.mark.parametrize(
    "code",
    [
        "net.eval()",
        "np.load(p, allow_pickle=False)",
        "np.load(p, mmap_mode='r', allow_pickle=False)",
        "yaml.safe_load(text)",
        "yaml.load(text, Loader=yaml.SafeLoader)",
        "from urllib.parse import quote",
        "subprocess.run(['git', 'status'])",
    ],
)
def test_allowed_code_passes(code: str) -> None:
    assert not list(_forbidden(ast.parse(code)))


def test_no_package_index_host_in_any_file() -> None:
    found = []
    for path in _project_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture
        found += [f"{_name(path)} holds {host!r}" for host in HOSTS if host in text]
    assert not found, "; ".join(found)
    assert not (ROOT / "uv.lock").exists(), "uv.lock names a package index: use `make lock`"


def test_readme_tree_lists_every_room() -> None:
    blocks = re.findall(r"^```\w*\n(.*?)^```", (ROOT / "README.md").read_text(), flags=re.MULTILINE | re.DOTALL)
    trees = [block for block in blocks if "src/isotone/" in block]
    assert trees, "README.md has no ``` block with the tree of `src/isotone/`"
    listed = set(re.findall(r"[\w-]+(?=/)", trees[0]))
    rooms = {path.name for path in SOURCE.iterdir() if path.is_dir() and list(path.glob("*.py"))}
    assert not rooms - listed, f"the README's tree lacks {', '.join(sorted(rooms - listed))}"


# ----------------------------------------------------------------------------------------------------------------------


def _forbidden(tree: ast.AST) -> Iterator[str]:
    """Name each import and call of a module that the project promises not to use."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from _forbidden_import(node)
        elif isinstance(node, ast.Call):
            yield from _forbidden_call(node)


def _forbidden_import(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    else:
        names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
    for name in names:
        prefixes = {".".join(name.split(".")[: i + 1]) for i in range(name.count(".") + 1)}
        if prefixes & (UNSAFE_MODULES | NETWORK_MODULES | TELEMETRY_MODULES | UNSAFE_CALLS):
            yield f"line {node.lineno} imports {name}"


def _forbidden_call(node: ast.Call) -> Iterator[str]:
    name = ast.unparse(node.func)
    settings = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
    safe = "Safe" in settings.get("Loader", "") or settings.get("allow_pickle") == "False"
    if name in UNSAFE_CALLS and not safe:
        yield f"line {node.lineno} calls {name}"
    if settings.get("allow_pickle") == "True" or settings.get("shell") == "True":
        yield f"line {node.lineno} passes shell=True or allow_pickle=True"


def _project_files() -> list[Path]:
    """Return what git tracks or would track; without git, every file outside hidden and built folders."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if (ROOT / ".git").exists() and listed.returncode == 0:
        return [ROOT / name for name in listed.stdout.split("\0") if (ROOT / name).is_file()]
    skipped = {".venv", ".git", ".ruff_cache", ".pytest_cache", ".hypothesis", "__pycache__", "runs", "demo"}
    return [p for p in ROOT.rglob("*") if p.is_file() and not skipped & set(p.relative_to(ROOT).parts)]
