"""A provider on loopback that speaks real HTTP and signs real tokens, and lies on demand."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote_plus, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

CLIENT_ID, CLIENT_SECRET = "formstream", "s3cret: with=signs&more"

_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
_OTHER_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
_EC = ec.generate_private_key(ec.SECP256R1())
_ED = ed25519.Ed25519PrivateKey.generate()
_METHODS = {
    "RS256": jwt.algorithms.RSAAlgorithm,
    "ES256": jwt.algorithms.ECAlgorithm,
    "EdDSA": jwt.algorithms.OKPAlgorithm,
}


@dataclass(frozen=True)
class Key:
    """A private key with its name and algorithm."""

    id: str
    algorithm: str
    private: Any

    def public(self) -> dict[str, Any]:
        """The key as the provider publishes it."""
        jwk = _METHODS[self.algorithm].to_jwk(self.private.public_key(), as_dict=True)
        return {**jwk, "kid": self.id, "use": "sig", "alg": self.algorithm}


RSA_KEY, EC_KEY, ED_KEY = Key("rsa-1", "RS256", _RSA), Key("ec-1", "ES256", _EC), Key("ed-1", "EdDSA", _ED)
ROTATED_KEY = Key("rsa-2", "RS256", _OTHER_RSA)


def unsigned(claims: dict[str, Any]) -> str:
    """A token of the algorithm `none`."""
    return jwt.encode(claims, "", algorithm="none")


def with_mac(claims: dict[str, Any], secret: bytes, key_id: str) -> str:
    """A token of the algorithm HS256, by hand: the library refuses to take a public key for a secret."""
    header = {"alg": "HS256", "typ": "JWT", "kid": key_id}
    signed = ".".join(_b64(json.dumps(part).encode()) for part in (header, claims))
    return f"{signed}.{_b64(hmac.digest(secret, signed.encode(), 'sha256'))}"


def at_hash(access_token: str, method: str = "sha256") -> str:
    """What binds an access token (OpenID Connect Core §3.1.3.6)."""
    digest = hashlib.new(method, access_token.encode()).digest()
    return _b64(digest[: len(digest) // 2])


@dataclass
class Provider:
    """What the provider knows and does. Every attribute may be changed by a test."""

    port: int = 0
    keys: list[Key] = field(default_factory=lambda: [RSA_KEY])
    signing: Key = RSA_KEY
    person: dict[str, Any] = field(
        default_factory=lambda: {
            "sub": "sub-1",
            "email": "ada@acme.example.com",
            "email_verified": True,
            "name": "Ada Lovelace",
        }
    )
    claims: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    forge: Callable[[dict[str, Any]], str] | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    raw: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    hanging: set[str] = field(default_factory=set)
    seen: Counter[str] = field(default_factory=Counter)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    registered: set[str] = field(default_factory=set)
    """Where browsers may be sent to after a logout."""
    ended: list[str] = field(default_factory=list)
    """Subjects whose sessions were ended; empty for one who was asked first, because no token named them."""

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def consent(self, location: str) -> dict[str, str]:
        """What the provider sends a browser back with that came by this address and said yes."""
        address = urlsplit(location)
        assert location.startswith(f"{self.issuer}/authorize?")
        asked = dict(parse_qsl(address.query))
        assert (asked["response_type"], asked["client_id"]) == ("code", CLIENT_ID)
        assert (asked["code_challenge_method"], len(asked["code_challenge"])) == ("S256", 43)
        code = f"code-{len(self.codes)}"
        self.codes[code] = asked
        return {"code": code, "state": asked["state"]}

    def end(self, location: str) -> str:
        """Where the provider sends a browser that came by this address to log out (RP-Initiated Logout 1.0 §2, §3)."""
        address = urlsplit(location)
        assert location.startswith(f"{self.issuer}/logout?")
        asked = dict(parse_qsl(address.query, strict_parsing=True))
        assert asked["client_id"] == CLIENT_ID
        assert asked["post_logout_redirect_uri"] in self.registered
        subject = ""
        if "id_token_hint" in asked:
            options = {"verify_exp": False}
            token, key = asked["id_token_hint"], self.signing
            claims = jwt.decode(
                token,
                key.private.public_key(),
                algorithms=[key.algorithm],
                audience=CLIENT_ID,
                issuer=self.issuer,
                options=options,
            )
            subject = claims["sub"]
        self.ended.append(subject)
        return f"{asked['post_logout_redirect_uri']}?{urlencode({'state': asked['state']})}"

    def id_token(self, nonce: str) -> str:
        """A token for the person; a claim that is None is left out."""
        now = int(time.time())
        own = {"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": nonce}
        claims = {k: v for k, v in (own | self.person | self.claims).items() if v is not None}
        if self.forge is not None:
            return self.forge(claims)
        header = {"kid": self.signing.id} | self.header
        header = {name: value for name, value in header.items() if value is not None}
        return jwt.encode(claims, self.signing.private, algorithm=self.signing.algorithm, headers=header)

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        """The status and body for a request."""
        if path in self.raw:
            return self.raw[path]
        if path == "/.well-known/openid-configuration":
            return 200, json.dumps(self._document()).encode()
        if path == "/jwks":
            return 200, json.dumps({"keys": [key.public() for key in self.keys]}).encode()
        if path == "/token":
            return self._token(headers, {name: values[0] for name, values in parse_qs(body.decode()).items()})
        return 404, b"{}"

    def _document(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
        } | self.metadata

    def _token(self, headers: dict[str, str], form: dict[str, str]) -> tuple[int, bytes]:
        asked = self.codes.pop(form["code"], None)
        scheme, _, pair = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            client = tuple(unquote_plus(part) for part in base64.b64decode(pair).decode().split(":"))
        else:
            client = (form.get("client_id", ""), form.get("client_secret", ""))
        challenge = _b64(hashlib.sha256(form["code_verifier"].encode()).digest())
        if (
            asked is None
            or client != (CLIENT_ID, CLIENT_SECRET)
            or challenge != asked["code_challenge"]
            or form["redirect_uri"] != asked["redirect_uri"]
        ):
            self.refused.append(form["code"])
            return 400, b'{"error": "invalid_grant"}'
        tokens = {"access_token": "at-1", "token_type": "Bearer", "id_token": self.id_token(asked["nonce"])}
        return 200, json.dumps(tokens).encode()


@asynccontextmanager
async def providing() -> AsyncIterator[Provider]:
    """A running provider, which can be reached at 127.0.0.2 as well."""
    provider = Provider()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            # Names of headers do not have a case, their values do.
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:-2])}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            path = urlsplit(lines[0].split(" ")[1]).path
            provider.seen[path] += 1
            if path in provider.hanging:
                await asyncio.Event().wait()
            status, content = provider.answer(path, headers, body)
            head = [f"HTTP/1.1 {status} -", "content-type: application/json", f"content-length: {len(content)}"]
            writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + content)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(task := asyncio.ensure_future(serve(reader, writer)))
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    provider.port = server.sockets[0].getsockname()[1]
    neighbour = await asyncio.start_server(accept, "127.0.0.2", provider.port)
    try:
        yield provider
    finally:
        server.close()
        neighbour.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
        await neighbour.wait_closed()


def _b64(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
