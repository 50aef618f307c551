"""Which tenant a request is for, as far as its path, its X-Tenant-ID header and its host name say."""

import ipaddress
import re
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import urlsplit

from sanic import Request

from deployments.kit.errors import BadRequest, DomainError, NotFound
from deployments.kit.principal import PLATFORM_TENANT
from serve_app.edge.settings import EdgeSettings
from serve_app.edge.tenants import Tenants

_TENANT_ID = re.compile(r"[a-z0-9][a-z0-9_-]{1,62}")
_HOST = re.compile(r"([a-z0-9_](?:[a-z0-9._-]{0,252})|\[[0-9a-f:.]{2,45}\])(?::[0-9]{0,5})?")


class TenantNotFound(NotFound):
    """The tenant does not exist, or the credential gives no access to it: the caller cannot tell which."""

    code, title = "tenant.not_found", "There is no such tenant"


class TenantAmbiguous(BadRequest):
    """Two selectors of the request name different tenants, or one is given twice."""

    code, title = "tenant.ambiguous", "The request names more than one tenant"


class HostInvalid(BadRequest):
    """The Host header is missing its form (RFC 9110 §7.2), is given twice or contradicts the request target."""

    code, title = "host.invalid", "The host of the request is not valid"


class Resolution:
    """Reads the selectors of a request. They only select: what a credential opens is decided by the credential.

    X-Tenant-ID and host name, and for public operations the path, must agree where each names a tenant. With
    isolation switched off header and host name are not looked at, and the default tenant stands for them.
    """

    def __init__(self, tenants: Tenants, settings: EdgeSettings) -> None:
        self._tenants = tenants
        self._isolated = settings.tenant_isolation
        self._default = settings.default_tenant or None
        self._proxies = settings.proxies
        self._own_host = urlsplit(settings.public_url).hostname

    async def of_path(self, request: Request, path: Mapping[str, str]) -> str:
        """The tenant that the path of a public operation names; its existence is for the context to tell.

        Raises NotFound for what cannot be an id, TenantAmbiguous when another selector disagrees.
        """
        named = path["tenant"]
        if not _TENANT_ID.fullmatch(named):
            raise NotFound
        if self._isolated:
            header = _header(request)
            if header is not None and header != named:
                raise TenantAmbiguous
            try:
                host = await self._by_host(request)
            except HostInvalid:
                raise
            except DomainError:
                # The path has named the tenant: a directory that is away must not cost a submission.
                return named
            if host is not None and host != named:
                raise TenantAmbiguous
        return named

    async def of_nobody(self, request: Request) -> str:
        """The tenant of a public operation without one in its path: of X-Tenant-ID, else of the host name, else the
        default tenant, else PLATFORM_TENANT. Raises TenantNotFound, TenantAmbiguous."""
        selected = await self.selected(request)
        if selected is None:
            return self._default or PLATFORM_TENANT
        if not await self.exists(selected):
            raise TenantNotFound
        return selected

    async def selected(self, request: Request) -> str | None:
        """What X-Tenant-ID or else the host name says, not yet checked. Raises TenantAmbiguous."""
        if not self._isolated:
            return None
        header = _header(request)
        host = await self._by_host(request)
        if header is not None and host is not None and header != host:
            raise TenantAmbiguous
        return host if header is None else header

    async def exists(self, tenant_id: str) -> bool:
        """Whether there is such a tenant; a deleted one is gone."""
        if not _TENANT_ID.fullmatch(tenant_id):
            return False
        profile = await self._tenants.find(tenant_id)
        return profile is not None and profile.status != "deleted"

    async def _by_host(self, request: Request) -> str | None:
        host = host_of(request, self._proxies)
        if host is None or host == self._own_host:
            return None
        profile = await self._tenants.find_by_host(host)
        return profile.id if profile is not None and profile.status != "deleted" else None


def host_of(request: Request, proxies: int) -> str | None:
    """The host name that the client asked for, in lower case without port; None for an address or no name at all.

    X-Forwarded-Host counts only behind trusted proxies: its last entry, or the one that the outermost of them wrote.
    Raises HostInvalid.
    """
    headers = request.headers
    hosts = headers.getall("host", ())
    if len(hosts) > 1:
        raise HostInvalid
    text = hosts[0] if hosts else ""
    if request.raw_url[:1] not in (b"/", b"*"):
        # The absolute form (RFC 9112 §3.2.2): a client that names two hosts does not get to choose.
        authority = urlsplit(request.raw_url.decode("ascii", "replace")).netloc
        if _name(authority) != _name(text):
            raise HostInvalid
    if proxies:
        forwarded = [part.strip() for value in headers.getall("x-forwarded-host", ()) for part in value.split(",")]
        if forwarded:
            text = forwarded[-min(proxies, len(forwarded))]
    name = _name(text)
    return name if name and _is_name(name) else None


@lru_cache(maxsize=4096)
def _name(text: str) -> str:
    """The name without its port. Raises HostInvalid, also for user information and blanks."""
    if not text:
        return ""
    found = _HOST.fullmatch(text.strip().lower()) if len(text) <= 300 else None
    if found is None:
        raise HostInvalid
    return found[1].rstrip(".")


@lru_cache(maxsize=4096)
def _is_name(name: str) -> bool:
    if name == "localhost" or name.startswith("["):
        return False
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return True
    return False


def _header(request: Request) -> str | None:
    values = request.headers.getall("x-tenant-id", ())
    if len(values) > 1:
        raise TenantAmbiguous
    return str(values[0]) if values else None
