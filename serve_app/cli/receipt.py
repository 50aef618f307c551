"""Verifying the receipt of an erasure from outside the API."""

import asyncio
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console
from sqlalchemy.exc import SQLAlchemyError

from db.errors import DatabaseError
from db.session import Database
from deployments.kit.kept_keys import RECEIPTS, KeptKey, KeptKeys
from deployments.kit.vault import Vault
from deployments.tenancy.contracts import ErasureReceipt
from deployments.tenancy.people_contracts import PersonErasureReceipt
from deployments.tenancy.receipts import Signer, is_genuine
from serve_app.cli.failure import CommandFailed
from serve_app.cli.secret_keys import ROLLOUT
from serve_app.settings import Settings


def platform_key(settings: Settings, file: Path) -> str:
    """The public key, in base64, with which this platform signed at the time that the receipt tells of; the current
    one when that is none of ours. Raises CommandFailed without a secret key."""
    if not settings.has_secret_key():
        raise CommandFailed("There is no FORMSTREAM_SECRET_KEY; name the key that was noted down: --public-key.")
    keys = settings.secret_keys()
    receipt = _read(file)
    accepted = [Signer(key).public_key for key in keys.all()]
    if receipt.public_key in accepted:
        return receipt.public_key
    kept = asyncio.run(_kept(settings))
    known = any(
        key.values.get(RECEIPTS) == receipt.public_key
        and (key.retired_at is None or receipt.ended_at <= key.retired_at + ROLLOUT)
        for key in kept
    )
    return receipt.public_key if known else accepted[0]


async def _kept(settings: Settings) -> list[KeptKey]:
    try:
        async with Database(settings.database()) as database:
            return await KeptKeys(database, Vault(settings.secret_keys())).all()
    except (DatabaseError, SQLAlchemyError):
        return []  # without a database there is the current key


def verify(file: Path, public_key: str, console: Console) -> None:
    """Print what the receipt says. Raises CommandFailed when it cannot be read or is not what the key signed."""
    receipt = _read(file)
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


def _read(file: Path) -> ErasureReceipt | PersonErasureReceipt:
    try:
        return _receipt_in(file.read_bytes())
    except OSError as error:
        raise CommandFailed(f"{file} cannot be read: {error.strerror}.") from None
    except ValidationError as error:
        raise CommandFailed(f"{file} is no receipt: {error.error_count()} of its fields are wrong.") from None


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
