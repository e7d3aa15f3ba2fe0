"""Eight ways to misuse a loss that go unnoticed elsewhere: each is an error that says what to do instead."""

from collections.abc import Callable

import pytest
import torch

from isotone import losses
from isotone.errors import IsotoneError
from isotone.records import Candidates, Tags

Z, Y, VIEWS = torch.eye(4), torch.arange(4.0), torch.eye(4)[:, None].repeat(1, 2, 1)
MISUSES: dict[str, tuple[Callable[[], object], str]] = {
    "float labels, which would be SimCLR or 0": (
        lambda: losses.supcon(VIEWS, Y),
        "SupCon asks whether labels are equal and expects integers, got torch.float32. "
        "Use RnC for real targets; for classes pass labels.long().",
    ),
    "a target that is NaN, which would be -inf": (
        lambda: losses.rnc(Z, torch.tensor([0.0, 1.0, float("nan"), 3.0])),
        "RnC expects finite targets, got NaN or infinity in 1 of 4 rows (2). "
        "Drop these rows, or fill in the missing targets.",
    ),
    "targets of the wrong length, which would be repeated": (
        lambda: losses.rnc(VIEWS, torch.arange(8.0)),
        "RnC expects targets (4,) or (4, k), one for each sample, got (8,). "
        "Views of one sample share its target: pass embeddings (b, v, d) with targets (b,).",
    ),
    "SimCLR of one view, in which nothing is positive": (
        lambda: losses.info_nce(Z),
        "InfoNCE expects two or more views (b, v, d), got (4, 4): with one view nothing is "
        "positive. Stack two augmented views: torch.stack((z1, z2), 1); or pass info_nce(anchors, partners).",
    ),
    "classes to RnC, which would rank them": (
        lambda: losses.rnc(Z, torch.tensor([True, False, True, False])),
        "RnC orders samples by real targets, got torch.bool. Use SupCon for classes.",
    ),
    "one label for every row of two views": (
        lambda: losses.triplet(VIEWS, torch.arange(8)),
        "Triplet loss expects labels (4,), one for each sample, got (8,). "
        "Views of one sample share its label: pass embeddings (b, v, d) with labels (b,).",
    ),
    "features that have diverged": (
        lambda: losses.supcon(Z / 0, torch.tensor([0, 0, 1, 1])),
        "SupCon expects finite embeddings, got NaN or infinity in 4 of 4 rows (0, 1, 2, 3). "
        "The network has diverged or its input is damaged: look at the loss before.",
    ),
    "a queue without targets, which RnC cannot rank": (
        lambda: losses.rnc(Z, Y, others=Candidates(torch.ones(3, 4), Tags())),
        "RnC expects other candidates (m, 4) with targets (m, 1), got "
        "(3, 4) with None. Fill Candidates(embeddings, Tags(target=...)).",
    ),
}


@pytest.mark.parametrize("misuse", MISUSES)
def test_each_is_an_error_that_names_the_fix(misuse: str) -> None:
    call, message = MISUSES[misuse]
    with pytest.raises(IsotoneError) as caught:
        call()
    assert str(caught.value) == message


OWNERS = {
    "SupCon": losses.supcon,
    "Triplet loss": losses.triplet,
    "Contrastive loss": losses.contrastive,
    "Lifted loss": losses.lifted,
}
LABELS = torch.arange(4)
REFUSED: list[tuple[torch.Tensor, torch.Tensor, str]] = [
    (Z[0], LABELS, "expects embeddings (n, d) or (b, v, d), got (4,). Add the width: embeddings[:, None]."),
    (Z.long(), LABELS, "expects float embeddings, got torch.int64. Use embeddings.float()."),
    (
        Z[:1],
        LABELS[:1],
        "compares samples and needs at least 2 rows, got 1. Use a larger batch, or drop the last incomplete one.",
    ),
    (
        Z / 0,
        LABELS,
        "expects finite embeddings, got NaN or infinity in 4 of 4 rows (0, 1, 2, 3). "
        "The network has diverged or its input is damaged: look at the loss before.",
    ),
    (
        Z,
        LABELS.float(),
        "asks whether labels are equal and expects integers, got torch.float32. "
        "Use RnC for real targets; for classes pass labels.long().",
    ),
    (
        Z,
        LABELS[:3],
        "expects labels (4,), one for each sample, got (3,). "
        "Views of one sample share its label: pass embeddings (b, v, d) with labels (b,).",
    ),
]


@pytest.mark.parametrize("owner", OWNERS)
@pytest.mark.parametrize(("z", "y", "message"), REFUSED)
def test_losses_of_labels_name_what_is_wrong(owner: str, z: torch.Tensor, y: torch.Tensor, message: str) -> None:
    with pytest.raises(IsotoneError) as caught:
        OWNERS[owner](z, y)
    assert str(caught.value) == f"{owner} {message}"
