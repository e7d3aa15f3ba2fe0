"""`contrast` and its floor against the definition, term by term."""

import math

import pytest
import torch
from oracle.contrast import contrast as slow_contrast
from torch import Tensor

from isotone.core import contrast, floor
from isotone.core.contrast import weighted_contrast
from isotone.errors import ShapeError


def _case(seed: int, n: int = 7, m: int = 9, levels: int | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    make = torch.Generator().manual_seed(seed)
    logits = torch.randn(n, m, generator=make, dtype=torch.float64)
    distance = torch.rand(n, m, generator=make, dtype=torch.float64)
    if levels:
        distance = (distance * levels).floor()
    mask = torch.rand(n, m, generator=make) < 0.8
    positive = torch.rand(n, m, generator=make) < 0.5
    return logits, distance, mask, positive


@pytest.mark.parametrize("levels", [None, 1, 2, 4])
@pytest.mark.parametrize("scale", [1.0, 1e2, 1e4])
def test_value_and_gradient_equal_the_definition(levels: int | None, scale: float) -> None:
    for seed in range(5):
        logits, distance, mask, positive = _case(seed, levels=levels)
        logits = (logits * scale).requires_grad_()
        fast, slow = contrast(logits, distance, mask, positive), slow_contrast(logits, distance, mask, positive)
        torch.testing.assert_close(fast, slow, rtol=1e-12, atol=1e-12)
        (fast_grad,) = torch.autograd.grad(fast, logits)
        (slow_grad,) = torch.autograd.grad(slow, logits)
        torch.testing.assert_close(fast_grad, slow_grad, rtol=1e-10, atol=1e-12)


def test_gradcheck() -> None:
    logits, distance, mask, positive = _case(11, levels=3)
    assert torch.autograd.gradcheck(lambda x: contrast(x, distance, mask, positive), logits.requires_grad_())


def test_plain_and_log_sums_agree_where_one_hands_over_to_the_other() -> None:
    logits, distance, mask, positive = _case(3, n=4, m=40)
    for span in (590.0, 599.0, 601.0, 700.0):
        stretched = (logits - logits.min()) / (logits.max() - logits.min()) * span
        stretched.requires_grad_()
        fast, slow = contrast(stretched, distance, mask, positive), slow_contrast(stretched, distance, mask, positive)
        torch.testing.assert_close(fast, slow, rtol=1e-12, atol=0)
        torch.testing.assert_close(
            torch.autograd.grad(fast, stretched)[0], torch.autograd.grad(slow, stretched)[0], rtol=1e-9, atol=1e-15
        )


def test_anchors_without_a_positive_have_no_term() -> None:
    logits, distance, mask, positive = _case(5)
    alone = positive.clone()
    alone[0] = False
    expected = contrast(logits[1:], distance[1:], mask[1:], positive[1:])
    torch.testing.assert_close(contrast(logits, distance, mask, alone), expected)


def test_no_positive_at_all_is_zero_and_joined_to_the_graph() -> None:
    logits, distance, mask, positive = _case(5)
    logits.requires_grad_()
    value = contrast(logits, distance, mask, torch.zeros_like(positive))
    value.backward()
    assert value.item() == 0.0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_empty_mask_is_zero() -> None:
    logits, distance, mask, positive = _case(5)
    assert contrast(logits, distance, torch.zeros_like(mask), positive).item() == 0.0


def test_equality_distance_is_softmax_cross_entropy() -> None:
    logits = torch.randn(6, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    which = torch.tensor([0, 4, 2, 2, 1, 3])
    positive = torch.zeros(6, 5, dtype=torch.bool).scatter_(1, which[:, None], True)
    value = contrast(logits, (~positive).double(), torch.ones_like(positive), positive)
    torch.testing.assert_close(value, torch.nn.functional.cross_entropy(logits, which))


def test_floor_is_reached_and_never_passed() -> None:
    distance = torch.tensor([[1.0, 1.0, 2.0, 3.0, 3.0, 3.0]], dtype=torch.float64)
    keep = torch.ones(1, 6, dtype=torch.bool)
    lowest = floor(distance, keep, keep)
    assert lowest.item() == pytest.approx((2 * math.log(2) + 3 * math.log(3)) / 6)
    assert contrast(-1e3 * distance, distance, keep, keep).item() == pytest.approx(lowest.item(), rel=1e-12)
    assert contrast(-distance, distance, keep, keep) > lowest


def test_shapes_must_agree() -> None:
    with pytest.raises(ShapeError) as caught:
        contrast(
            torch.zeros(2, 3), torch.zeros(2, 3), torch.ones(2, 3, dtype=torch.bool), torch.ones(3, dtype=torch.bool)
        )
    assert str(caught.value) == "contrast expects four tensors of one shape (n, m), got [(2, 3), (3,)]."


def test_inputs_are_not_changed() -> None:
    before = _case(9)
    after = [x.clone() for x in before]
    contrast(*before)
    assert all(torch.equal(x, y) for x, y in zip(before, after, strict=True))


def _slow_weighted(logits: Tensor, distance: Tensor, mask: Tensor, weight: Tensor) -> Tensor:
    """Each term by the definition of the mean: one anchor with one positive."""
    total = logits.sum() * 0
    for i, j in weight.nonzero().tolist():
        one = torch.zeros_like(mask[:1]).index_fill(1, torch.tensor([j]), True)
        total = total + weight[i, j] * slow_contrast(logits[i : i + 1], distance[i : i + 1], mask[i : i + 1], one)
    return total


@pytest.mark.parametrize("levels", [None, 1, 3])
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_weighted_terms_equal_the_definition(levels: int | None, scale: float) -> None:
    for seed in range(3):
        logits, distance, mask, positive = _case(seed, levels=levels)
        weight = torch.rand(7, 9, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        weight = weight * positive * mask * (torch.arange(7) != 2)[:, None]
        logits = (logits * scale).requires_grad_()
        fast, slow = (f(logits, distance, mask, weight) for f in (weighted_contrast, _slow_weighted))
        torch.testing.assert_close(fast, slow, rtol=1e-12, atol=1e-12)
        (fast_grad,) = torch.autograd.grad(fast, logits)
        (slow_grad,) = torch.autograd.grad(slow, logits)
        torch.testing.assert_close(fast_grad, slow_grad, rtol=1e-10, atol=1e-11)


def test_weights_are_linear_and_those_of_the_mean_give_the_mean() -> None:
    logits, distance, mask, positive = _case(4, levels=4)
    count = (positive & mask).sum(1, keepdim=True)
    mean = (positive & mask).double() / count.clamp_min(1) / (count > 0).sum()
    torch.testing.assert_close(
        weighted_contrast(logits, distance, mask, mean), contrast(logits, distance, mask, positive), rtol=1e-14, atol=0
    )
    one, two = mean, mean * torch.arange(9)
    both = weighted_contrast(logits, distance, mask, 2 * one + 3 * two)
    parts = 2 * weighted_contrast(logits, distance, mask, one) + 3 * weighted_contrast(logits, distance, mask, two)
    torch.testing.assert_close(both, parts, rtol=1e-13, atol=0)


def test_weights_of_zero_are_zero_and_joined_to_the_graph() -> None:
    logits, distance, mask, _ = _case(5)
    value = weighted_contrast(logits.requires_grad_(), distance, mask, torch.zeros(7, 9))
    value.backward()
    assert value.item() == 0.0
    assert logits.grad is not None
    assert not logits.grad.any()


@pytest.mark.parametrize("far", [float("inf"), float("nan")])
def test_infinite_and_unknown_distances_are_not_kept(far: float) -> None:
    logits, distance, mask, positive = _case(6)
    unknown = torch.rand(7, 9, generator=torch.Generator().manual_seed(1)) < 0.3
    logits.requires_grad_()
    found = contrast(logits, distance.masked_fill(unknown, far), mask, positive)
    expected = contrast(logits, distance, mask & ~unknown, positive)
    torch.testing.assert_close(found, expected, rtol=1e-14, atol=0)
    torch.testing.assert_close(torch.autograd.grad(found, logits), torch.autograd.grad(expected, logits))


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_no_anchors_or_no_candidates_are_zero(shape: tuple[int, int]) -> None:
    logits, keep = torch.zeros(shape, requires_grad=True), torch.ones(shape, dtype=torch.bool)
    value = contrast(logits, torch.zeros(shape), keep, keep)
    value.backward()
    assert value.item() == 0.0
