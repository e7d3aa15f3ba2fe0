"""Arms, and what a study refuses before anything is trained."""

from pathlib import Path

import pytest

from isotone.errors import ConfigError
from isotone.studies.sweep import Arm, Sweep, slug


def _sweep(arms: tuple[str, ...] = ("baseline", "rnc"), seeds: int = 1, **settings: object) -> Sweep:
    return Sweep.of("t.csv", "s", arms, seeds, settings, quiet=True, sets={"temperature": "--temperatures"})


def test_an_arm_takes_what_its_method_knows() -> None:
    arm = Arm.read("rnc  lr=0.5 head=mse")
    assert (arm.name, arm.method) == ("rnc lr=0.5 head=mse", "rnc")
    assert arm.takes({"temperature": 1.0, "lr": 0.1, "passes": 3}) == {
        "temperature": 1.0, "lr": 0.5, "passes": 3, "head": "mse",
    }  # fmt: skip
    assert Arm.read("baseline").takes({"temperature": 1.0, "passes": 3}) == {"passes": 3}


def test_settings_go_to_the_arms_that_know_them() -> None:
    sweep = _sweep(target=["y"], queue=4)
    assert sweep.resolved(sweep.arms[0]).data.target == ("y",)
    assert getattr(sweep.resolved(sweep.arms[1]).method, "queue") == 4  # noqa: B009 - no field of the protocol


@pytest.mark.parametrize(
    ("arms", "settings", "message"),
    [
        (("rnc", "rnc"), {}, "a study compares 1 to 4 different arms, got rnc, rnc."),
        ((), {}, "a study compares 1 to 4 different arms, got none."),
        (("rnc lr",), {}, "the arm 'rnc lr' must be a method with settings as name=value, but holds 'lr'."),
        (("rnc",), {"seed": 3}, "the study sets `seed` itself. Leave it out; --seeds says what is studied."),
        (
            ("rnc temperature=1",),
            {},
            "the study sets `temperature` itself. Leave it out; --temperatures says what is studied.",
        ),
        (("rnc",), {"pases": 3}, "there is no setting 'pases' for method 'rnc'. Did you mean 'passes'?"),
        (
            ("rnc",),
            {"category": "c"},
            "the study compares errors of numbers. Name the column that holds them: --target.",
        ),
    ],
)
def test_what_is_refused(arms: tuple[str, ...], settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        _sweep(arms, **settings)
    assert str(caught.value) == message


def test_a_number_of_seeds_is_checked() -> None:
    with pytest.raises(ConfigError) as caught:
        _sweep(seeds=0, target=["y"])
    assert str(caught.value) == "`seeds` must be between 1 and 1,000, got 0."


def test_folders_have_plain_names() -> None:
    assert slug("without 15:25%+45:55%") == "without-15-25-45-55"
    assert slug("a/b ..") == "a-b-.."


def test_a_run_is_in_a_folder_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Path, Path, dict[str, object]]] = []
    monkeypatch.setattr(
        "isotone.studies.sweep.cell", lambda folder, table, **values: asked.append((folder, table, values))
    )
    sweep = _sweep(target=["y"])
    sweep.run(sweep.arms[1], 2, "train0.5", Path("part.csv"), passes=7)
    folder, table, values = asked[0]
    assert (folder, table) == (Path("s/seed2-train0.5-rnc"), Path("part.csv"))
    assert values == {"target": ["y"], "passes": 7, "seed": 2, "method": "rnc", "quiet": True}
