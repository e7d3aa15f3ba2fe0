"""What is compared is settled, or refused in one sentence, before anything is trained."""

from pathlib import Path

import pandas as pd
import pytest

from isotone.data.load import load_table
from isotone.errors import ConfigError
from isotone.methods import METHODS
from isotone.records import Dataset
from isotone.settings import resolve
from isotone.studies.arms import Asked, Trained, asked, config_settings, passes, plan

NUMBERS = {"target": ["y"], "features": ["a", "b"]}
CLASSES = {"category": "c", "features": ["a", "b"]}


def _data(folder: Path, settings: dict[str, object]) -> Dataset:
    table = {"a": range(40), "b": [i % 7 for i in range(40)], "y": [i / 2 for i in range(40)], "c": ["u", "v"] * 20}
    pd.DataFrame(table).to_csv(folder / "t.csv", index=False)
    return load_table(folder / "t.csv", resolve("baseline", settings).data, 0)[0]


def _asked(
    methods: tuple[str, ...] = ("baseline", "rnc"), heads: tuple[str, ...] = (), seeds: int = 3, **more: object
) -> Asked:
    return asked("t.csv", methods, heads, seeds, {**NUMBERS, **more})


def test_the_baseline_is_trained_for_each_head_and_an_encoder_once_for_all(tmp_path: Path) -> None:
    found = plan(_asked(heads=("l1", "mse"), passes=2), _data(tmp_path, NUMBERS))
    assert found.trained == (Trained("baseline", "l1"), Trained("baseline", "mse"), Trained("rnc"))
    assert [(arm.name, arm.title) for arm in found.arms] == [
        ("baseline-l1", "L1"),
        ("baseline-mse", "MSE"),
        ("rnc-l1", "RnC + L1"),
        ("rnc-mse", "RnC + MSE"),
        ("rnc-knn", "RnC + kNN"),
    ]
    assert len({arm.trained for arm in found.arms}) == 3
    assert found.notes == ()


def test_a_method_without_labels_and_one_of_classes(tmp_path: Path) -> None:
    question = asked("t.csv", ("simclr", "baseline"), (), 1, {**CLASSES, "passes": 2})
    found = plan(question, _data(tmp_path, CLASSES))
    assert [arm.name for arm in found.arms] == ["simclr-classify", "simclr-knn", "baseline-classify"]


def test_heads_that_a_method_is_not_trained_with_are_left_out_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("isotone.studies.arms._heads_of", lambda name: ("l1",) if name == "baseline" else ("l1", "mse"))
    found = plan(_asked(heads=("l1", "mse"), passes=2), _data(tmp_path, NUMBERS))
    assert [arm.name for arm in found.arms] == ["baseline-l1", "rnc-l1", "rnc-mse", "rnc-knn"]
    assert found.notes == ("baseline is trained with l1, not with mse.",)


def test_all_heads_and_each_name_once() -> None:
    found = _asked(("rnc", "supcr", "rnc"), ("all",))
    assert found.methods == ("rnc",)
    assert found.heads[:3] == ("l1", "mse", "huber")


def test_a_setting_goes_to_the_methods_that_know_it() -> None:
    question = _asked(temperature=1.5)
    assert question.of(Trained("rnc"), 2) == {**NUMBERS, "temperature": 1.5, "head": "l1", "seed": 2}
    assert question.of(Trained("baseline", "mse"), 0, lr=0.3) == {**NUMBERS, "head": "mse", "seed": 0, "lr": 0.3}


def test_passes_count_whole_epochs_of_all_views() -> None:
    assert passes(resolve("rnc", {"passes": 7})) == 6
    assert passes(resolve("rnc", {"passes": 1})) == 2


def test_a_recipe_serves_all_methods() -> None:
    values = {"method": "rnc", "temperature": 2.0, "passes": 8, "seed": 3}
    assert config_settings(values, ("baseline", "rnc"), "a.yaml") == {"temperature": 2.0, "passes": 8}


@pytest.mark.parametrize(
    ("methods", "heads", "seeds", "settings", "message"),
    [
        (
            ("baseline", "rmc"),
            (),
            3,
            NUMBERS,
            f"there is no method 'rmc'; there are {', '.join(METHODS)}. Did you mean 'rnc'?",
        ),
        ((), (), 3, NUMBERS, "name at least one method to compare: --methods baseline,rnc."),
        (("baseline",), (), 0, NUMBERS, "`seeds` must be between 1 and 1,000, got 0."),
        (
            ("baseline",),
            ("classify",),
            3,
            NUMBERS,
            "there is no head 'classify' for numbers (--target); there are {heads}.",
        ),
        (
            ("baseline",),
            ("mss",),
            3,
            NUMBERS,
            "there is no head 'mss' for numbers (--target); there are {heads}. Did you mean 'mse'?",
        ),
        (("baseline",), (), 3, {}, "what is to be predicted? Name its column: --target, or --category for classes."),
        (
            ("baseline",),
            (),
            3,
            {**NUMBERS, "seed": 4},
            "a comparison sets `seed` itself, by --seeds. Leave it out.",
        ),
        (
            ("baseline",),
            (),
            3,
            {**NUMBERS, "pases": 4},
            "there is no setting 'pases' for baseline. Did you mean 'passes'?",
        ),
        (
            ("baseline", "distill"),
            (),
            3,
            NUMBERS,
            "distill needs a finished run as teacher, but a comparison trains every arm anew for each seed. Leave it "
            "out of --methods, and compare its run by: isotone report RUN --against OTHER.",
        ),
    ],
)
def test_mistakes_are_one_sentence(
    methods: tuple[str, ...], heads: tuple[str, ...], seeds: int, settings: dict[str, object], message: str
) -> None:
    from isotone.predict import FROZEN

    with pytest.raises(ConfigError) as caught:
        asked("t.csv", methods, heads, seeds, settings)
    assert str(caught.value) == message.replace("{heads}", ", ".join(FROZEN["numbers"]))


def test_a_method_of_classes_is_refused_on_numbers() -> None:
    with pytest.raises(ConfigError) as caught:
        _asked(("baseline", "supcon"))
    others = ", ".join(name for name, made in METHODS.items() if "category" not in made.needs)
    assert str(caught.value) == (
        f"supcon needs a category, and none is named. Name its column (--category), or choose among: {others}."
    )


def test_passes_that_the_views_do_not_divide_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        plan(_asked(passes=5), _data(tmp_path, NUMBERS))
    assert str(caught.value) == (
        "with --passes 5 the methods would not have the same encoder passes (baseline 5, rnc 4), since a step takes "
        "all views of a row. Choose a multiple of 2, such as --passes 4."
    )
