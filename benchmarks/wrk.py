"""The load generator: wrk, one thread, closed loop."""

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_SCRIPT = """
%s
local threads = {}
setup = function(thread) table.insert(threads, thread) end
function response(status)
  if status >= 400 then refused = (refused or 0) + 1 else answered = (answered or 0) + 1 end
  if status == 429 or status == 503 then shed = (shed or 0) + 1 end
end
done = function(summary, latency)
  local answered, refused, shed = 0, 0, 0
  for _, thread in ipairs(threads) do
    answered = answered + (thread:get("answered") or 0)
    refused = refused + (thread:get("refused") or 0)
    shed = shed + (thread:get("shed") or 0)
  end
  io.write(string.format(
    'RESULT {"answered": %%d, "refused": %%d, "shed": %%d, "duration_us": %%d, "p50_us": %%d, "p90_us": %%d, ' ..
    '"p99_us": %%d, "max_us": %%d, "socket_errors": %%d}\\n',
    answered, refused, shed, summary.duration, latency:percentile(50), latency:percentile(90), latency:percentile(99),
    latency.max, summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What one run measured: answers below 400, others, of these 429 and 503, failures. Latencies in milliseconds."""

    connections: int
    answered: int
    refused: int
    shed: int
    errors: int
    per_second: float
    p50_ms: float
    p90_ms: float
    p99_ms: float

    @property
    def asked_per_second(self) -> float:
        """What was offered: everything that got an answer, whichever."""
        return self.per_second * (self.answered + self.refused) / self.answered if self.answered else 0.0


def post(url: str, body: object, credential: str, connections: int, seconds: int, *, pause_ms: int = 0) -> Load:
    """POST one body again and again, on each connection about so long after the latest answer.

    Raises RuntimeError when wrk is not installed or fails.
    """
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {credential}"}
    return _run(url, "POST", json.dumps(body), headers, connections, seconds, pause_ms)


def get(url: str, headers: Mapping[str, str], connections: int, seconds: int) -> Load:
    """GET the same again and again. Raises as `post`."""
    return _run(url, "GET", "", headers, connections, seconds)


def _run(
    url: str, method: str, body: str, headers: Mapping[str, str], connections: int, seconds: int, pause_ms: int = 0
) -> Load:
    if shutil.which("wrk") is None:
        raise RuntimeError("the load generator wrk is not installed (most distributions package it)")
    lines = [f'wrk.method = "{method}"', f"wrk.body = {_quoted(body)}"]
    lines += [f"wrk.headers[{_quoted(name)}] = {_quoted(value)}" for name, value in headers.items()]
    if pause_ms:
        # Around it, or all connections would ask at the same moments.
        lines.append(f"delay = function() return math.random(0, {2 * pause_ms}) end")
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "load.lua"
        script.write_text(_SCRIPT % "\n".join(lines))
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(script), url]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 60)
    match = re.search(r"^RESULT (.*)$", done.stdout, re.MULTILINE)
    if match is None:
        raise RuntimeError(f"wrk failed: {done.stderr or done.stdout}")
    found = json.loads(match[1])
    return Load(
        connections=connections,
        answered=found["answered"],
        refused=found["refused"],
        shed=found["shed"],
        errors=found["socket_errors"],
        per_second=found["answered"] / (found["duration_us"] / 1e6),
        p50_ms=found["p50_us"] / 1000,
        p90_ms=found["p90_us"] / 1000,
        p99_ms=found["p99_us"] / 1000,
    )


def _quoted(text: str) -> str:
    """As Lua has it, whose strings are those of JSON but for the slash and what is not ASCII."""
    return json.dumps(text, ensure_ascii=False).replace("\\/", "/")
