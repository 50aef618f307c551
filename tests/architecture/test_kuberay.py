"""The manifests for Kubernetes: what a reviewer would look for, and that they agree with the code (O8)."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.kuberay.render import TARGET, render
from serve_app.settings import Settings
from tests.architecture.rooms import ROOT
from tests.architecture.test_deploy import PINNED

KUBERAY = ROOT / "deploy" / "kuberay"
BASE = KUBERAY / "base"
STAGES = ("staging", "production")


def _all(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text()))


SERVICE: dict[str, Any] = _all(BASE / "rayservice.yaml")[0]
CLUSTER = SERVICE["spec"]["rayClusterConfig"]
GROUPS = [CLUSTER["headGroupSpec"], *CLUSTER["workerGroupSpecs"]]
POLICIES = {each["metadata"]["name"]: each["spec"] for each in _all(BASE / "network.yaml")}


class TestBase:
    def test_has_the_applications_of_the_configuration(self) -> None:
        assert TARGET.read_text() == render(), "python deploy/kuberay/render.py"
        (patch,) = _all(TARGET)
        assert yaml.safe_load(patch["spec"]["serveConfigV2"]) == yaml.safe_load(
            (ROOT / "serve_config.yaml").read_text()
        )

    def test_containers_are_pinned_limited_and_write_nothing(self) -> None:
        for pod in (group["template"]["spec"] for group in GROUPS):
            assert pod["securityContext"]["runAsNonRoot"] is True
            volumes = {volume["name"] for volume in pod["volumes"]}
            for container in (*pod["containers"], *pod.get("initContainers", ())):
                assert PINNED.fullmatch(container["image"])
                assert container["resources"]["limits"].keys() == {"cpu", "memory"}
                assert container["securityContext"]["allowPrivilegeEscalation"] is False
                assert container["securityContext"]["readOnlyRootFilesystem"] is True
                assert {mount["name"] for mount in container["volumeMounts"]} == volumes

    def test_names_the_locked_version_of_ray(self) -> None:
        locked = re.search(r"(?m)^ray(?:\[[a-z,]+\])?==(\S+)", (ROOT / "requirements" / "run.txt").read_text())

        assert locked is not None
        assert CLUSTER["rayVersion"] == locked[1]

    def test_pods_follow_the_replicas_that_wait(self) -> None:
        (workers,) = CLUSTER["workerGroupSpecs"]

        assert CLUSTER["enableInTreeAutoscaling"] is True
        assert workers["minReplicas"] < workers["maxReplicas"]

    def test_workers_have_time_to_drain_and_leave_one_by_one(self) -> None:
        applications = yaml.safe_load((ROOT / "serve_config.yaml").read_text())["applications"]
        graces = [each["graceful_shutdown_timeout_s"] for app in applications for each in app["deployments"]]
        (workers,) = CLUSTER["workerGroupSpecs"]
        (budget,) = _all(BASE / "disruption.yaml")

        assert workers["template"]["spec"]["terminationGracePeriodSeconds"] > max(graces)
        assert budget["spec"]["maxUnavailable"] == 1
        assert budget["spec"]["selector"]["matchLabels"]["ray.io/group"] == workers["groupName"]

    def test_nothing_is_reached_that_is_not_named(self) -> None:
        assert POLICIES["formstream-nothing"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}

    def test_rays_ports_are_for_its_own_pods_and_the_operator(self) -> None:
        """Whoever reaches them with the token runs code."""
        for rule in POLICIES["formstream-ray"]["ingress"]:
            ports = {port["port"] for port in rule.get("ports", [])}
            if ports & {6379, 8265, 10001} or not ports:
                (peer,) = rule["from"]
                labels = peer["podSelector"]["matchLabels"]
                assert labels in ({"ray.io/is-ray-node": "yes"}, {"app.kubernetes.io/name": "kuberay-operator"})

    def test_webhooks_reach_no_private_network(self) -> None:
        blocks = [
            peer["ipBlock"] for rule in POLICIES["formstream-ray"]["egress"] for peer in rule["to"] if "ipBlock" in peer
        ]

        (world,) = blocks
        assert {"10.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"} <= set(world["except"])

    def test_metrics_are_not_for_the_world(self) -> None:
        ingress = _all(BASE / "ingress.yaml")[0]
        paths = {
            each["path"]: each["backend"]["service"]["name"] for each in ingress["spec"]["rules"][0]["http"]["paths"]
        }

        assert (paths["/metrics"], paths["/health/"]) == ("formstream-nobody", "formstream-nobody")
        assert paths["/"] == f"{SERVICE['metadata']['name']}-serve-svc"


@pytest.mark.parametrize("stage", STAGES)
class TestOverlay:
    def test_settings_have_names_that_are_read(self, stage: str) -> None:
        (overlay,) = _all(KUBERAY / "overlays" / stage / "kustomization.yaml")
        (settings,) = overlay["configMapGenerator"]
        given = {literal.partition("=")[0] for literal in settings["literals"]}

        assert given <= {f"FORMSTREAM_{name.upper()}" for name in Settings.model_fields}

    def test_every_file_is_there(self, stage: str) -> None:
        folder = KUBERAY / "overlays" / stage
        (overlay,) = _all(folder / "kustomization.yaml")
        named = [*overlay["resources"], *overlay["configurations"], *(patch["path"] for patch in overlay["patches"])]

        assert all((folder / name).exists() for name in named)
        assert {path.name for path in folder.iterdir()} == {"kustomization.yaml", *named} - {"../../base"}

    def test_patches_change_what_is_there(self, stage: str) -> None:
        (patches,) = _all(KUBERAY / "overlays" / stage / "workers.yaml")
        for patch in patches:
            place: Any = SERVICE
            for part in patch["path"].strip("/").split("/"):
                place = place[int(part)] if isinstance(place, list) else place[part]
            assert patch["op"] == "replace"

    def test_the_host_is_that_of_links_in_mails(self, stage: str) -> None:
        (overlay,) = _all(KUBERAY / "overlays" / stage / "kustomization.yaml")
        (host,) = _all(KUBERAY / "overlays" / stage / "host.yaml")
        literals = dict(each.split("=", 1) for each in overlay["configMapGenerator"][0]["literals"])

        assert {f"https://{each['value']}" for each in host} == {literals["FORMSTREAM_PUBLIC_URL"]}


KUBECTL = """#!/bin/sh
echo "$*" >>"$LOG"
case "$*" in
    kustomize*) echo "image: ghcr.io/example/formstream:0.1.0" ;;
    *view-last-applied*) [ -n "$BEFORE" ] && echo "$BEFORE" ;;
    *apply*) cat "$(echo "$*" | sed "s/.*--filename //")" >>"$LOG" ;;
    *observedGeneration*|*metadata.generation*) echo 2 ;;
    *Ready*) echo "$READY" ;;
    *UpgradeInProgress*) echo False ;;
