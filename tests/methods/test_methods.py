"""What every method must do, by discovery: a method that is in the list is tested here."""

from dataclasses import fields, is_dataclass

import pytest
import torch
from torch import nn

from isotone.errors import ConfigError
from isotone.methods import ALIASES, METHODS, method_class
from isotone.records import Batch, Tags


@pytest.mark.parametrize("name", METHODS)
def test_twenty_steps_lower_the_loss(name: str) -> None:
    method = METHODS[name]()
    torch.manual_seed(0)
    net = method.build(nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 16)), 16, 1)
    x = torch.randn(32, 8)
    y = x.sum(1, keepdim=True).double() / 8**0.5
    batch = Batch(x.expand(method.views, *x.shape), Tags(torch.arange(32), target=y, scaled=y))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    losses = []
    for _ in range(20):
        out = method.loss(net, batch)
        optimizer.zero_grad()
        out.total.backward()
        optimizer.step()
        losses.append(float(out.total.detach()))
        assert all(not part.requires_grad for part in out.parts.values())
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("name", METHODS)
def test_settings_have_help_and_are_frozen(name: str) -> None:
    method = METHODS[name]
    assert is_dataclass(method)
    assert method.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert method.select in ("last", "val")
    for setting in fields(method):
        assert f"        {setting.name}: " in (method.__doc__ or ""), f"{name}: `{setting.name}` has no help"


def test_the_first_name_of_rnc_is_found() -> None:
    assert method_class("supcr") is METHODS["rnc"]
    assert set(ALIASES.values()) <= set(METHODS)


def test_an_unknown_method_names_the_nearest() -> None:
    with pytest.raises(ConfigError) as caught:
        method_class("basline")
    assert str(caught.value) == "there is no method 'basline'; there are rnc, baseline. Did you mean 'baseline'?"
