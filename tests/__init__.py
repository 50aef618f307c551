import os

from tests import tracing

# As `serve_app` does, for tests of what lies below it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

tracing.begin()
