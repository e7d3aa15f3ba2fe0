"""PIRL: two terms against one bank, which holds the images that are not transformed; without the second it is NPID."""

import math

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from isotone.errors import ConfigError
from isotone.losses.bank import BankLoss
from isotone.methods.npid import NPID
from isotone.methods.pirl import PIRL
from isotone.nets.encoders import build_encoder
from isotone.nets.network import Network
from isotone.records import Batch, Facts, LossOutput, Tags

FACTS = Facts(width=512, shape=(1, 32, 32), instances=40, seed=3)
TRANSFORMS = ("jigsaw", "rotation", "both")


def _pirl(**settings: object) -> PIRL:
    return PIRL(**{"width": 16, "temperature": 0.2, **settings})  # type: ignore[arg-type]


def _batch(views: int = 2, rows: int = 16, step: int = 0, epoch: int = 0) -> Batch:
    digits = torch.from_numpy(load_digits().images[:rows]).float()[:, None] / 8 - 1
    images = torch.nn.functional.interpolate(digits, size=32, mode="bilinear")
    stacked = torch.stack([images + 0.1 * view for view in range(views)])
    return Batch(stacked, Tags(torch.arange(rows) * 2), step=step, epoch=epoch)


def _net(method: PIRL | NPID, norm: str = "group") -> Network:
    encoder, _ = build_encoder("small-cnn", kind="image", shape=(1, 32, 32), norm=norm, seed=3)
    return method.build(encoder, FACTS)


def _steps(
    method: PIRL | NPID, count: int, norm: str = "group", views: int = 2
) -> tuple[Network, BankLoss, list[LossOutput]]:
    net, found = _net(method, norm), []
    memory = method.memory(net, FACTS)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    for step in range(count):
        found.append(method.loss(net, _batch(views, rows=8, step=step), memory))
        optimizer.zero_grad()
        found[-1].total.backward()
        optimizer.step()
        method.after_step(net, memory, found[-1])
    return net, memory, found


