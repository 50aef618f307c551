"""The manifests for Kubernetes: what a reviewer would look for, and that they agree with the code (O8)."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from deploy.kuberay.render import TARGET, render
from serve_app.cli.app import app
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
BACKUP: dict[str, Any] = _all(BASE / "backup.yaml")[0]["spec"]
BACKUP_POD = BACKUP["jobTemplate"]["spec"]["template"]
DRILL: dict[str, Any] = _all(BASE / "drill.yaml")[0]["spec"]
DRILL_POD = DRILL["jobTemplate"]["spec"]["template"]
POLICIES = {each["metadata"]["name"]: each["spec"] for each in _all(BASE / "network.yaml")}


class TestBase:
    def test_has_the_applications_of_the_configuration(self) -> None:
        assert TARGET.read_text() == render(), "python deploy/kuberay/render.py"
        (patch,) = _all(TARGET)
        assert yaml.safe_load(patch["spec"]["serveConfigV2"]) == yaml.safe_load(
            (ROOT / "serve_config.yaml").read_text()
        )

    def test_containers_are_pinned_limited_and_write_nothing(self) -> None:
        for pod in (template["spec"] for template in (*(group["template"] for group in GROUPS), BACKUP_POD, DRILL_POD)):
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

    @pytest.mark.parametrize("policy", ["formstream-ray", "formstream-backup"])
    def test_webhooks_and_backups_reach_no_private_network(self, policy: str) -> None:
        blocks = [peer["ipBlock"] for rule in POLICIES[policy]["egress"] for peer in rule["to"] if "ipBlock" in peer]

        (world,) = blocks
        assert {"10.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"} <= set(world["except"])

    def test_a_backup_is_made_each_night_where_it_is_switched_on(self) -> None:
        """O4: with the command's own words, one at a time, and by a pod that nobody reaches."""
        (container,) = BACKUP_POD["spec"]["containers"]
        program, command, *words = container["args"]
        understood = get_command(app).get_command(None, command).make_context(command, words)  # type: ignore[attr-defined]

        assert (program, command, understood.params["target"]) == ("formstream", "backup", "")
        assert (BACKUP["suspend"], BACKUP["concurrencyPolicy"]) == (True, "Forbid")
        assert POLICIES["formstream-backup"]["podSelector"]["matchLabels"] == BACKUP_POD["metadata"]["labels"]
        assert "ingress" not in POLICIES["formstream-backup"]

    def test_a_drill_is_held_each_week_where_it_is_switched_on(self) -> None:
        """O4: of the newest backup, in a volume of its own, by a pod that reaches what a backup reaches."""
        (container,) = DRILL_POD["spec"]["containers"]
        program, command, *words = container["args"]
        understood = get_command(app).get_command(None, command).make_context(command, words)  # type: ignore[attr-defined]

        assert (program, command, understood.params["backup"]) == ("formstream", "drill", "")
        assert str(understood.params["scratch"]) in {mount["mountPath"] for mount in container["volumeMounts"]}
        assert (DRILL["suspend"], DRILL["concurrencyPolicy"]) == (True, "Forbid")
        assert DRILL_POD["metadata"]["labels"] == BACKUP_POD["metadata"]["labels"]
        assert {"backup.yaml", "drill.yaml"} <= set(_all(BASE / "kustomization.yaml")[0]["resources"])

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

    def test_backups_reach_the_stores_too(self, stage: str) -> None:
        ray, backup = (each["spec"] for each in _all(KUBERAY / "overlays" / stage / "stores.yaml"))

        assert backup["podSelector"]["matchLabels"] == BACKUP_POD["metadata"]["labels"]
        assert backup["egress"] == ray["egress"]

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
    kustomize*) cat "$RENDERED" ;;
    *--ignore-not-found*name) [ -z "$BEFORE" ] || echo rayservice.ray.io/formstream ;;
    *view-last-applied*) [ -n "$BEFORE" ] && echo "$BEFORE" ;;
    *apply*) cat "$(echo "$*" | sed "s/.*--filename //")" >>"$LOG" ;;
    *observedGeneration*|*metadata.generation*) echo 2 ;;
    *Ready*) case "$*" in *formstream-canary*) echo "$CANARY_READY" ;; *) echo "$READY" ;; esac ;;
    *UpgradeInProgress*) echo False ;;
