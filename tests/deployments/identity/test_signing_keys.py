"""U2: keys are replaced by command, without logging anybody out, and each is for one algorithm."""

import base64
import hmac
from datetime import timedelta
from typing import Any

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from jwt import PyJWK

from db.models.signing_keys import SigningKey as SigningKeyRow
from db.session import Database
from db.types import utc_now
from deployments.identity import signing_keys
from deployments.identity.contracts import SignedUp
from deployments.identity.deployment import Identity
from deployments.identity.settings import IdentitySettings
from deployments.identity.signing_keys import (
    LONGEST_LIFE,
    Algorithm,
    KeyRing,
    NoSigningKey,
    SigningKeyNotFound,
    SigningKeys,
    derived_key_id,
)
from deployments.identity.tokens import AUDIENCE
from deployments.kit.errors import Unauthenticated
from deployments.kit.secret_keys import SecretKeys
from deployments.kit.vault import Vault
from tests.deployments.identity.conftest import ORIGIN, VAULT, RecordedEvents, login_of
from tests.eventing.harness import rows

REREAD_S, HEAD_START = signing_keys._REREAD_S, signing_keys._HEAD_START


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the seconds that are for other processes."""
    monkeypatch.setattr(signing_keys, "_REREAD_S", -1.0)
    monkeypatch.setattr(signing_keys, "_HEAD_START", timedelta(0))


@pytest.fixture
def keys(database: Database, settings: IdentitySettings) -> SigningKeys:
    return SigningKeys(database, settings, VAULT)


def header(token: str) -> dict[str, str]:
    found: dict[str, str] = jwt.get_unverified_header(token)
    return found


def hmac_signed(claims: dict[str, Any], key_id: str, secret: bytes) -> str:
    """A token signed by hand: the library refuses to use a public key as a secret."""
    head = {"alg": "HS256", "typ": "at+jwt", "kid": key_id}
    signed = b".".join(base64.urlsafe_b64encode(orjson.dumps(part)).rstrip(b"=") for part in (head, claims))
    signature = base64.urlsafe_b64encode(hmac.digest(secret, signed, "sha256")).rstrip(b"=")
    return b".".join((signed, signature)).decode()


@pytest.mark.parametrize("algorithm", ["HS256", "ES256", "EdDSA"])
async def test_a_rotation_logs_nobody_out(
    identity: Identity, acme: SignedUp, keys: SigningKeys, events: RecordedEvents, algorithm: Algorithm
) -> None:
    key_id = await keys.rotate(algorithm)
    fresh = await identity.log_in(ORIGIN, login_of("acme"))
    assert header(fresh.access_token) == {"alg": algorithm, "typ": "at+jwt", "kid": key_id}
    assert header(acme.access_token)["kid"] != key_id
    for token in (acme.access_token, fresh.access_token):
        assert (await identity.authenticate(token)).tenant_id == "acme"
    assert [event.type for event in await events("_platform")] == ["signing_key.added"]


async def test_a_new_key_signs_once_every_process_has_read_it(
    identity: Identity, acme: SignedUp, keys: SigningKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing_keys, "_HEAD_START", timedelta(minutes=1))
    key_id = await keys.rotate("HS256")
    fresh = await identity.log_in(ORIGIN, login_of("acme"))
    assert header(fresh.access_token)["kid"] == header(acme.access_token)["kid"]
    later = next(key for key in await keys.all() if key.id == key_id)
    assert not later.signs(utc_now())
    assert later.signs(utc_now() + timedelta(minutes=1))


async def test_every_process_knows_a_key_before_it_signs(
    database: Database, settings: IdentitySettings, keys: SigningKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one process read a second ago it reads anew, and the others take their time to sign."""
    monkeypatch.setattr(signing_keys, "_REREAD_S", REREAD_S)
    monkeypatch.setattr(signing_keys, "_HEAD_START", HEAD_START)
    ring = KeyRing(settings, VAULT)
    await ring.refresh(database)
    key_id = await keys.rotate("HS256")
    ring._read_at -= 1.0
    await ring.refresh(database)
    found = ring.find(key_id, utc_now())
    assert found is not None
    assert not found.signs(utc_now() + timedelta(seconds=3))


async def test_a_retired_key_is_accepted_as_long_as_a_token_can_live(keys: SigningKeys) -> None:
    await keys.rotate("HS256")
    old = (await keys.all())[0]
    assert old.retired_at is not None
    assert not old.signs(old.retired_at)
    assert old.verifies(old.retired_at + LONGEST_LIFE - timedelta(seconds=1))
    assert not old.verifies(old.retired_at + LONGEST_LIFE)


async def test_what_a_revoked_key_signed_is_refused(
    identity: Identity, acme: SignedUp, keys: SigningKeys, events: RecordedEvents
) -> None:
    """The first key too, which is derived from the secret key."""
    await keys.rotate("ES256")
    await keys.revoke(header(acme.access_token)["kid"])
    with pytest.raises(Unauthenticated):
        await identity.authenticate(acme.access_token)
    fresh = await identity.log_in(ORIGIN, login_of("acme"))
    assert (await identity.authenticate(fresh.access_token)).tenant_id == "acme"
    assert [event.type for event in await events("_platform")][-1] == "signing_key.revoked"
    with pytest.raises(SigningKeyNotFound):
        await keys.revoke("unknown")


