"""The demo from its first call to its summary."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from serve_app.cli.demo.story import GUESTS, Administrator, tell
from serve_app.cli.failure import CommandFailed
from tests.serve_app.cli.demo.platform import FakePlatform


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakePlatform]:
    monkeypatch.setenv("FORMSTREAM_DATA_DIR", str(tmp_path))
    (tmp_path / "mail").mkdir()
    with FakePlatform(tmp_path / "mail") as running:
        yield running


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    path = tmp_path / "survey.csv"
    path.write_text("RespondentID,Score\n1,2\n")
    return path


def _run(platform: FakePlatform, survey: Path, administrator: Administrator | None = None) -> str:
    output = io.StringIO()
    tell(Console(file=output, width=120), platform.url, survey, administrator)
    return output.getvalue()


def test_the_story_ends_with_a_summary(platform: FakePlatform, survey: Path) -> None:
    told = _run(platform, survey)
    assert "3 responses in" in told
    assert f"{GUESTS} verified" in told
    assert f"{GUESTS} messages" in told
    assert told.count("signature verified") == GUESTS
    assert len(platform.idempotency_keys) == GUESTS


def test_without_the_platforms_data_mail_is_not_looked_at(
    platform: FakePlatform, survey: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORMSTREAM_DATA_DIR", str(tmp_path / "elsewhere"))
    assert "not looked at" in _run(platform, survey)


def test_an_administrator_makes_the_tenant_where_nobody_signs_up(platform: FakePlatform, survey: Path) -> None:
    platform.signup = False
    with pytest.raises(CommandFailed, match="--email and --password"):
        _run(platform, survey)
    assert "verified" in _run(platform, survey, Administrator("admin@example.com", "a long password"))
    assert "POST /api/v1/tenants" in platform.calls


def test_refused_deliveries_are_explained(platform: FakePlatform, survey: Path) -> None:
    platform.egress = False
    with pytest.raises(CommandFailed, match="FORMSTREAM_EGRESS_ALLOW=127"):
        _run(platform, survey)


def test_a_failed_import_is_told_with_its_reason(platform: FakePlatform, survey: Path) -> None:
    platform.import_error = "the file has no rows"
    with pytest.raises(CommandFailed, match="has failed: the file has no rows"):
        _run(platform, survey)


def test_a_file_that_is_not_there_is_a_sentence(platform: FakePlatform, tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="cannot be read"):
        _run(platform, tmp_path / "no.csv")
