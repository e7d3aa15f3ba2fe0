"""What holds for every test and every example of a docstring."""

import pytest
import torch


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Start each from the same draws: a network that an example makes has the same weights on every run."""
    del item
    torch.manual_seed(0)