esac
"""
SMOKE = """#!/bin/sh
echo "smoke $*" >>"$LOG"
case "$*" in
    *always*) [ "$(grep -c "^smoke.*always" "$LOG")" -lt "$CANARY_FAILS_AT" ] ;;
    *) exit "$SMOKE" ;;
esac
"""
# What Kustomize makes of the overlay, as far as it concerns the scripts: names stand in its order.
RENDERED = """apiVersion: v1
data:
  FORMSTREAM_LOG_LEVEL: INFO
kind: ConfigMap
metadata:
  name: formstream-settings-5g
  namespace: formstream-staging
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: formstream-nothing
---
apiVersion: ray.io/v1
kind: RayService
metadata:
  labels:
    formstream/stage: staging
  name: formstream
  namespace: formstream-staging
spec:
  rayClusterConfig:
    headGroupSpec:
      template:
        spec:
          containers:
          - image: ghcr.io/example/formstream:0.1.0
            name: ray-head
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: formstream
spec:
  rules:
  - host: staging.forms.example.com
    http: {}
"""
IMAGE = "ghcr.io/acme/formstream@sha256:1"


class Kubernetes:
    """Kubernetes' own part, played by a script, and the two that talk to it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = folder / "log"
        (folder / "rendered").write_text(RENDERED)
        for name, text in (("kubectl", KUBECTL), ("smoke", SMOKE), ("sleep", "#!/bin/sh\n")):
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)

    def run(self, script: str, **variables: str) -> tuple[int, str]:
        """The exit code, and what was asked of it and applied."""
        self._log.write_text("")
        environment = {
            "PATH": f"{self._folder}:{os.environ['PATH']}",
            "LOG": str(self._log),
            "RENDERED": str(self._folder / "rendered"),
            "READY": "True",
            "CANARY_READY": "True",
            "CANARY_FAILS_AT": "99",
            "SMOKE": "0",
            "BEFORE": "image: old",
            "FORMSTREAM_SMOKE": "smoke --seconds 5",
            "FORMSTREAM_DEPLOY_SECONDS": "2",
            "FORMSTREAM_DEPLOY_PAUSE": "1",
        }
        command = [KUBERAY / script, "staging", IMAGE, "https://forms.example.com"]
        done = subprocess.run(command, env=environment | variables, capture_output=True, timeout=60, check=False)
        return done.returncode, self._log.read_text()


@pytest.fixture
def kubernetes(tmp_path: Path) -> Kubernetes:
    return Kubernetes(tmp_path)


class TestDeploy:
    """O7: what does not answer is taken back."""

    def test_what_answers_stays(self, kubernetes: Kubernetes) -> None:
        code, log = kubernetes.run("deploy.sh")
        assert code == 0
        assert f"image: {IMAGE}" in log
        assert "smoke --seconds 5 https://forms.example.com" in log
        assert "image: old" not in log

    @pytest.mark.parametrize(("ready", "smoke"), [("False", "0"), ("True", "1")])
    def test_what_does_not_is_taken_back(self, kubernetes: Kubernetes, ready: str, smoke: str) -> None:
        code, log = kubernetes.run("deploy.sh", READY=ready, SMOKE=smoke)
        assert code == 1
        assert log.rstrip().endswith("image: old")

    def test_the_first_one_leaves_nothing_to_go_back_to(self, kubernetes: Kubernetes) -> None:
        code, log = kubernetes.run("deploy.sh", READY="False", BEFORE="")
        assert code == 1
        assert log.count("apply --filename") == 1


def _weights(log: str) -> list[str]:
    return re.findall(r"canary-weight=(\d+)", log)


