"""The README's first picture: `formstream demo` on a running platform, as a user types it."""

import re
import subprocess
import sys

import pytest

from tests.e2e.platform import ROOT, Platform


@pytest.mark.cluster
def test_the_demo_tells_its_story_to_the_end(platform: Platform) -> None:
    """F6, N1, W1, Z1: a real survey imported, answers submitted, mails and signed deliveries seen to arrive."""
    command = [sys.executable, "-m", "serve_app", "demo", "--url", platform.url, "--data-dir", str(platform.data_dir)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=ROOT, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    assert told.stderr == ""
    assert told.stdout.count("signature verified") >= 3
    assert re.search(r"Imported\W+1058 responses", told.stdout), told.stdout
    assert re.search(r"Webhooks\W+[0-9]+ verified", told.stdout), told.stdout
    assert re.search(r"Mail\W+[0-9]+ messages", told.stdout), told.stdout
