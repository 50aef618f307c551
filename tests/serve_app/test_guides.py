"""What the guide of forms tells readers to type works, from its first line to its last, in that order."""

import re
import shlex
from pathlib import Path
from typing import Any

import httpx
import pytest

from db.settings import DatabaseSettings
from tests.architecture.rooms import ROOT
from tests.serve_app.one_process import one_process, settings_for

BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)
CAPTURED = re.compile(r"(\w+)=\$\((curl .*) \| jq -r \.(\w+)\)", re.DOTALL)
GUIDE = ROOT / "docs" / "guides" / "forms.md"


def _commands(page: Path) -> list[tuple[str | None, str | None, str]]:
    """Each curl command, and the variable that takes a member of its answer."""
    found: list[tuple[str | None, str | None, str]] = []
    for block in BLOCK.findall(page.read_text()):
        for command in re.split(r"\n(?=curl |\w+=\$\()", block.strip()):
            if captured := CAPTURED.fullmatch(command):
                found.append((captured[1], captured[3], captured[2]))
            else:
                found.append((None, None, command))
    return found


def _request(command: str, variables: dict[str, str]) -> dict[str, Any]:
    """The request that curl would send. The shell joins what stands together, and looks for variables outside '…'."""
    for name, value in variables.items():
        command = re.sub(rf"\${name}\b", value, command)
    program, *words = shlex.split(command.replace("\\\n", " "))
    assert program == "curl"
    request: dict[str, Any] = {"method": None, "headers": {}, "content": None}
    options = iter(words)
    for word in options:
        if word == "-X":
            request["method"] = next(options)
        elif word == "-H":
            name, _, value = next(options).partition(": ")
            request["headers"][name] = value
        elif word == "-d":
            request["content"] = next(options)
        elif not word.startswith("-"):
            request["url"] = word
    request["method"] = request["method"] or ("GET" if request["content"] is None else "POST")
    return request


async def test_every_command_of_the_guide_works(
    sqlite_settings: DatabaseSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F4, F5, F7: each is sent to a running platform, with what the commands before it have answered."""
    async with one_process(settings_for(tmp_path, sqlite_settings), monkeypatch, works=False) as platform:
        owner: httpx.AsyncClient = await platform.sign_up()
        variables = {"api": "/api/v1", "auth": f"Authorization: {owner.headers['authorization']}"}
        answers: list[tuple[str, int]] = []
        for name, member, command in _commands(GUIDE):
            answer = await platform.client().request(**_request(command, variables))
            assert answer.status_code < 300, (command, answer.text)
            if name is not None:
                variables[name] = answer.json()[member]
            answers.append((answer.request.method, answer.status_code))
    assert len(answers) > 25
    assert ("POST", 202) in answers
