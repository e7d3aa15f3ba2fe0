"""What every method must do from the command line on a table, by discovery: a method that is in the list is tested.

A run of 20 steps on real images lowers its loss; `embed` and `predict` with the saved model give what the run kept; a
run that was stopped or killed, and went on, ends with the same bits: weights, memory (bank, queue, slow encoder,
clusters), optimizer, predictions.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from contract.tables import KINDS, ROWS, words, write_digits, write_outside
from torch import nn

from isotone import finish
from isotone.cli.main import main
from isotone.methods import METHODS
from isotone.records import Batch, Kind, LossOutput, Method

CHEAP = [(name, min(METHODS[name].kinds, key=("rows", "signal", "image").index)) for name in METHODS]
FEW, STEPS = 4, 20
REPORT = finish.write_report  # as it is when this file is read
# a short run of the kind of input that costs least, and the slow tests: twenty steps of every kind
SLOW = [pytest.param(*pair, STEPS, marks=pytest.mark.slow) for pair in KINDS]
EACH = pytest.mark.parametrize(("name", "kind", "steps"), [*((*pair, FEW) for pair in CHEAP), *SLOW])


class Runs:
    """The runs that nothing stopped, each made once.

    Args:
        folder: with the tables.
        report: what writes a run's report.
    """

    def __init__(self, folder: Path, report: Callable[[Path], object]) -> None:
        self.folder, self.report = folder, report
        self.made: dict[tuple[str, ...], Path] = {}

    def words(self, name: str, kind: Kind, steps: int) -> list[str]:
        """Return what to type for a run; its teacher is there."""
        if "teacher" not in METHODS[name].needs:
            return words(self.folder, name, kind, steps=steps)
        taught = words(self.folder, "baseline", kind, steps=FEW, label=["--category", "class"])
        return words(self.folder, name, kind, steps=steps, teacher=self.of(("teacher", kind), taught))

    def of(self, key: tuple[str, ...], typed: list[str]) -> Path:
        """Return the folder of a run, made where it is not there yet."""
        if key not in self.made:
            out = self.folder / "-".join(key)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(finish, "write_report", self.report)
                assert main([*typed, "--out", str(out)]) == 0
            self.made[key] = out
        return self.made[key]

    def straight(self, name: str, kind: Kind, steps: int) -> Path:
        """Return the folder of the method's run."""
        return self.of((name, kind, str(steps)), self.words(name, kind, steps))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """Without the report, which costs more than all the rest and has its own tests."""
    folder = tmp_path_factory.mktemp("tables")
    write_digits(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finish, "write_report", _no_report)
        yield Runs(folder, _no_report)


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Runs:
    folder = tmp_path_factory.mktemp("outside")
    write_outside(folder, shared_data)
    return Runs(folder, REPORT)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_twenty_steps_lower_the_loss(runs: Runs, name: str, kind: Kind) -> None:
    """Each step is on all training rows. The second loss is compared: a queue and a bank are filled by the first."""
    lines = (runs.straight(name, kind, STEPS) / "log.jsonl").read_text().splitlines()
    loss = [json.loads(line)["loss"] for line in lines]
    assert [json.loads(line)["step"] for line in lines] == list(range(1, STEPS + 1))
    assert np.mean(loss[-3:]) < loss[1], loss


@EACH
def test_the_saved_model_embeds_and_predicts_as_the_run_did(
    runs: Runs, tmp_path: Path, name: str, kind: Kind, steps: int, capsys: pytest.CaptureFixture[str]
) -> None:
    run, table = runs.straight(name, kind, steps), runs.words(name, kind, steps)[1]
    assert main(["embed", str(run), table, "--out", str(tmp_path / "z.npy")]) == 0
    z = np.load(tmp_path / "z.npy", allow_pickle=False)
    with np.load(run / "features.npz", allow_pickle=False) as kept:
        assert len(z) == ROWS
        np.testing.assert_array_equal(kept["index"], np.arange(ROWS))
        np.testing.assert_array_equal(z, kept["h"])
    status = main(["predict", str(run), table, "--out", str(tmp_path / "p.csv")])
    labelled = json.loads((run / "metrics.json").read_text())["task"] != "none"
    assert status == (0 if labelled else 2), capsys.readouterr().err
    if labelled:
        found, kept = pd.read_csv(tmp_path / "p.csv"), pd.read_csv(run / "predictions.csv")
        assert found["label"].tolist() == kept["label"].tolist()
        column = next(column for column in kept if column.startswith("predicted_"))
        pd.testing.assert_series_equal(found[column.removeprefix("predicted_")], kept[column], check_names=False)