esac
"""


class TestDeploy:
    """O7: what does not answer is taken back. Kubernetes' own part is played by a script."""

    @pytest.fixture
    def deploy(self, tmp_path: Path) -> Any:
        (tmp_path / "kubectl").write_text(KUBECTL)
        (tmp_path / "smoke").write_text('#!/bin/sh\necho "smoke $*" >>"$LOG"\nexit "$SMOKE"\n')
        for name in ("kubectl", "smoke"):
            (tmp_path / name).chmod(0o755)
        log = tmp_path / "log"

        def run(ready: str, smoke: int, before: str = "image: old") -> tuple[int, str]:
            log.write_text("")
            variables = {
                "PATH": f"{tmp_path}:{os.environ['PATH']}",
                "LOG": str(log),
                "READY": ready,
                "SMOKE": str(smoke),
                "FORMSTREAM_SMOKE": "smoke --seconds 5",
                "BEFORE": before,
                "FORMSTREAM_DEPLOY_SECONDS": "1",
                "FORMSTREAM_DEPLOY_PAUSE": "1",
            }
            command = [
                KUBERAY / "deploy.sh",
                "staging",
                "ghcr.io/acme/formstream@sha256:1",
                "https://forms.example.com",
            ]
            return subprocess.run(command, env=variables, capture_output=True).returncode, log.read_text()

        return run

    def test_what_answers_stays(self, deploy: Any) -> None:
        code, log = deploy("True", 0)
        assert code == 0
        assert "image: ghcr.io/acme/formstream@sha256:1" in log
        assert "smoke --seconds 5 https://forms.example.com" in log
        assert "image: old" not in log

    @pytest.mark.parametrize(("ready", "smoke"), [("False", 0), ("True", 1)])
    def test_what_does_not_is_taken_back(self, deploy: Any, ready: str, smoke: int) -> None:
        code, log = deploy(ready, smoke)
        assert code == 1
        assert log.rstrip().endswith("image: old")

    def test_the_first_one_leaves_nothing_to_go_back_to(self, deploy: Any) -> None:
        code, log = deploy("False", 0, before="")
        assert code == 1
        assert log.count("apply --filename") == 1
