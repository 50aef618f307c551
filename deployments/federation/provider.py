"""Providers, as they describe themselves: their metadata, their keys, and the exchange of a code for tokens.

Everything is fetched through the guarded client, within a time and a size, and remembered for a while, apart for each
tenant. One tenant's slow provider takes only so many connections from the others.
"""

import asyncio
import base64
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

import httpx
import jwt
import orjson
import structlog

from deployments.federation.errors import ProviderBusy, ProviderUnavailable, TokenRefused
from deployments.federation.id_token import Header, Jwk, find_key
from deployments.federation.settings import FederationSettings
from deployments.kit.egress import Egress, EgressFailed, EgressRefused, check_url
from deployments.kit.errors import Fault, Invalid

log = structlog.get_logger(__name__)

_REMEMBERED: Final = 1_000
_MOST_KEYS: Final = 100
_JSON: Final = {"accept": "application/json"}


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a provider says about itself (OpenID Connect Discovery 1.0 §3)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    end_session_endpoint: str | None
    secret_in_body: bool
    names_itself: bool
    """Whether every answer of it carries `iss` (RFC 9207 §3)."""


@dataclass(frozen=True, slots=True)
class Client:
    """Who we are at a provider."""

    id: str
    secret: str


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a code was exchanged for."""

    id_token: str
    access_token: str | None


@dataclass(slots=True)
class _Known:
    """What is remembered of one provider; moments are of the monotonic clock."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    metadata: Metadata | None = None
    metadata_until: float = 0.0
    keys: list[Jwk] = field(default_factory=list)
    keys_until: float = 0.0
    keys_fetched: float = float("-inf")
    failure: str = ""
    failure_until: float = 0.0


class Providers:
    """The providers of all tenants, for one process."""

    def __init__(
        self, egress: Egress, settings: FederationSettings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._egress = egress
        self._settings = settings
        self._clock = clock
        self._plain = tuple(ip_network(network) for network in settings.egress_allow)
        self._known: OrderedDict[tuple[str, str], _Known] = OrderedDict()
        self._running: Counter[str] = Counter()

    async def check_issuer(self, issuer: str, pointer: str) -> None:
        """Raise Invalid with every fault of what is to be an issuer (Discovery §3): HTTPS, no query, no fragment.

        Plain HTTP will do inside the networks that the operator allows.
        """
        check_url(issuer, pointer=pointer)
        faults = []
        if "?" in issuer or "#" in issuer:
            faults.append(Fault(pointer, "issuer.format", "An issuer has neither a query nor a fragment."))
        if not await self._may_be_plain(issuer):
            faults.append(Fault(pointer, "issuer.scheme", "The issuer must begin with https://."))
        if faults:
            raise Invalid("The issuer cannot be used.", faults=tuple(faults))

    async def metadata(self, tenant_id: str, issuer: str) -> Metadata:
        """What the provider says about itself. Raises ProviderUnavailable, ProviderBusy."""
        known = self._entry(tenant_id, issuer)
        async with known.lock:
            now = self._clock()
            if known.metadata is not None and now < known.metadata_until:
                return known.metadata
            self._refuse_failed(known, now)
            url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
            try:
                found = _metadata(issuer, await self._document(tenant_id, url))
            except ProviderUnavailable as error:
                raise self._failed(known, error) from None
            known.metadata, known.metadata_until = found, self._clock() + self._settings.metadata_life_s
            return found

    async def key(self, tenant_id: str, metadata: Metadata, header: Header) -> jwt.PyJWK:
        """The provider's key for a token. Raises TokenRefused when it has none, ProviderUnavailable, ProviderBusy.

        Keys that are missing are asked for anew, at most once a minute: providers change them without notice.
        """
        known = self._entry(tenant_id, metadata.issuer)
        async with known.lock:
            now = self._clock()
            if now >= known.keys_until:
                await self._fetch_keys(tenant_id, metadata, known, now)
            key = find_key(known.keys, header)
            if key is None and now - known.keys_fetched >= self._settings.refetch_after_s:
                await self._fetch_keys(tenant_id, metadata, known, now)
                key = find_key(known.keys, header)
        if key is None:
            raise TokenRefused("The ID token is signed with a key that the provider does not publish.")
        return key

    async def redeem(self, tenant_id: str, metadata: Metadata, client: Client, code: str, verifier: str) -> Tokens:
        """The tokens for a code (RFC 6749 §4.1.3, RFC 7636 §4.5).

        Raises TokenRefused when the provider does not take the code, ProviderUnavailable, ProviderBusy.
        """
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._settings.redirect_uri,
            "code_verifier": verifier,
        }
        headers = {**_JSON, "content-type": "application/x-www-form-urlencoded"}
        if metadata.secret_in_body:
            form |= {"client_id": client.id, "client_secret": client.secret}
        else:
            pair = f"{quote_plus(client.id)}:{quote_plus(client.secret)}"
            headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        body = urlencode(form).encode()
        status, content = await self._request(tenant_id, "POST", metadata.token_endpoint, headers, body)
        if 400 <= status < 500:
            raise TokenRefused("The provider did not take the login's code.")
        document = _json_object(status, content)
        id_token, access_token = document.get("id_token"), document.get("access_token")
        if not isinstance(id_token, str):
            raise TokenRefused("The provider sent no ID token.")
        return Tokens(id_token, access_token if isinstance(access_token, str) else None)

    def _entry(self, tenant_id: str, issuer: str) -> _Known:
        key = (tenant_id, issuer)
        known = self._known.setdefault(key, _Known())
        self._known.move_to_end(key)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return known

    def _failed(self, known: _Known, error: ProviderUnavailable) -> ProviderUnavailable:
        known.failure, known.failure_until = error.detail, self._clock() + self._settings.failure_life_s
        return error

    @staticmethod
    def _refuse_failed(known: _Known, now: float) -> None:
        if now < known.failure_until:
            raise ProviderUnavailable(known.failure)

    async def _fetch_keys(self, tenant_id: str, metadata: Metadata, known: _Known, now: float) -> None:
        self._refuse_failed(known, now)
        try:
            document = await self._document(tenant_id, metadata.jwks_uri)
            keys = document.get("keys")
            if not isinstance(keys, list) or len(keys) > _MOST_KEYS:
                raise ProviderUnavailable("The provider's keys cannot be read.")
        except ProviderUnavailable as error:
            raise self._failed(known, error) from None
        known.keys = [key for key in keys if isinstance(key, dict)]
        known.keys_fetched = self._clock()
        known.keys_until = known.keys_fetched + self._settings.keys_life_s

    async def _document(self, tenant_id: str, url: str) -> dict[str, Any]:
        return _json_object(*await self._request(tenant_id, "GET", url, _JSON))

    async def _request(
        self, tenant_id: str, method: str, url: str, headers: dict[str, str], body: bytes = b""
    ) -> tuple[int, bytes]:
        if self._running[tenant_id] >= self._settings.max_requests:
            raise ProviderBusy(retry_after=1.0)
        self._running[tenant_id] += 1
        try:
            async with asyncio.timeout(self._settings.request_timeout_s):
                if not await self._may_be_plain(url):
                    raise ProviderUnavailable("The provider does not use TLS.")
                answer = await self._egress.request(method, url, headers, body)
        except (EgressFailed, EgressRefused, TimeoutError) as error:
            # Why is for operators: to others it would tell what lives in our network.
            log.info("provider cannot be reached", tenant=tenant_id, url=url, reason=str(error) or "timeout")
            raise ProviderUnavailable("The provider cannot be reached.") from None
        finally:
            self._running[tenant_id] -= 1
            if not self._running[tenant_id]:
                del self._running[tenant_id]
        if len(answer.body) >= self._settings.max_document_bytes:
            raise ProviderUnavailable("The provider's answer is too large.")
        return answer.status, answer.body

    async def _may_be_plain(self, url: str) -> bool:
        """Whether the URL is HTTPS, or leads into the allowed networks and nowhere else."""
        parsed = httpx.URL(url)
        if parsed.scheme == "https":
            return True
        try:
            addresses = [ip_address(parsed.host)]
        except ValueError:
            try:
                answers = await asyncio.get_running_loop().getaddrinfo(parsed.host, parsed.port or 80)
            except OSError:
                return False
            addresses = [ip_address(answer[4][0]) for answer in answers]
        return bool(addresses) and all(any(a in network for network in self._plain) for a in addresses)