class _Recorded(nn.Module):
    """Stands for the network: keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, Tensor]] = []

    def forward(self, x: Tensor, part: str) -> Tensor:
        self.calls.append((part, x))
        return torch.ones(len(x), 16)


def _seen(batch: Batch, transform: str) -> Tensor:
    method, net = _pirl(transform=transform), _Recorded()
    method.loss(net, batch, method.memory(net, FACTS))
    assert [part for part, _ in net.calls] == ["z", "transformed"]
    assert torch.equal(net.calls[0][1], batch.views[0])
    return net.calls[1][1]


@pytest.mark.parametrize("norm", ["batch", "group"])
@pytest.mark.parametrize("form", ["nce", "pirl-nce", "softmax", "full"])
def test_without_the_transformed_term_it_is_npid_to_the_bit(form: str, norm: str) -> None:
    same = {"width": 16, "negatives": 12, "form": form, "views": 1}
    npid = _steps(NPID(**same), 4, norm, views=1)  # type: ignore[arg-type]
    for transform in TRANSFORMS:
        pirl = _steps(PIRL(lam=0.0, transform=transform, **same), 4, norm, views=1)  # type: ignore[arg-type]
        for mine, theirs in zip(pirl[:2], npid[:2], strict=True):
            assert mine.state_dict().keys() == theirs.state_dict().keys()
            assert all(torch.equal(x, theirs.state_dict()[name]) for name, x in mine.state_dict().items())
        assert all(torch.equal(a.total, b.total) for a, b in zip(pirl[2], npid[2], strict=True))


@pytest.mark.parametrize("form", ["pirl-nce", "full"])
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_the_loss_is_both_terms_against_the_same_rows(transform: str, form: str) -> None:
    method, batch = _pirl(transform=transform, lam=0.3, form=form, negatives=12), _batch(step=5)
    net = _net(method)
    memory = method.memory(net, FACTS)
    f = net(batch.views[0], "z")
    g = net(_seen(batch, transform), "transformed")
    out = method.loss(net, batch, memory)
    first, second = (memory(z, batch.tags.instance, step=5) for z in (f, g))
    torch.testing.assert_close(out.total, 0.3 * second + 0.7 * first)
    torch.testing.assert_close(out.parts["image"], first.detach())
    torch.testing.assert_close(out.parts["transformed"], second.detach())
    cosine = torch.cosine_similarity(f[:, None], g, dim=2).detach()
    apart = cosine[~torch.eye(16, dtype=torch.bool)].mean()
    torch.testing.assert_close(out.parts["agreement"], cosine.diagonal().mean() - apart, atol=1e-6, rtol=1e-5)
    assert not any(part.requires_grad for part in out.parts.values())


@pytest.mark.parametrize("lam", [0.5, 1.0])
def test_the_bank_follows_the_image_that_is_not_transformed(lam: float) -> None:
    method, batch = _pirl(lam=lam, bank_momentum=0.0), _batch()
    net = _net(method)
    memory = method.memory(net, FACTS)
    before = memory.bank.embeddings.clone()
    out = method.loss(net, batch, memory)
    assert torch.equal(memory.bank.embeddings, before)  # the loss itself changes nothing
    method.after_step(net, memory, out)
    f = nn.functional.normalize(net(batch.views[0], "z").detach())
    torch.testing.assert_close(memory.bank.embeddings[0:32:2], f)
    assert torch.equal(memory.bank.embeddings[1:32:2], before[1:32:2])


def test_with_lambda_1_only_the_transformed_copy_teaches() -> None:
    method = _pirl(lam=1.0)
    net = _net(method)
    out = method.loss(net, _batch(), method.memory(net, FACTS))
    torch.testing.assert_close(out.total.detach(), out.parts["transformed"])
    out.total.backward()
    for p in net.parts["z"].parameters():
        assert p.grad is None or not p.grad.any()
    assert next(net.encoder.parameters()).grad.abs().sum() > 0


def test_rotation_turns_each_image_by_its_own_quarters_exactly() -> None:
    batch = _batch()
    seen, quarters = _seen(batch, "rotation"), []
    for found, image in zip(seen, batch.views[1], strict=True):
        fits = [torch.equal(found, image.rot90(k, (1, 2))) for k in range(4)]
        assert sum(fits) == 1
        quarters.append(fits.index(True))
    assert set(quarters) == {0, 1, 2, 3}


def test_jigsaw_cuts_all_nine_and_puts_them_in_any_order() -> None:
    """A patch is known again by its own cell: of 9 flat cells, recolouring moves no grey by more than 0.4."""
    flat = torch.arange(9).float().view(3, 3).repeat_interleave(10, 0).repeat_interleave(10, 1)
    image = nn.functional.pad(flat, (1, 1, 1, 1))  # the grid of 32 pixels starts at 1
    batch = Batch(image.expand(2, 16, 1, 32, 32), Tags(torch.arange(16)))
    cells = _seen(batch, "jigsaw").mean((2, 3, 4)).round()
    assert torch.equal(cells.sort(1).values, torch.arange(9.0).expand(16, 9))
    assert len(cells.unique(dim=0)) == 16


def test_both_is_a_jigsaw_of_the_turned_image() -> None:
    batch = _batch()
    turned = Batch(torch.stack([batch.views[0], _seen(batch, "rotation")]), batch.tags)
    assert torch.equal(_seen(batch, "both"), _seen(turned, "jigsaw"))
    assert not torch.equal(_seen(batch, "both"), _seen(batch, "jigsaw"))


def test_each_patch_is_recoloured_by_itself() -> None:
    """Patches of an even image differ in brightness alone: up to 0.4 either way, each by its own draw."""
    seen = _seen(Batch(torch.full((2, 16, 1, 32, 32), 0.3), Tags(torch.arange(16))), "jigsaw")
    assert seen.shape == (16, 9, 1, 8, 8)
    torch.testing.assert_close(seen, seen[..., :1, :1].expand_as(seen))
    levels = seen[..., 0, 0].flatten() - 0.3
    assert len(levels.unique()) == 16 * 9
    assert -0.4 <= levels.min() < -0.38
    assert 0.38 < levels.max() <= 0.4


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_draws_do_not_depend_on_the_batch_but_on_the_epoch(transform: str) -> None:
    batch = _batch()
    few = Batch(batch.views[:, [5, 2]], Tags(torch.tensor([10, 4])))
    seen = _seen(batch, transform)
    assert torch.equal(_seen(few, transform), seen[[5, 2]])
    assert not torch.equal(_seen(_batch(epoch=1), transform), seen)


def test_f_and_g_begin_with_weights_of_their_own() -> None:
    net = _net(_pirl(transform="rotation"))
    f, g = (next(iter(net.parts[name].parameters())) for name in ("z", "transformed"))
    assert f.shape == g.shape
    assert not torch.equal(f, g)


def test_what_it_is_and_what_it_refuses() -> None:
    method = PIRL()
    assert math.isnan(method.score(torch.zeros(2, 2), Tags()))
    assert (method.needs, method.kinds, method.scored, method.select) == ((), ("image",), False, "last")
    assert method.memory(nn.Identity(), FACTS).form == "full"
    assert PIRL(form="pirl-nce").memory(nn.Identity(), FACTS).form == "pirl-nce"
    for setting, message in (
        ({"lam": 1.5}, "`lam` must be between 0 and 1, got 1.5."),
        ({"views": 3}, "`views` must be between 1 and 2, got 3."),
        ({"temperature": 0.0}, "`temperature` must be a finite number above 0, got 0.0."),
        ({"bank_momentum": 2.0}, "`bank_momentum` must be between 0 and 1, got 2."),
    ):
        with pytest.raises(ConfigError) as caught:
            PIRL(**setting)  # type: ignore[arg-type]
        assert str(caught.value) == message
    small = Facts(width=4, shape=(3, 20, 20), instances=9)
    with pytest.raises(ConfigError) as caught:
        method.build(nn.Identity(), small)
    assert str(caught.value).startswith("a 3 x 3 grid of patches needs images of at least 21 pixels, got 20:")
    assert "transformed" in PIRL(transform="rotation").build(nn.Identity(), small).parts


@pytest.mark.skipif(
    "config.getoption('--jaxtyping-packages', None)", reason="the type-checking hook refuses the argument first"
)
def test_an_unknown_transform_names_those_there_are() -> None:
    with pytest.raises(ConfigError) as caught:
        PIRL(transform="turn")  # type: ignore[arg-type]
    assert str(caught.value) == "`transform` has no 'turn'; there are jigsaw, rotation, both."