class TestCanary:
    """O7: a version gets more and more of the requests, and none when it does worse than the one beside it."""

    def test_what_does_well_is_deployed_and_taken_away(self, kubernetes: Kubernetes) -> None:
        code, log = kubernetes.run("canary.sh")
        assert code == 0
        assert _weights(log) == ["5", "25", "50", "100"]
        asked = "--header X-Formstream-Canary=always --against X-Formstream-Canary=never https://forms.example.com"
        assert log.count(asked) == 4
        # While every request is led to the canary, what is deployed is asked by the other header.
        assert "smoke --seconds 5 --header X-Formstream-Canary=never https://forms.example.com" in log
        assert log.index("delete ingress formstream-canary") < log.index("delete rayservice formstream-canary")
        assert log.index("=never https") < log.index("delete ingress formstream-canary")

    def test_the_canary_is_the_same_with_another_name(self, kubernetes: Kubernetes) -> None:
        _, log = kubernetes.run("canary.sh", CANARY_FAILS_AT="1")
        applied = log.partition("canary.yaml\n")[2].partition("\nget ")[0].partition("--namespace")[0]
        settings, service = (each for each in yaml.safe_load_all(applied) if each)
        assert (settings["kind"], settings["metadata"]["name"]) == ("ConfigMap", "formstream-settings-5g")
        assert (service["kind"], service["metadata"]["name"]) == ("RayService", "formstream-canary")
        (container,) = service["spec"]["rayClusterConfig"]["headGroupSpec"]["template"]["spec"]["containers"]
        assert container == {"image": IMAGE, "name": "ray-head"}
        assert "host: staging.forms.example.com" in log

    @pytest.mark.parametrize("step", [1, 2, 3, 4])
    def test_one_that_does_worse_is_taken_away(self, kubernetes: Kubernetes, step: int) -> None:
        code, log = kubernetes.run("canary.sh", CANARY_FAILS_AT=str(step))
        assert code == 1
        assert _weights(log) == ["5", "25", "50", "100"][:step]
        assert log.rstrip().endswith("delete rayservice formstream-canary --ignore-not-found")
        assert "apply view-last-applied" not in log, "nothing is deployed"

    def test_one_that_does_not_start_gets_no_request(self, kubernetes: Kubernetes) -> None:
        code, log = kubernetes.run("canary.sh", CANARY_READY="False")
        assert code == 1
        assert _weights(log) == []
        assert "apply --filename" in log
        assert "delete rayservice formstream-canary" in log

    def test_one_that_cannot_be_deployed_is_taken_away(self, kubernetes: Kubernetes) -> None:
        code, log = kubernetes.run("canary.sh", SMOKE="1")
        assert code == 1
        assert "image: old" in log
        assert "delete rayservice formstream-canary" in log

    def test_the_first_version_has_none_to_be_beside(self, kubernetes: Kubernetes) -> None:
        code, log = kubernetes.run("canary.sh", BEFORE="")
        assert code == 0
        assert _weights(log) == []
        assert "canary.yaml" not in log
        assert "smoke --seconds 5 https://forms.example.com" in log

    def test_steps_can_be_told(self, kubernetes: Kubernetes) -> None:
        assert _weights(kubernetes.run("canary.sh", FORMSTREAM_CANARY_STEPS="10 100")[1]) == ["10", "100"]

    def test_it_takes_requests_as_the_other_ingress_does(self) -> None:
        ingress, canary = _all(BASE / "ingress.yaml")[0], _all(KUBERAY / "canary-ingress.yaml")[0]
        prefix = "nginx.ingress.kubernetes.io/"
        told, taken = (
            {name.removeprefix(prefix): value for name, value in each["metadata"]["annotations"].items()}
            for each in (ingress, canary)
        )
        assert {name: value for name, value in taken.items() if not name.startswith("canary")} == {
            name: value for name, value in told.items() if name.startswith("proxy-")
        }
        (path,) = canary["spec"]["rules"][0]["http"]["paths"]
        assert path["path"] == "/", "metrics and the health of parts stay closed"
        assert path["backend"]["service"]["name"] == "formstream-canary-serve-svc"
