import torch
from torch import nn

from isotone.nets.norms import NORMS, ChannelNorm, channel_norm, group_norm, has_batch_norm, with_norm


def net():
    return nn.Sequential(
        nn.Conv2d(3, 48, 3), nn.BatchNorm2d(48), nn.ReLU(), nn.Sequential(nn.Conv2d(48, 7, 1), nn.BatchNorm2d(7))
    )


def test_every_batch_norm_is_replaced_in_a_copy():
    before = net()
    nn.init.constant_(before[1].weight, 2.0)
    after = group_norm(before)
    assert has_batch_norm(before)
    assert not has_batch_norm(after)
    assert (after[1].num_groups, after[1].num_channels) == (24, 48)
    assert (after[3][1].num_groups, after[3][1].num_channels) == (7, 7)
    assert torch.equal(after[1].weight, before[1].weight)
    assert after[1].weight is not before[1].weight
    assert torch.equal(after[0].weight, before[0].weight)


def test_a_sample_no_longer_depends_on_its_batch():
    x = torch.rand(4, 3, 8, 8)
    after = group_norm(net()).train()
    torch.testing.assert_close(after(x)[:1], after(x[:1]))


def test_the_network_may_itself_be_a_batch_norm_of_rows():
    after = group_norm(nn.BatchNorm1d(64, affine=False).eval())
    assert isinstance(after, nn.GroupNorm)
    assert after.num_groups == 32
    assert after.weight is None
    assert not after.training
    assert after(torch.rand(2, 64)).shape == (2, 64)


def test_a_batch_norm_with_an_activation_keeps_the_activation():
    class Both(nn.BatchNorm2d):
        def __init__(self):
            super().__init__(4)
            self.drop, self.act = nn.Identity(), nn.ReLU()

        def forward(self, x):
            return self.act(super().forward(x))

    after = group_norm(nn.Sequential(Both()))
    assert [type(part) for part in after[0]] == [nn.GroupNorm, nn.ReLU]


def test_the_mode_is_kept():
    assert not group_norm(net().eval()).training
    assert not group_norm(net().eval())[1].training


def test_no_batch_norm_is_found_where_there_is_none():
    assert not has_batch_norm(nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2), nn.GroupNorm(1, 2)))


def test_channel_norm_is_layer_norm_over_the_channels_of_each_place():
    before = net()
    nn.init.constant_(before[1].weight, 2.0)
    after = channel_norm(before)
    assert not has_batch_norm(after)
    assert [type(after[1]), type(after[3][1])] == [ChannelNorm, ChannelNorm]
    assert torch.equal(after[1].weight, before[1].weight)
    x = torch.rand(4, 48, 5, 6)
    found = after[1](x)
    torch.testing.assert_close(found[2, :, 3, 4], nn.functional.layer_norm(x[2, :, 3, 4], (48,)) * 2)
    x[2, :, 0, 0] += 1
    assert torch.equal(after[1](x)[:, :, 1:], found[:, :, 1:])


def test_channel_norm_of_rows_and_of_a_norm_without_weights():
    after = channel_norm(nn.BatchNorm1d(8, affine=False).eval())
    assert (after.weight, after.bias, after.training) == (None, None, False)
    x = torch.randn(3, 8)
    torch.testing.assert_close(after(x), nn.functional.layer_norm(x, (8,)))


def test_the_norms_by_name():
    before = net()
    assert with_norm(before, "batch") is before
    kinds = [type(with_norm(before, norm)[1]) for norm in NORMS]
    assert kinds == [nn.BatchNorm2d, nn.GroupNorm, ChannelNorm]
