import math

import torch

from isotone.data.gaussian import gaussian


def test_numbers_are_normal_and_independent():
    z = gaussian(torch.tensor([[0.1, 0.2], [0.1, 0.2], [0.1, 0.2 + 2**-24]]), 30_000)
    assert torch.equal(z[0], z[1])
    # 30,000 draws: four standard errors of mean, variance and correlation
    assert abs(z[0].mean()) < 4 / math.sqrt(30000)
    assert abs(z[0].var() - 1) < 4 * math.sqrt(2 / 30000)
    assert abs((z[0] * z[2]).mean()) < 4 / math.sqrt(30000)
    assert abs((z[0, 1:] * z[0, :-1]).mean()) < 4 / math.sqrt(30000)


def test_more_numbers_begin_with_the_same_ones_and_stay_finite():
    u = torch.tensor([[0.0, 0.0], [1 - 2**-24, 1 - 2**-24]])
    assert torch.equal(gaussian(u, 7), gaussian(u, 100)[:, :7])
    assert gaussian(u, 100_000).abs().max() < 5.3
    assert gaussian(u, 0).shape == (2, 0)
