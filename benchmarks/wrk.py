"""The load generator: wrk, one thread, closed loop."""

import json
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

_SCRIPT = """
wrk.method = "POST"
wrk.body = %s
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer %s"
local threads = {}
setup = function(thread) table.insert(threads, thread) end
function response(status)
  if status ~= 201 then refused = (refused or 0) + 1 else stored = (stored or 0) + 1 end
end
done = function(summary, latency)
  local stored, refused = 0, 0
  for _, thread in ipairs(threads) do
    stored = stored + (thread:get("stored") or 0)
    refused = refused + (thread:get("refused") or 0)
  end
  io.write(string.format(
    'RESULT {"stored": %%d, "refused": %%d, "duration_us": %%d, "p50_us": %%d, "p90_us": %%d, "p99_us": %%d, ' ..
    '"max_us": %%d, "socket_errors": %%d}\\n',
    stored, refused, summary.duration, latency:percentile(50), latency:percentile(90), latency:percentile(99),
    latency.max, summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What one run measured. Latencies in milliseconds."""

    connections: int
    stored: int
    refused: int
    errors: int
    per_second: float
    p50_ms: float
    p90_ms: float
    p99_ms: float


def post(url: str, body: object, credential: str, connections: int, seconds: int) -> Load:
    """POST one body again and again. Raises RuntimeError when wrk is not installed or fails."""
    if shutil.which("wrk") is None:
        raise RuntimeError("the load generator wrk is not installed (most distributions package it)")
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "post.lua"
        text = json.dumps(json.dumps(body)).replace("\\/", "/")
        script.write_text(_SCRIPT % (text, credential))
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(script), url]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 60)
    match = re.search(r"^RESULT (.*)$", done.stdout, re.MULTILINE)
    if match is None:
        raise RuntimeError(f"wrk failed: {done.stderr or done.stdout}")
    found = json.loads(match[1])
    return Load(
        connections=connections,
        stored=found["stored"],
        refused=found["refused"],
        errors=found["socket_errors"],
        per_second=found["stored"] / (found["duration_us"] / 1e6),
        p50_ms=found["p50_us"] / 1000,
        p90_ms=found["p90_us"] / 1000,
        p99_ms=found["p99_us"] / 1000,
    )
