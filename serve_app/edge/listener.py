"""A listening socket that several processes share, and how to leave it without refusing anybody."""

import asyncio
import socket
from collections.abc import Callable

BACKLOG = 4096


def open_listener(host: str, port: int) -> socket.socket:
    """A bound TCP socket with SO_REUSEPORT: the kernel spreads new connections over all that listen here.

    Raises OSError when the address is taken by a process without SO_REUSEPORT, or cannot be bound.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(address)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


async def leave(
    listener: socket.socket, close: Callable[[], object], protocol_factory: Callable[[], asyncio.Protocol]
) -> None:
    """Serve every connection that the kernel already gave to this listener, then `close` it.

    Connections in the queue of a socket that is closed are reset, although their clients are connected and may
    have sent. So the queue is emptied first, with nothing between the last look and the closing.
    """
    waiting: list[socket.socket] = []
    while True:
        try:
            waiting.append(listener.accept()[0])
        except ConnectionAbortedError:
            continue  # this client has given up already
        except OSError:  # the queue is empty, or there is no descriptor left
            break
    close()
    loop = asyncio.get_running_loop()
    for connection in waiting:
        await loop.connect_accepted_socket(protocol_factory, connection)