@EACH
def test_a_stopped_run_goes_on_to_the_same_bits(
    runs: Runs, tmp_path: Path, name: str, kind: Kind, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight, out = runs.straight(name, kind, steps), tmp_path / "stopped"
    typed = [*runs.words(name, kind, steps), "--out", str(out)]
    with monkeypatch.context() as patch:
        patch.setattr(METHODS[name], "loss", _stopping(METHODS[name], steps // 2))
        assert main(typed) == 1
    assert _newest(out) == _step(steps // 2)
    assert main(["resume", str(out), "--workers", "1"]) == 0
    _assert_same_bits(straight, out, steps)


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_photographs_and_recordings_with_the_report(outside: Runs, tmp_path: Path, name: str) -> None:
    """CIFAR-10's JPEGs in colour; light through the skin at the wrist, and acceleration beside it."""
    kind: Kind = "signal" if "signal" in METHODS[name].kinds else "image"
    run, table = outside.straight(name, kind, STEPS), outside.words(name, kind, STEPS)[1]
    loss = [json.loads(line)["loss"] for line in (run / "log.jsonl").read_text().splitlines()]
    assert np.mean(loss[-3:]) < loss[1], loss
    assert (run / "report.html").stat().st_size > 10_000
    assert main(["embed", str(run), table, "--out", str(tmp_path / "z.npy")]) == 0
    with np.load(run / "features.npz", allow_pickle=False) as kept:
        np.testing.assert_array_equal(np.load(tmp_path / "z.npy", allow_pickle=False), kept["h"])


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("name", "kind"), [(name, METHODS[name].kinds[0]) for name in METHODS])
def test_a_killed_process_goes_on_to_the_same_bits(runs: Runs, tmp_path: Path, name: str, kind: Kind) -> None:
    """SIGKILL while it trains, and `isotone resume` in a new process."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    typed = [sys.executable, "-m", "isotone", *runs.words(name, kind, STEPS), "--checkpoint-steps", "1", "--out"]
    straight, out = tmp_path / "straight", tmp_path / "killed"
    subprocess.run([*typed, str(straight)], check=True, capture_output=True, env=environment)
    process = subprocess.Popen(
        [*typed, str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    )
    while _newest(out) < _step(STEPS // 3) and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (out / "model").exists()
    resume = [sys.executable, "-m", "isotone", "resume", str(out), "--workers", "1"]
    done = subprocess.run(resume, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    _assert_same_bits(straight, out, STEPS)


# ----------------------------------------------------------------------------------------------------------------------


def _assert_same_bits(a: Path, b: Path, steps: int) -> None:
    """Compare all that two runs ended with."""
    assert _newest(a) == _newest(b) == _step(steps)
    inside = f"checkpoints/{_newest(a)}"
    files = [f"{inside}/{name}.safetensors" for name in ("model", "optimizer", "best", "memory")]
    files += [f"{inside}/state.json", "model/model.safetensors", "metrics.json"]
    files += ["predictions.csv"] if (a / "predictions.csv").exists() else []
    for file in files:
        assert (a / file).read_bytes() == (b / file).read_bytes(), file


def _no_report(folder: Path) -> None:
    """Write nothing."""


def _step(step: int) -> str:
    return f"step-{step:08d}"


def _newest(run: Path) -> str:
    """Return the name of the newest checkpoint; nothing where there is none."""
    return max((path.name for path in run.glob("checkpoints/step-*")), default="")


def _stopping(method: type[Method], last: int) -> object:
    """Return the method's loss, which asks the process to stop when it is called for the last time."""
    whole, calls = method.loss, 0

    def loss(self: Method, net: nn.Module, batch: Batch, memory: nn.Module | None = None) -> LossOutput:
        nonlocal calls
        calls += 1
        if calls == last:
            os.kill(os.getpid(), signal.SIGTERM)
        return whole(self, net, batch, memory)

    return loss
