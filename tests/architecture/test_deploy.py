"""The deployment files: what a reviewer would look for in each, and that they agree with the code (O8)."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from eventing.server import MAX_PAYLOAD, find_binary
from serve_app.ray_environment import RAY_ENVIRONMENT
from serve_app.settings import Settings
from tests.architecture.rooms import ROOMS, ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()
INSTRUCTIONS = re.sub(r"\\\n", " ", re.sub(r"(?m)^#.*\n", "", DOCKERFILE)).splitlines()

# A name, and a tag with all three numbers or the two that PostgreSQL has.
PINNED = re.compile(r"[a-z0-9./-]+:v?\d+\.\d+(\.\d+)?(-[a-z0-9]+)*")
STORES = ("postgres", "nats")


def _instructions(word: str) -> list[str]:
    return [line.partition(" ")[2].strip() for line in INSTRUCTIONS if line.startswith(f"{word} ")]


class TestCompose:
    """O8: docker-compose."""

    def test_has_every_part(self) -> None:
        assert SERVICES.keys() == {"app", "postgres", "nats", "caddy", "mailpit", "prometheus"}

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
                    assert (ROOT / source).is_file(), f"{name}: {volume}"
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
        for name in ("POSTGRES_PASSWORD", "NATS_PASSWORD", "FORMSTREAM_SECRET_KEY"):
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
        bases = [line.split()[0] for line in _instructions("FROM")]

        assert len(bases) == 2
        assert all(PINNED.fullmatch(base) for base in bases)

    def test_does_not_run_as_root(self) -> None:
        assert _instructions("USER") == ["10001:10001"]

    def test_installs_what_is_locked(self) -> None:
        installs = [line for line in _instructions("RUN") if "pip install" in line]

        assert len(installs) == 1
        assert "--require-hashes" in installs[0]
        assert "COPY requirements/run.txt /requirements.txt" in DOCKERFILE

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

    @pytest.mark.parametrize("name", ["entrypoint.sh", "formstream"])
    def test_scripts_are_sound(self, name: str) -> None:
        path = ROOT / "deploy" / name
        shell = shutil.which("sh")

        assert shell is not None
        assert path.read_text().startswith("#!/bin/sh\n")
        assert path.stat().st_mode & 0o111
        assert subprocess.run([shell, "-n", path], capture_output=True).stderr == b""

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


class TestNats:
    def test_configuration_is_accepted_by_the_server(self) -> None:
        command = [find_binary(), "-t", "-c", ROOT / "deploy" / "nats.conf"]
        said = subprocess.run(command, capture_output=True, text=True, env={"NATS_PASSWORD": "secret"})

        assert said.returncode == 0, said.stderr

    def test_acknowledges_after_the_fsync_and_takes_as_large_events(self) -> None:
        text = (ROOT / "deploy" / "nats.conf").read_text()

        assert re.search(r"(?m)^\s*sync_interval: always$", text)
        assert re.search(r"(?m)^max_payload: 1MB$", text)
        assert MAX_PAYLOAD == 1024 * 1024


class TestKubeRay:
    @pytest.fixture
    def manifest(self) -> dict[str, Any]:
        command = [sys.executable, ROOT / "deploy" / "kuberay" / "render.py"]
        rendered = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        document: dict[str, Any] = yaml.safe_load(rendered)
        return document

    def test_has_the_applications_of_the_configuration(self, manifest: dict[str, Any]) -> None:
        applications = yaml.safe_load(manifest["spec"]["serveConfigV2"])

        assert manifest["kind"] == "RayService"
        assert applications == yaml.safe_load((ROOT / "serve_config.yaml").read_text())

    def test_containers_are_pinned_limited_and_not_root(self, manifest: dict[str, Any]) -> None:
        cluster = manifest["spec"]["rayClusterConfig"]
        pods = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]

        for pod in (group["template"]["spec"] for group in pods):
            assert pod["securityContext"]["runAsNonRoot"] is True
            for container in (*pod["containers"], *pod.get("initContainers", ())):
                assert PINNED.fullmatch(container["image"])
                assert container["resources"]["limits"].keys() == {"cpu", "memory"}
                assert container["securityContext"]["allowPrivilegeEscalation"] is False

    def test_names_the_locked_version_of_ray(self, manifest: dict[str, Any]) -> None:
        locked = re.search(r"(?m)^ray(?:\[[a-z,]+\])?==(\S+)", (ROOT / "requirements" / "run.txt").read_text())

        assert locked is not None
        assert manifest["spec"]["rayClusterConfig"]["rayVersion"] == locked[1]
