"""`formstream doctor` as it is typed."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from serve_app.cli.doctor import examination, machine
from serve_app.cli.doctor.examination import examine, run
from serve_app.cli.doctor.finding import Severity
from tests.serve_app.cli.doctor.looking import installation
from tests.serve_app.cli.test_app import formstream


async def test_a_fresh_installation_is_well(tmp_path: Path) -> None:
    data = tmp_path / "data"
    findings = await examine(installation(data, port=0))
    # What the machine is like that the tests run on is not for them to say.
    ours = [each for each in findings if not each.check.startswith(("machine.", "disk."))]
    assert [each for each in ours if each.severity is Severity.ERROR] == []
    assert len({each.check for each in findings}) >= 30
    assert not data.exists(), "the doctor changes nothing"


@pytest.mark.parametrize(
    ("variables", "code", "check"),
    [
        ({"FORMSTREAM_PROT": "8000"}, 3, "settings.names"),
        ({"FORMSTREAM_PUBLIC_URL": "http://forms.example.com"}, 1, "address.public-url"),
        ({"FORMSTREAM_PORT": "many"}, 1, "settings.values"),
    ],
)
def test_the_exit_code_says_the_worst(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], code: int, check: str
) -> None:
    monkeypatch.setattr(examination, "_PARTS", tuple(part for part in examination._PARTS if part is not machine))
    for name, value in {"FORMSTREAM_DATA_DIR": str(tmp_path / "data"), "FORMSTREAM_PORT": "0", **variables}.items():
        monkeypatch.setenv(name, value)
    printed = io.StringIO()
    assert run(serve_config=None, nats_monitor="", as_json=True, console=Console(file=printed)) == code
    told = json.loads(printed.getvalue())
    assert told["worst"] == {1: "error", 3: "warning"}[code]
    found = [each for each in told["findings"] if each["severity"] == told["worst"]]
    assert check in {each["check"] for each in found}
    assert all(each["cure"] for each in found)


def test_the_command_says_how_to_mend(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    done = formstream("doctor", "--data-dir", data, FORMSTREAM_PORT="0", FORMSTREAM_PROT="1", COLUMNS="200")
    assert done.returncode in (1, 3), done  # 1 where the machine itself has a fault
    assert "→ Did you mean FORMSTREAM_PORT?" in done.stdout
    assert "disk.fsync" in done.stdout
