"""Public halves of signing keys, as others read them."""

import json
from collections.abc import Iterable
from typing import Any

from jwt.algorithms import ECAlgorithm, OKPAlgorithm

from deployments.identity.contracts import PublicKey
from deployments.identity.signing_keys import SigningKey


def public_keys(keys: Iterable[SigningKey]) -> list[PublicKey]:
    """The public keys among `keys` (RFC 7517). A key of HS256 has no public half."""
    return [
        PublicKey.model_validate({**_jwk(key), "kid": key.id, "alg": key.algorithm})
        for key in keys
        if key.algorithm != "HS256"
    ]


def _jwk(key: SigningKey) -> dict[str, Any]:
    algorithm: Any = ECAlgorithm if key.algorithm == "ES256" else OKPAlgorithm
    found: dict[str, Any] = json.loads(algorithm.to_jwk(key.public))
    return {name: found[name] for name in ("kty", "crv", "x", "y") if name in found}
