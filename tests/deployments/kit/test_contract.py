"""Contracts cross process boundaries."""

import pickle
import subprocess
import sys

from deployments.forms.contracts import FormSummary
from deployments.kit.contract import Page, PageMeta


def test_a_page_can_be_read_by_a_process_that_never_made_one() -> None:
    page = Page[FormSummary](data=[], meta=PageMeta(limit=20, next_cursor=None))
    program = "import pickle, sys; page = pickle.load(sys.stdin.buffer); print(type(page).__name__, page.meta.limit)"
    done = subprocess.run([sys.executable, "-c", program], input=pickle.dumps(page), capture_output=True, check=False)
    assert done.stdout.decode().split() == ["Page[FormSummary]", "20"], done.stderr.decode()


def test_a_page_that_names_no_type_crosses_too() -> None:
    page: Page[str] = Page(data=["a"], meta=PageMeta(limit=20, next_cursor=None))
    assert pickle.loads(pickle.dumps(page)) == page  # noqa: S301 - made one line above
