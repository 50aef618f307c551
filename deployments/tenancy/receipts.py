"""Receipts of erasures: what is signed, by which key, and whether a receipt is what the platform signed."""

import base64
from typing import Final, TypeVar

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from deployments.kit.vault import derive_key
from deployments.tenancy.contracts import ErasureReceipt
from deployments.tenancy.people_contracts import PersonErasureReceipt

_PURPOSE: Final = "erasure-receipts"

Receipt = TypeVar("Receipt", ErasureReceipt, PersonErasureReceipt)


class Signer:
    """Signs receipts with a key that is derived from the platform's secret (Ed25519, RFC 8032)."""

    def __init__(self, secret: str) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(derive_key(secret, _PURPOSE))
        self.public_key = base64.b64encode(self._key.public_key().public_bytes_raw()).decode()

    def signed(self, receipt: Receipt) -> Receipt:
        """The receipt with our public key and our signature over it."""
        named = receipt.model_copy(update={"public_key": self.public_key})
        signature = base64.b64encode(self._key.sign(_covered(named))).decode()
        return named.model_copy(update={"signature": signature})


def is_genuine(receipt: ErasureReceipt | PersonErasureReceipt, public_key: str) -> bool:
    """Whether whoever holds the private half of `public_key` (base64) signed exactly this receipt.

    Raises ValueError when that is no key. The key inside of the receipt proves nothing by itself.
    """
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
    try:
        key.verify(base64.b64decode(receipt.signature, validate=True), _covered(receipt))
    except (InvalidSignature, ValueError):
        return False
    return receipt.public_key == public_key


def _covered(receipt: ErasureReceipt | PersonErasureReceipt) -> bytes:
    document = receipt.model_dump(mode="json", exclude={"signature"})
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
