"""The process of statements as it is on a kernel that refuses namespaces."""

import sys

from deployments.analytics.warehouse import worker

if __name__ == "__main__":
    worker.leave_network = lambda: False
    worker.main(int(sys.argv[1]), int(sys.argv[2]))
