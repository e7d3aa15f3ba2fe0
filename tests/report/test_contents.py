"""The report's records: frozen, documented, nothing that computes."""

from dataclasses import is_dataclass

import pytest

from isotone.report import contents

RECORDS = [x for x in vars(contents).values() if isinstance(x, type) and x.__module__ == contents.__name__]


@pytest.mark.parametrize("record", RECORDS)
def test_records_are_frozen_and_documented(record: type) -> None:
    assert is_dataclass(record)
    assert record.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert (record.__doc__ or "").strip().endswith(".") or "Args:" in (record.__doc__ or "")
