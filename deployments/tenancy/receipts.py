"""Receipts of erasures: what is signed, by which key, and whether a receipt is what the platform signed."""

import base64
from typing import TypeVar

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from deployments.kit.kept_keys import RECEIPTS, public_key
from deployments.kit.secret_keys import Keys, SecretKeys, derive_key
from deployments.tenancy.contracts import ErasureReceipt
from deployments.tenancy.people_contracts import PersonErasureReceipt

Receipt = TypeVar("Receipt", ErasureReceipt, PersonErasureReceipt)


class Signer:
    """Signs receipts with a key that is derived from the platform's current secret key (Ed25519, RFC 8032)."""

    def __init__(self, keys: Keys) -> None:
        self._keys = SecretKeys.of(keys)

    @property
    def public_key(self) -> str:
        """The public half of the key that signs now, in base64."""
        return public_key(derive_key(self._keys.current, RECEIPTS))

    def signed(self, receipt: Receipt) -> Receipt:
        """The receipt with our public key and our signature over it."""
        private = derive_key(self._keys.current, RECEIPTS)
        named = receipt.model_copy(update={"public_key": public_key(private)})
        signature = base64.b64encode(Ed25519PrivateKey.from_private_bytes(private).sign(_covered(named))).decode()
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
