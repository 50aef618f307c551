"""O7: on one host a version is replaced without refusing a request. Docker's part is played by a script; Caddy has its
own in tests/e2e/test_front_door.py."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.architecture.rooms import ROOT

# `app` is what its image's tag names when it is made; the container beside it is always of the new one.
DOCKER = """#!/bin/sh
echo "$*" >>"$LOG"
case "$*" in
    "compose ps --quiet app") cat "$STATE/app" ;;
    *"grep -q FORMSTREAM_UPSTREAMS"*) exit "$OLD_CADDYFILE" ;;
    *.Config.Image*) echo formstream:0.1.0 ;;
    *.Image*) echo sha256:old ;;
    "compose build app") echo new >"$STATE/tag" ;;
    "image tag sha256:old formstream:0.1.0") echo old >"$STATE/tag" ;;
    "compose up --detach --no-deps app") echo "app-of-$(cat "$STATE/tag")" >"$STATE/app" ;;
    *.State.Health.Status*)
        case " $SICK " in *" ${*##* } "*) echo unhealthy ;; *) echo healthy ;; esac ;;
    *"caddy reload"*) [ "$(grep -c "caddy reload" "$LOG")" -ne "$RELOAD_FAILS_AT" ] ;;
    "exec "*) [ "$(grep -c "^exec " "$LOG")" -ne "$FAILS_AT" ] ;;
esac
"""


class Host:
    """A machine with the old version, and what was asked of Docker."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.log = ""
        for name, text in (("docker", DOCKER), ("sleep", "#!/bin/sh\n")):
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)
        (folder / "app").write_text("app-of-old")
        (folder / "tag").write_text("old\n")

    def update(self, **variables: str) -> int:
        """The exit code of the script."""
        environment = {
            "PATH": f"{self._folder}:{os.environ['PATH']}",
            "LOG": str(self._folder / "log"),
            "STATE": str(self._folder),
            "OLD_CADDYFILE": "0",
            "SICK": "nobody",
            "FAILS_AT": "99",
            "RELOAD_FAILS_AT": "99",
            "FORMSTREAM_DEPLOY_SECONDS": "2",
            "FORMSTREAM_DEPLOY_PAUSE": "1",
        }
        done = subprocess.run([ROOT / "deploy" / "update.sh"], env=environment | variables, timeout=60, check=False)
        self.log = (self._folder / "log").read_text()
        return done.returncode

    @property
    def runs(self) -> str:
        """The container that answers at the end."""
        return (self._folder / "app").read_text().strip()

    @property
    def image(self) -> str:
        """What the tag names, and so what a restart of the host would start."""
        return (self._folder / "tag").read_text().strip()

    @property
    def shares(self) -> list[int]:
        """How many of twenty requests the container beside it got, one step after the other."""
        told = re.findall(r"FORMSTREAM_UPSTREAMS=(.*) caddy caddy reload", self.log)
        assert all(len(each.split()) == 20 for each in told)
        return [each.split().count("formstream-next:8000") for each in told]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_the_new_version_takes_over_step_by_step(host: Host) -> None:
    assert host.update() == 0
    assert (host.runs, host.image) == ("app-of-new", "new")
    assert host.shares == [1, 5, 10, 20, 20, 0]
    lines = host.log.splitlines()
    replaced = lines.index("compose up --detach --no-deps app")
    assert "exec app-of-new formstream smoke http://127.0.0.1:8000" in lines[replaced:]
    assert lines[-2:] == ["stop -t 120 formstream-next", "rm --force formstream-next"]
    assert "formstream-next:8000" not in lines[-3], "nobody is led to what is stopped"


@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_what_does_not_do_well_is_taken_away(host: Host, step: int) -> None:
    assert host.update(FAILS_AT=str(step)) == 1
    assert (host.runs, host.image) == ("app-of-old", "old")
    assert host.shares == [*[1, 5, 10, 20][:step], 0]
    assert host.log.endswith("rm --force formstream-next\n")


def test_what_does_not_start_gets_no_request(host: Host) -> None:
    assert host.update(SICK="formstream-next") == 1
    assert (host.runs, host.image) == ("app-of-old", "old")
    assert host.shares == [0]


@pytest.mark.parametrize("fault", [{"SICK": "app-of-new"}, {"FAILS_AT": "5"}])
def test_what_fails_in_its_place_is_replaced_while_the_one_beside_it_answers(host: Host, fault: dict[str, str]) -> None:
    assert host.update(**fault) == 1
    assert (host.runs, host.image) == ("app-of-old", "old")
    assert host.shares[-2:] == [20, 0]
    assert host.log.count("compose up --detach --no-deps app") == 2


def test_what_cannot_be_taken_back_is_left_answering(host: Host) -> None:
    assert host.update(SICK="app-of-new app-of-old") == 1
    assert host.shares[-1] == 20
    assert "rm --force formstream-next" not in host.log


def test_a_proxy_that_does_not_answer_is_told_again(host: Host) -> None:
    """It replaces the address that it is told at, too."""
    assert host.update(RELOAD_FAILS_AT="2") == 0
    assert host.shares == [1, 5, 5, 10, 20, 20, 0]


def test_what_is_in_flight_outlives_a_change_of_weights() -> None:
    """Caddy breaks off what is passed on with flush_interval -1 when it is told something new."""
    directives = [line.split()[0] for line in (ROOT / "deploy" / "Caddyfile").read_text().splitlines() if line.split()]
    assert "flush_interval" not in directives


def test_an_older_proxy_is_not_trusted_with_it(host: Host) -> None:
    assert host.update(OLD_CADDYFILE="1") == 1
    assert "build" not in host.log


def test_the_proxy_leads_to_one_container_when_nobody_says_otherwise() -> None:
    assert "{$FORMSTREAM_UPSTREAMS:app:8000}" in (ROOT / "deploy" / "Caddyfile").read_text()
