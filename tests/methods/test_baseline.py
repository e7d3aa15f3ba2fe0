"""The baseline: a linear head end to end, scored by its own error."""

import pytest
import torch
from torch import nn

from isotone.methods import Baseline
from isotone.nets.network import Network
from isotone.predict import predictor
from isotone.records import Batch, Bins, Facts, Tags


@pytest.mark.parametrize(("head", "value"), [("l1", 1.5), ("mse", 2.5), ("huber", 1.0)])
def test_the_loss_is_the_heads_loss(head: str, value: float) -> None:
    # errors 1 and 2: mean 1.5; mean square 2.5; Huber with delta 1: (0.5 + 1.5) / 2
    method = Baseline(head=head)  # type: ignore[arg-type]
    net = method.build(nn.Identity(), Facts(1, k=1))
    assert isinstance(net, Network)
    assert net.head is not None
    nn.init.ones_(net.head.weight)
    nn.init.zeros_(net.head.bias)
    batch = Batch(torch.tensor([[[1.0], [3.0]]]), Tags(scaled=torch.tensor([[0.0], [5.0]], dtype=torch.float64)))
    assert float(method.loss(net, batch).total.detach()) == pytest.approx(value)


def test_the_score_is_the_mean_absolute_error() -> None:
    out, y = torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [2.0]], dtype=torch.float64)
    assert Baseline(head="mse").score(out, Tags(scaled=y)) == pytest.approx(0.5)


@pytest.mark.parametrize("head", ["dex", "dldl", "or", "corn"])
def test_heads_with_bins_take_them_from_the_tags(head: str) -> None:
    method, bins = Baseline(head=head), Bins((-1.0, 0.0), (1.0, 2.0), 5)  # type: ignore[arg-type]
    net = method.build(nn.Identity(), Facts(3, k=2, bins=bins))
    y = torch.tensor([[0.0, 1.0], [1.0, 2.0]], dtype=torch.float64)
    x = torch.randn(2, 3, generator=torch.Generator().manual_seed(0))
    tags = Tags(scaled=y, bins=bins)
    made, out = predictor(head, bins), net(x).detach()
    assert out.shape == (2, made.outputs(2))
    assert torch.equal(method.loss(net, Batch(x[None], tags)).total.detach(), made.loss(out, y))
    assert method.score(out, tags) == pytest.approx(float((made.decode(out) - y).abs().mean()))