def _json_object(status: int, content: bytes) -> dict[str, Any]:
    if status != 200:
        raise ProviderUnavailable(f"The provider answered {status}.")
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        raise ProviderUnavailable("The provider's answer cannot be read.")
    return document


def _metadata(issuer: str, document: dict[str, Any]) -> Metadata:
    if document.get("issuer") != issuer:
        raise ProviderUnavailable("The provider says that it is another issuer.")
    methods = document.get("token_endpoint_auth_methods_supported")
    methods = methods if isinstance(methods, list) else ["client_secret_basic"]
    return Metadata(
        issuer=issuer,
        authorization_endpoint=_endpoint(issuer, document, "authorization_endpoint"),
        token_endpoint=_endpoint(issuer, document, "token_endpoint"),
        jwks_uri=_endpoint(issuer, document, "jwks_uri"),
        end_session_endpoint=_optional_endpoint(issuer, document, "end_session_endpoint"),
        secret_in_body="client_secret_basic" not in methods and "client_secret_post" in methods,
        names_itself=document.get("authorization_response_iss_parameter_supported") is True,
    )


def _optional_endpoint(issuer: str, document: dict[str, Any], name: str) -> str | None:
    """An endpoint without which people can log in all the same."""
    if name not in document:
        return None
    try:
        return _endpoint(issuer, document, name)
    except ProviderUnavailable as error:
        log.info("endpoint of a provider is not used", issuer=issuer, reason=error.detail)
        return None


def _endpoint(issuer: str, document: dict[str, Any], name: str) -> str:
    url = document.get(name)
    try:
        if not isinstance(url, str) or len(url) > 2048 or not url.isascii():
            raise Invalid
        check_url(url)
    except Invalid:
        raise ProviderUnavailable(f"The provider's {name} cannot be used.") from None
    # A provider over TLS must not lead anybody out of it.
    if httpx.URL(issuer).scheme == "https" and httpx.URL(url).scheme != "https":
        raise ProviderUnavailable(f"The provider's {name} does not use TLS.")
    return url
