"""The port at which a Serve replica is called by others."""

from importlib import import_module
from typing import Any

_EVERYWHERE = "[::]:"


def keep_to_node() -> None:
    """Let this process open it at the address of its node. Call before Serve does, while the replica is made.

    Serve opens it at every address of the machine and has no setting for that; others are told the node's anyway.
    """
    import ray

    replica: Any = import_module("ray.serve._private.replica")
    add_port = replica.add_port_to_grpc_server

    def add(server: Any, address: str) -> Any:
        if address.startswith(_EVERYWHERE):
            node: str = ray.util.get_node_ip_address()
            address = f"{f'[{node}]' if ':' in node else node}:{address.removeprefix(_EVERYWHERE)}"
        return add_port(server, address)

    replica.add_port_to_grpc_server = add
