"""Still maps: a column for each method, coloured by the target and by the nuisance, the same bytes each time."""

import numpy as np

from isotone.report.maps_still import Scatter, _codes, still_maps


def _scatter(name: str, nuisance: bool, n: int = 20) -> Scatter:
    draw = np.random.default_rng(0)
    h = draw.normal(size=(n, 4))
    return Scatter(name, h, h[:, 0], np.array([f"<{i % 3}>" for i in range(n)]) if nuisance else None)


def test_the_alt_text_says_what_is_drawn() -> None:
    found = still_maps([_scatter("l1", True), _scatter("rnc", True)], "angle", "digit")
    assert found.alt == (
        "PCA of the test rows' representation of l1, rnc, coloured by angle, and by digit (<0>, <1>, <2>)."
    )
    assert "<svg" in found.svg
    assert "<0>" not in found.svg
    assert found == still_maps([_scatter("l1", True), _scatter("rnc", True)], "angle", "digit")


def test_without_a_nuisance_and_with_rows_enough_for_tsne() -> None:
    found = still_maps([_scatter("rnc", False, 30)], "angle", "")
    assert found.alt == "t-SNE of the test rows' representation of rnc, coloured by angle."


def test_only_ten_names_have_a_colour() -> None:
    names, code = _codes(np.array([f"{i:02d}" for i in range(12)] + ["11", "11"]))
    assert names[0] == "11"
    assert len(names) == 10
    assert code.max() == 10
