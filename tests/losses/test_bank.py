"""The bank loss: each form is its loss on the bank's rows, negatives are never the anchor's own, updates are late."""

import math

import pytest
import torch
from torch import Tensor

from isotone.errors import ConfigError
from isotone.losses.bank import FULL, BankLoss, form_for
from isotone.losses.info_nce import info_nce
from isotone.losses.nce import NCELoss, nce, pirl_nce

N, D, T = 20, 6, 0.3
INDEX = torch.tensor([3, 7, 0, 19])


def _anchors() -> Tensor:
    make = torch.Generator().manual_seed(1)
    return torch.randn(4, D, generator=make, dtype=torch.float64).requires_grad_()


def _memory(form: str, **settings: object) -> BankLoss:
    return BankLoss(N, D, form=form, negatives=5, temperature=T, **settings).double()  # type: ignore[arg-type]


def _noise(memory: BankLoss, step: int = 0) -> Tensor:
    return memory.bank.rows(memory.bank.draw_shared(INDEX, 5, step=step))


def test_the_full_softmax_is_a_cross_entropy_over_all_rows() -> None:
    memory, z = _memory("full"), _anchors()
    logits = torch.nn.functional.normalize(z) @ memory.bank.embeddings.T / T
    slow = torch.nn.functional.cross_entropy(logits, INDEX)
    fast = memory(z, INDEX, step=0)
    torch.testing.assert_close(fast, slow, rtol=1e-10, atol=0)
    torch.testing.assert_close(*(torch.autograd.grad(x, z)[0] for x in (fast, slow)), rtol=1e-10, atol=1e-12)


def test_rows_that_are_all_alike_cost_ln_n() -> None:
    memory = _memory("full")
    memory.bank.embeddings.copy_(torch.eye(D, dtype=torch.float64)[:1].expand(N, D))
    assert float(memory(_anchors(), INDEX, step=0).detach()) == pytest.approx(math.log(N), rel=1e-12)


def test_the_other_forms_are_their_losses_on_the_drawn_rows() -> None:
    z, own = _anchors(), _memory("nce").bank.rows(INDEX)
    noise = _noise(_memory("nce"))
    expected = {
        "softmax": info_nce(z, own, temperature=T, negatives=noise, in_batch=False),
        "nce": nce(z, own, noise, instances=N, temperature=T),
        "pirl-nce": pirl_nce(z, own, noise, temperature=T),
    }
    for form, value in expected.items():
        torch.testing.assert_close(_memory(form)(z, INDEX, step=0), value, rtol=0, atol=0)


def test_draws_follow_the_step_and_never_hit_the_batch() -> None:
    memory = _memory("softmax")
    drawn = [memory.bank.draw_shared(INDEX, 5, step=step) for step in range(50)]
    assert not any(torch.isin(one, INDEX).any() for one in drawn)
    z = _anchors()
    assert memory(z, INDEX, step=0) == memory(z, INDEX, step=0)
    assert memory(z, INDEX, step=0) != memory(z, INDEX, step=1)


def test_an_update_moves_the_rows_by_the_momentum_of_the_old_ones() -> None:
    memory, z = _memory("full", momentum=0.75), _anchors().detach()
    old = memory.bank.rows(INDEX)
    others = memory.bank.embeddings.clone()
    memory.update(z, INDEX, step=0)
    moved = torch.nn.functional.normalize(0.75 * old + 0.25 * torch.nn.functional.normalize(z))
    torch.testing.assert_close(memory.bank.rows(INDEX), moved)
    rest = torch.tensor([i not in INDEX.tolist() for i in range(N)])
    assert torch.equal(memory.bank.embeddings[rest], others[rest])


@pytest.mark.parametrize("z", ["first-batch", "running"])
def test_z_is_taken_from_the_rows_before_they_move(z: str) -> None:
    memory, rows = _memory("nce", z=z), _anchors().detach()
    alone = NCELoss(N, z, T).double()  # type: ignore[arg-type]
    for step in range(3):
        alone.update(rows, memory.bank.rows(INDEX), _noise(memory, step))
        memory.update(rows, INDEX, step=step)
    assert memory.nce is not None
    assert memory.nce.z == alone.z
    assert int(memory.nce.updates) == (1 if z == "first-batch" else 3)


def test_a_loaded_memory_goes_on_as_the_saved_one() -> None:
    first, second, z = _memory("nce", z="running"), _memory("nce", z="running", seed=9), _anchors()
    first.update(z.detach(), INDEX, step=0)
    assert first(z, INDEX, step=1) != second(z, INDEX, step=1)
    second.load_state_dict(first.state_dict())
    second.bank.seed = 0  # the draws are keyed by the run's seed, which a resumed run has
    assert torch.equal(first(z, INDEX, step=1), second(z, INDEX, step=1))


def test_auto_is_the_full_softmax_for_small_sets() -> None:
    assert form_for(FULL) == "full"
    assert form_for(FULL + 1) == "nce"


def test_a_batch_of_everything_leaves_nothing_to_draw() -> None:
    with pytest.raises(ConfigError) as caught:
        BankLoss(3, D, form="softmax")(torch.randn(3, D), torch.arange(3), step=0)
    assert str(caught.value) == (
        "`softmax` draws negatives from the samples outside the batch, but the batch holds all 3 training rows. "
        "Use --form full, or a smaller --batch-size."
    )


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"negatives": 0}, "`negatives` must be a finite number above 0, got 0."),
        ({"temperature": 0.0}, "`temperature` must be a finite number above 0, got 0.0."),
        ({"momentum": 1.5}, "`momentum` must be between 0 and 1, got 1.5."),
    ],
)
def test_settings_out_of_range(settings: dict[str, object], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        BankLoss(N, D, **settings)  # type: ignore[arg-type]
    assert str(caught.value) == text
