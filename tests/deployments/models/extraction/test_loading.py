"""A3: who never extracts does not wait for what extraction reads with; who does may do so in several threads."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from tests.deployments.models.extraction.finding import found

LIBRARIES = ("linkify_it", "text_to_num", "babel", "zxcvbn", "phonenumbers")
CODE = f"""
import sys
import deployments.models.deployment
print([each for each in {LIBRARIES} if each in sys.modules], "deployments.models.extraction" in sys.modules)
"""


def test_the_models_start_without_the_libraries_of_extraction() -> None:
    ran = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert ran.stdout.split("\n")[0] == "[] False"


def test_threads_do_not_meet() -> None:
    """Each finds what its own text has, not what another thread reads at the same time."""
    texts = [f"{'see ' * (number % 7)}https://example.com/{number} and www.example{number}.org" for number in range(80)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as threads:
            every = list(threads.map(lambda text: [each[1] for each in found(text, "url")], texts))
    finally:
        sys.setswitchinterval(interval)
    assert every == [[f"https://example.com/{number}", f"www.example{number}.org"] for number in range(80)]
