"""What data a method is refused, in full sentences, and the head that labels ask for."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

from isotone.errors import ConfigError
from isotone.methods import METHODS
from isotone.methods.baseline import Baseline
from isotone.methods.needs import KINDS, NEEDS, check_views, needs_label, suited
from isotone.methods.rnc import RnC
from isotone.records import Dataset, Kind, Method, Need

TEXT = np.array(list("abcdef"))
SPLIT = np.array(["train", "train", "train", "val", "test", "test"])
NUMBERS = Dataset("t.csv", "rows", np.eye(6), np.arange(6.0)[:, None], ("age",), SPLIT, TEXT, np.arange(6))
NONE = replace(NUMBERS, target=np.empty((6, 0)), target_names=())
CLASSES = replace(NONE, category=np.array([0, 1, -1, 0, 1, 1]), classes=("cat", "dog"), category_name="species")


class _Any(Baseline):
    needs: ClassVar[tuple[Need, ...]] = ()
    kinds: ClassVar[tuple[Kind, ...]] = ("rows", "image")


class _Grouper(_Any):
    needs: ClassVar[tuple[Need, ...]] = ("category",)


class _Tracker(_Any):
    needs: ClassVar[tuple[Need, ...]] = ("sequence",)


class _Pairer(_Any):
    needs: ClassVar[tuple[Need, ...]] = ("second",)


@pytest.mark.parametrize(
    ("dataset", "head"), [(NUMBERS, "l1"), (CLASSES, "classify"), (NONE, "auto")], ids=["numbers", "classes", "none"]
)
def test_auto_takes_what_the_labels_ask_for(dataset: Dataset, head: str) -> None:
    assert suited(_Any(), dataset).head == head


def test_a_head_that_was_named_stays() -> None:
    assert suited(Baseline(head="huber", views=3), NUMBERS) == Baseline(head="huber", views=3)
    assert suited(RnC(), NUMBERS).temperature == RnC().temperature


@pytest.mark.parametrize(
    ("method", "dataset", "message"),
    [
        (
            RnC(),
            CLASSES,
            "RnC needs a `target`, but data set `t.csv` has classes only. Use --method supcon or baseline, or name a "
            "--target.",
        ),
        (
            RnC(),
            NONE,
            "RnC needs a `target`, but data set `t.csv` has no labels. Name a --target, or use a method that needs no "
            "label: `isotone methods` lists what each needs.",
        ),
        (
            _Grouper(),
            NUMBERS,
            "_Grouper needs a `category`, but data set `t.csv` has targets only. Use --method rnc or baseline, or name "
            "a --category.",
        ),
        (
            Baseline(),
            NONE,
            "Baseline needs a `target` or a `category`, but data set `t.csv` has no labels. Name a --target or a "
            "--category, or use a method that needs no label: `isotone methods` lists what each needs.",
        ),
        (
            _Tracker(),
            NUMBERS,
            "_Tracker needs a `sequence`, but data set `t.csv` names none. Name its column: --sequence.",
        ),
        (_Pairer(), NONE, "_Pairer needs a `second`, but data set `t.csv` names none. Name its column: --second."),
        (
            _Any(),
            replace(NONE, kind="signal"),
            "_Any takes rows of numbers or images, but data set `t.csv` holds signals. `isotone methods` lists what "
            "each takes.",
        ),
        (
            _Any("l1"),
            CLASSES,
            "the head 'l1' predicts numbers, but data set `t.csv` has classes ('species'). Use --head classify, or "
            "name a --target instead.",
        ),
        (
            _Any("classify"),
            NUMBERS,
            "the head 'classify' tells classes apart, but data set `t.csv` has targets. Use --head l1, mse, huber, "
            "dex, dldl, or, corn, or name a --category instead.",
        ),
        (
            _Any("huber"),
            NONE,
            "the head 'huber' is fitted on labels, and data set `t.csv` has none. Leave out --head, or name a --target "
            "or a --category.",
        ),
        (
            _Any(),
            replace(CLASSES, category=np.array([0, 1, -1, -1, 1, 1])),
            "data set `t.csv` has 2 rows with a label to train on, 0 for validation and 2 for the test, but at least "
            "2, 1 and 1 are needed. Label more rows, or change the split.",
        ),
        (
            _Any(),
            replace(NUMBERS, target=np.array([[1.0], [np.nan], [np.nan], [2.0], [3.0], [3.0]])),
            "data set `t.csv` has 1 rows with a label to train on, 1 for validation and 2 for the test, but at least "
            "2, 1 and 1 are needed. Label more rows, or change the split.",
        ),
        (
            _Any(),
            replace(CLASSES, category=np.array([1, 1, -1, 0, 1, 1])),
            "all 2 training rows of data set `t.csv` with a label are of class 'dog', so there is nothing to tell "
            "apart. Look at --category and at the split.",
        ),
    ],
)
def test_what_does_not_fit_is_named_with_the_way_out(method: Method, dataset: Dataset, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        suited(method, dataset)
    assert str(caught.value) == message


def test_who_needs_labels() -> None:
    assert needs_label(RnC)
    assert needs_label(Baseline())
    assert not needs_label(_Tracker)


def test_every_need_and_kind_of_a_method_has_its_words() -> None:
    for method in METHODS.values():
        assert set(method.needs) <= set(NEEDS)
        assert set(method.kinds) <= set(KINDS)


def _gaze(*columns: list[float], names: tuple[str, ...] = ("pitch", "yaw")) -> Dataset:
    target = np.zeros((6, len(columns)))
    target[0] = [column[0] for column in columns]
    target[1:] += [column[1] for column in columns]
    return replace(NUMBERS, target=target, target_names=names, geometry="gaze")


def test_the_distance_goes_by_the_geometry() -> None:
    assert suited(RnC(), NUMBERS).distance == "l1"
    assert suited(RnC(), replace(NUMBERS, geometry="circle:24")).distance == "circular:24"
    assert suited(RnC(), _gaze([0.1, 0.2], [3.0, -3.0])).distance == "angular"
    assert suited(RnC(distance="l2"), replace(NUMBERS, geometry="circle:24")).distance == "l2"


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (
            replace(NUMBERS, geometry="gaze"),
            "geometry gaze takes two targets, pitch and yaw in radians, or three, a direction, but there is 1: age. "
            "Name them: --target pitch,yaw.",
        ),
        (
            _gaze([10.0, -20.0], [3.0, 1.0]),
            "geometry gaze takes pitch (up to 1.5708 either way) and yaw (up to 3.1416) in radians, but 'pitch' goes "
            "from -20 to 10. Multiply degrees by 0.0174533; pitch comes first.",
        ),
        (
            _gaze([1.0, 0.0], [0.0, 0.0], [0.0, 0.0], names=("x", "y", "z")),
            "geometry gaze takes directions, but b is all zeros and has none. Remove such rows.",
        ),
    ],
)
def test_targets_that_are_no_gazes_are_refused(dataset: Dataset, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        suited(Baseline(), dataset)
    assert str(caught.value) == message


def test_a_mirror_is_refused_for_gazes_alone() -> None:
    check_views(NUMBERS, ("flip", "light"))
    check_views(_gaze([0.0, 0.1], [0.0, 0.1]), ("crop", "light"))
    with pytest.raises(ConfigError) as caught:
        check_views(_gaze([0.0, 0.1], [0.0, 0.1]), ("light", "flip"))
    assert str(caught.value) == (
        "the augmentation 'flip' turns a gaze without its target. Name others, such as --augment light,noise."
    )
