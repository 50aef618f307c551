"""H2: a number is no time."""

import pytest
from pydantic import TypeAdapter, ValidationError

from deployments.kit.moments import WrittenMoment

MOMENTS: TypeAdapter[WrittenMoment] = TypeAdapter(WrittenMoment)


@pytest.mark.parametrize("written", [0, -602, 1.5, True, "2026-03-01T12:00:00"])
def test_what_is_no_moment_is_refused(written: object) -> None:
    with pytest.raises(ValidationError):
        MOMENTS.validate_python(written)


def test_rfc_3339_is_taken() -> None:
    assert MOMENTS.validate_json('"2026-03-01T12:00:00+01:00"').isoformat() == "2026-03-01T12:00:00+01:00"
    assert MOMENTS.json_schema() == {"format": "date-time", "type": "string"}
