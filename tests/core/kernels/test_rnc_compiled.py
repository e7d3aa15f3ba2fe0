"""The parts of the compiled rows that `test_rnc_rows` cannot see one by one: the exponential."""

import numpy as np
import pytest

from isotone.core.kernels.rnc_rows import installed

pytestmark = pytest.mark.skipif(not installed(), reason="numba, the extra `fast`, is not installed")


def test_the_exponential_is_good_to_the_last_bits_of_float32() -> None:
    from isotone.core.kernels import rnc_compiled

    s = -np.linspace(0, 87, 100_001, dtype=np.float32)
    e, bits = np.empty_like(s), np.empty(len(s), np.int32)
    rnc_compiled._exponentials32(s, e, bits)  # pyright: ignore[reportPrivateUsage]
    np.testing.assert_allclose(e, np.exp(s.astype(np.float64)), rtol=2e-7)
    assert e[0] == 1.0
