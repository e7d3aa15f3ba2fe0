"""argparse's mistakes, worded."""

import pytest

from isotone.cli.arguments import Arguments
from isotone.errors import ConfigError


def test_a_missing_value_is_named() -> None:
    parser = Arguments("embed", "x")
    parser.add_argument("--out", required=True)
    with pytest.raises(ConfigError) as caught:
        parser.read([])
    assert str(caught.value) == "the following arguments are required: --out. `isotone embed --help` says more."
