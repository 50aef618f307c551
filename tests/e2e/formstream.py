"""The command `formstream`, itself measured by coverage while what it starts is not.

Ray ends its processes with SIGKILL, before they could save what was measured: measuring them would only slow them down.
"""

import os

from serve_app.cli.app import main

os.environ.pop("COVERAGE_PROCESS_CONFIG", None)
main()
