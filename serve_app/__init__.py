"""The composition root: reads the environment, wires the rooms together, starts things, speaks HTTP."""

import os

# ONNX Runtime tells its maker how it is used, unless this is set before it is loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
