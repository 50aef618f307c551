"""Which ports are open, as the kernel tells and as who connects finds out, and which are said to be."""

import errno
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import psutil

from tests.architecture.rooms import ROOT

PAGE = ROOT / "docs" / "operations.md"
_PORT = re.compile(r"(\d+)(?:–(\d+))?(/udp)?")


@dataclass(frozen=True)
class Listener:
    """An open port. `address` is the unspecified one where it is every address."""

    address: IPv4Address | IPv6Address
    port: int
    udp: bool
    process: str

    def hears(self, address: str) -> bool:
        """Whether somebody who connects to the address of this machine is heard."""
        asked = ip_address(address)
        if self.address.is_unspecified:
            return self.address.version == 6 or asked.version == 4
        return self.address == asked


@dataclass(frozen=True)
class Row:
    """A row of the table of ports: the ports from `first` to `last`."""

    first: int
    last: int
    udp: bool
    who: str
    listens_on: str

    def fits(self, listener: Listener, stores: str) -> bool:
        """Whether it says that this port is open at that address, where `stores` is the address of the stores."""
        if not self.first <= listener.port <= self.last or self.udp is not listener.udp:
            return False
        match self.listens_on:
            case "every address":
                return listener.address.is_unspecified
            case "loopback":
                return listener.address.is_loopback
            case "the stores' address":
                return listener.address == ip_address(stores)
        raise AssertionError(f"the table of ports says {self.listens_on}")


def documented(page: Path = PAGE) -> list[Row]:
    """The table of ports of the page."""
    _, _, section = page.read_text().partition("\n## Ports\n")
    rows = []
    for line in section.partition("\n## ")[0].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and _PORT.match(cells[0]):
            for first, last, udp in _PORT.findall(cells[0]):
                rows.append(Row(int(first), int(last or first), bool(udp), cells[1], cells[2]))
    return rows


def listeners() -> set[Listener]:
    """Every port that is open now."""
    return set(_listeners())


def _listeners() -> Iterator[Listener]:
    for each in psutil.net_connections("inet"):
        udp = each.type == socket.SOCK_DGRAM
        if each.laddr and (each.status == psutil.CONN_LISTEN or (udp and not each.raddr)):
            address = ip_address(each.laddr.ip)
            if isinstance(address, IPv6Address) and address.ipv4_mapped:
                address = address.ipv4_mapped
            yield Listener(address, each.laddr.port, udp, _name(each.pid))


def _name(pid: int | None) -> str:
    try:
        return " ".join(psutil.Process(pid).cmdline())[:80]
    except (psutil.Error, TypeError):
        return "somebody"


def answering(address: str) -> set[int]:
    """Every TCP port at which somebody accepts connections to the address."""
    return {port for port in range(1, 65536) if _accepts(address, port)}


def _accepts(address: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.settimeout(5)
        failure = probe.connect_ex((address, port))
        # Who connects from the very port that he asks for has met himself.
        return (failure == 0 and probe.getsockname() != probe.getpeername()) or failure == errno.EAGAIN
