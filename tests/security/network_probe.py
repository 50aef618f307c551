"""Whether a port of this machine can be reached, before the confinement of statements and after it: for a process of
its own, begun as the one of statements is."""

import json
import socket
import sys

from deployments.analytics.warehouse.worker import confine, leave_network


def reaches(port: int) -> bool:
    """Whether a connection comes about."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            return True
    except OSError:
        return False


if __name__ == "__main__":
    port = int(sys.argv[1])
    before = reaches(port)
    offline = leave_network()
    confine(256 << 20)
    sys.stdout.write(json.dumps({"before": before, "offline": offline, "after": reaches(port)}))
