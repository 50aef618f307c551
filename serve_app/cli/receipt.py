"""Verifying the receipt of an erasure from outside the API."""

from pathlib import Path

from pydantic import ValidationError
from rich.console import Console

from deployments.tenancy.contracts import ErasureReceipt
from deployments.tenancy.people_contracts import PersonErasureReceipt
from deployments.tenancy.receipts import Signer, is_genuine
from serve_app.cli.failure import CommandFailed
from serve_app.settings import Settings


def platform_key(settings: Settings) -> str:
    """The public key of this platform, in base64. Raises CommandFailed without a secret key."""
    kept = settings.data_dir / "secret.key"
    secret = settings.secret_key.get_secret_value() or (kept.read_text().strip() if kept.is_file() else "")
    if not secret:
        raise CommandFailed("There is no FORMSTREAM_SECRET_KEY; name the key that was noted down: --public-key.")
    return Signer(secret).public_key


def verify(file: Path, public_key: str, console: Console) -> None:
    """Print what the receipt says. Raises CommandFailed when it cannot be read or is not what the key signed."""
    try:
        receipt = _receipt_in(file.read_bytes())
    except OSError as error:
        raise CommandFailed(f"{file} cannot be read: {error.strerror}.") from None
    except ValidationError as error:
        raise CommandFailed(f"{file} is no receipt: {error.error_count()} of its fields are wrong.") from None
    try:
        genuine = is_genuine(receipt, public_key)
    except ValueError:
        raise CommandFailed("The public key is not an Ed25519 key in base64.") from None
    if not genuine:
        raise CommandFailed(f"The receipt for {_named(receipt)} was not signed by this key, or was changed since.")
    if isinstance(receipt, ErasureReceipt):
        what = f"{sum(receipt.rows.values())} rows, {receipt.objects} files and {receipt.messages} messages"
    else:
        what = f"{sum(receipt.forms.values())} responses in {len(receipt.forms)} forms"
    console.print(
        f"The receipt is genuine: {_named(receipt)} was erased, {what}, {receipt.started_at.isoformat()} "
        f"to {receipt.ended_at.isoformat()}.",
        highlight=False,
        soft_wrap=True,
    )


def _receipt_in(content: bytes) -> ErasureReceipt | PersonErasureReceipt:
    """The receipt of a tenant or of a person. Raises ValidationError."""
    try:
        return PersonErasureReceipt.model_validate_json(content)
    except ValidationError:
        return ErasureReceipt.model_validate_json(content)


def _named(receipt: ErasureReceipt | PersonErasureReceipt) -> str:
    if isinstance(receipt, ErasureReceipt):
        return receipt.tenant_id
    return f"the person {receipt.subject_digest} of {receipt.tenant_id}"
