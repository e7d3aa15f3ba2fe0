"""`methods` lists what there is."""

from collections.abc import Callable

Cli = Callable[..., tuple[int, str, str]]


def test_every_method_is_listed(cli: Cli) -> None:
    from isotone.methods import METHODS

    status, out, _ = cli("methods")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()[: len(METHODS)]] == list(METHODS)
    assert "supcr" in out


def test_what_each_needs_is_listed(cli: Cli) -> None:
    out = cli("methods")[1]
    assert "rnc             needs a target; takes images, rows of numbers, signals\n" in out
    assert "baseline        needs a target or a category; takes images, rows of numbers, signals\n" in out
    assert "simclr          needs no label; takes images, rows of numbers, signals\n" in out


def test_the_heads_are_listed(cli: Cli) -> None:
    out = cli("methods")[1]
    assert "\nHeads (--head) for targets: l1, mse, huber, dex, dldl, or, corn, and on a frozen encoder knn; " in out
    assert "; for classes: classify\n" in out
