"""T7: whoever has a receipt can check it, with the platform's own key or with the one that was noted down."""

from pathlib import Path

import pytest

from db.types import utc_now
from deployments.tenancy.contracts import ErasureReceipt
from deployments.tenancy.receipts import Signer
from tests.serve_app.cli.test_app import assert_refused, formstream

SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def receipt(tmp_path: Path) -> Path:
    now = utc_now()
    plain = ErasureReceipt(
        tenant_id="acme",
        requested_by="usr_1",
        started_at=now,
        ended_at=now,
        rows={"form": 2, "response": 40},
        objects=1,
        messages=3,
        audit_sequence=9,
        audit_hash="ab" * 32,
        public_key="",
        signature="",
    )
    file = tmp_path / "receipt.json"
    file.write_text(Signer(SECRET).signed(plain).model_dump_json())
    return file


def test_is_genuine(receipt: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.key").write_text(SECRET + "\n")
    known = Signer(SECRET).public_key
    for done in (
        formstream("verify-receipt", str(receipt), FORMSTREAM_SECRET_KEY=SECRET),
        formstream("verify-receipt", str(receipt), "--data-dir", str(tmp_path)),
        formstream("verify-receipt", str(receipt), "--public-key", known),
    ):
        assert done.returncode == 0, done
        assert "acme was erased, 42 rows, 1 files and 3 messages" in done.stdout


def test_is_refused_in_a_sentence(receipt: Path, tmp_path: Path) -> None:
    other = Signer("f" * 32).public_key
    assert_refused(formstream("verify-receipt", str(receipt), "--public-key", other), "was not signed by this key")
    assert_refused(formstream("verify-receipt", str(receipt), "--public-key", "nonsense"), "not an Ed25519 key")
    assert_refused(formstream("verify-receipt", str(receipt), "--data-dir", str(tmp_path)), "no FORMSTREAM_SECRET_KEY")
    receipt.write_text(receipt.read_text().replace('"form":2', '"form":1'))
    known = Signer(SECRET).public_key
    assert_refused(formstream("verify-receipt", str(receipt), "--public-key", known), "was not signed by this key")
