"""The mark of tests that the shape hook would spoil."""

import pytest


@pytest.fixture
def unhooked(request: pytest.FixtureRequest) -> None:
    """Skip a test of refused shapes where the type-checking hook, which is not there for users, refuses them first."""
    if request.config.getoption("--jaxtyping-packages", default=None):
        pytest.skip("the type-checking hook refuses the argument first")
