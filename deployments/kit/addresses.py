"""Network addresses as limits see them."""

import ipaddress


def network_of(address: str) -> str:
    """What one household has of addresses: an IPv4 address, a /64 of IPv6 (RFC 6177); other texts as they are."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