async def test_without_any_key_nothing_is_signed(identity: Identity, acme: SignedUp, keys: SigningKeys) -> None:
    await keys.revoke(header(acme.access_token)["kid"])
    with pytest.raises(NoSigningKey):
        await identity.log_in(ORIGIN, login_of("acme"))


async def test_a_public_key_is_no_secret_to_sign_with(identity: Identity, acme: SignedUp, keys: SigningKeys) -> None:
    """Algorithm confusion: an HMAC over the public key in any of its spellings is no signature."""
    key_id = await keys.rotate("ES256")
    (row,) = [row for row in await rows(keys._database, SigningKeyRow) if row.id == key_id]
    private = load_pem_private_key(VAULT.open(row.sealed).encode(), None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    claims = jwt.decode(acme.access_token, options={"verify_signature": False})
    spellings = [
        private.public_key().public_bytes(encoding, spelling)
        for encoding, spelling in (
            (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            (Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
            (Encoding.X962, PublicFormat.UncompressedPoint),
        )
    ]
    for secret in spellings:
        with pytest.raises(Unauthenticated):
            await identity.authenticate(hmac_signed(claims, key_id, secret))
    right = jwt.encode(claims, private, "ES256", headers={"typ": "at+jwt", "kid": key_id})
    assert (await identity.authenticate(right)).tenant_id == "acme"


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA"])
async def test_anybody_can_verify_by_the_published_key(
    identity: Identity, acme: SignedUp, keys: SigningKeys, algorithm: Algorithm
) -> None:
    assert await identity.signing_keys() == []
    await keys.rotate(algorithm)
    fresh = await identity.log_in(ORIGIN, login_of("acme"))
    (published,) = await identity.signing_keys()
    document = published.model_dump(exclude_none=True)
    assert "d" not in document
    assert document["kid"] == header(fresh.access_token)["kid"]
    assert jwt.decode(fresh.access_token, PyJWK(document), audience=AUDIENCE)["tid"] == "acme"


async def test_private_keys_are_sealed(keys: SigningKeys, database: Database) -> None:
    await keys.rotate("EdDSA")
    assert all("PRIVATE KEY" not in str(row) for row in await rows(database, SigningKeyRow))


async def test_a_key_of_another_secret_is_passed_over(
    keys: SigningKeys, database: Database, settings: IdentitySettings
) -> None:
    await keys.rotate("EdDSA")
    ring = KeyRing(settings, Vault("t" * 32))
    await ring.refresh(database)
    assert [key.algorithm for key in ring.all()] == ["HS256"]


async def test_a_rotation_of_the_secret_key_logs_nobody_out(
    identity: Identity, acme: SignedUp, database: Database, settings: IdentitySettings
) -> None:
    """O9: what the old one signs is accepted by who signs with the new one, and the other way about, as long as both
    list both; by nobody else."""
    old, new = "o" * 32, "n" * 32

    async def of(current: str, *also: str) -> Identity:
        keys = SecretKeys(current, also=also)
        changed = settings.model_copy(update={"signing_key": keys.derived("access-tokens").digits()})
        return Identity(database, changed, VAULT)

    ahead, behind = await of(new, old), await of(old, new)
    tokens = [(await each.log_in(ORIGIN, login_of("acme"))).access_token for each in (ahead, behind)]
    assert len({header(token)["kid"] for token in tokens}) == 2
    for token in tokens:
        for each in (ahead, behind):
            assert (await each.authenticate(token)).tenant_id == "acme"
    after = await of(new)
    assert (await after.authenticate(tokens[0])).tenant_id == "acme"
    with pytest.raises(Unauthenticated):
        await after.authenticate(tokens[1])


async def test_a_derived_key_that_was_noted_is_forgotten_with_its_secret_key(
    database: Database, settings: IdentitySettings
) -> None:
    """O9: and one that was revoked stays revoked while it is listed."""
    both = settings.model_copy(update={"signing_key": SecretKeys("n" * 32, also=("o" * 32,)).derived("x").digits()})
    keys = SigningKeys(database, both, VAULT)
    current, old = (derived_key_id(key.decode()) for key in both.signing_key.all())
    await keys.revoke(old)
    assert {key.id: key.revoked_at is None for key in await keys.all()} == {old: False, current: True}
    alone = settings.model_copy(update={"signing_key": SecretKeys("n" * 32).derived("x").digits()})
    assert [key.id for key in await SigningKeys(database, alone, VAULT).all()] == [current]


async def test_the_algorithm_of_the_settings_is_seen_to_once(keys: SigningKeys) -> None:
    await keys.ensure("HS256")
    assert len(await keys.all()) == 1
    for _ in range(2):
        await keys.ensure("ES256")
        assert [key.algorithm for key in await keys.all()] == ["HS256", "ES256"]
