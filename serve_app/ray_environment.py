"""What Ray must find in the environment before it is imported, in the launcher and in every worker."""

import os
from collections.abc import MutableMapping

RAY_ENVIRONMENT = {
    # gRPC between deployments, routing on the caller's loop: four times the calls (architecture D1).
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    # Implied by the line above, and would start a proxy on port 8000 even where `proxy_location` is Disabled.
    "RAY_SERVE_ENABLE_DIRECT_INGRESS": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    # Otherwise a driver started by `uv run` makes every worker upload and re-install the project.
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_DEDUP_LOGS": "0",
    # Ray lowers the priority of its workers to 15; ours answer requests and must not yield to batch work beside them.
    "RAY_worker_niceness": "0",
    # Several pages of 1,000 responses may travel as one message; the default of 4 MiB would refuse them.
    "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH": str(64 * 2**20),
}

ON_LOOPBACK = {
    # The machine's address takes the place of 127.0.0.1 where somebody names it, and Ray then listens at every address;
    # unless it is told that there are no other nodes, which has no better name.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
}
"""For a Ray of one machine."""


def prepare_ray_environment(environment: MutableMapping[str, str] = os.environ) -> None:
    """Set what is not set. Call before the first `import ray`; Ray reads these once."""
    for name, value in RAY_ENVIRONMENT.items():
        environment.setdefault(name, value)
