"""The figure of a comparison: every arm, in words too, and no drawing fault where there is no interval."""

from isotone.report.compare import Gap, difference_figure
from isotone.report.contents import Interval


def test_the_figure_says_its_numbers_in_words() -> None:
    gaps = [
        Gap("RnC + L1", Interval(-8.0, -11.0, -6.0), (-7.0, -9.0), "better"),
        Gap("MSE", Interval(4.0, -2.0, 9.0), (4.0, float("nan")), "open"),
    ]
    found = difference_figure(gaps, "L1", "MAE of <age>")
    assert found.alt == (
        "Difference in MAE of <age> to L1, in percent, with 95 % intervals; below 0 is better. "
        "RnC + L1 -8 % (-11 to -6); MSE 4 % (-2 to 9).".replace("-", "\N{MINUS SIGN}")
    )
    assert "RnC + L1" in found.svg
    assert "<age>" not in found.svg
    assert "var(--run)" in found.svg


def test_an_arm_without_an_interval_is_a_dot() -> None:
    nan = float("nan")
    found = difference_figure([Gap("A", Interval(2.0, nan, nan), (2.0,), "open")], "B", "MAE")
    assert "A 2 % (n/a to n/a)" in found.alt
