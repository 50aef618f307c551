"""D6, D9: Serve configurations are checked by us, because Serve ignores what it does not know."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.serve.schema import ServeDeploySchema

from deployments.models.contracts import FACULTIES
from serve_app.contexts import CONTEXTS
from serve_app.placement import EMBEDDED_CONFIG, InvalidPlacement, load_config
from serve_app.subscriptions import QUEUES, SUBSCRIPTIONS
from tests.architecture.rooms import ROOT

# Ray's own model warns of a field that has no successor in a configuration yet.
pytestmark = pytest.mark.filterwarnings("ignore:The `metrics_interval_s` field:DeprecationWarning")

CONFIGS = (EMBEDDED_CONFIG, ROOT / "serve_config.yaml")


def config(**changes: Any) -> dict[str, Any]:
    """A small valid configuration, its only application changed."""
    application = {
        "name": "core",
        "route_prefix": None,
        "import_path": "serve_app.graph:context",
        "args": {"name": "core", "contexts": ["forms"]},
        "deployments": [{"name": "core", "num_replicas": 1}],
    }
    return {"proxy_location": "Disabled", "applications": [application | changes]}


def load(tmp_path: Path, document: Any) -> ServeDeploySchema:
    path = tmp_path / "serve.yaml"
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
    return load_config(path)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_the_shipped_configurations_are_valid_and_complete(path: Path) -> None:
    """D6: the same code placed two ways; every context, subscription and queue has a place in each."""
    found = load_config(path)
    assert found.proxy_location == "Disabled"
    assert all(application.route_prefix is None for application in found.applications)
    arguments = [application.args for application in found.applications]
    hosted = [name for args in arguments if "name" in args for name in args.get("contexts", ())]
    assert sorted(hosted) == sorted(CONTEXTS)
    assert {name for args in arguments for name in args.get("subscriptions", ())} == SUBSCRIPTIONS
    assert {name for args in arguments for name in args.get("queues", {})} == QUEUES
    (edge,) = [application for application in found.applications if application.name == "edge"]
    homes = {
        name: application.name
        for application in found.applications
        if application.name != "edge"
        for name in application.args.get("contexts", ())
    }
    assert edge.args["contexts"] == homes
    faculties = {faculty: app.name for app in found.applications for faculty in app.args.get("faculties", ())}
    assert faculties.keys() == FACULTIES.keys()
    asking = [
        args for args in arguments if "name" in args and ("inference" in args.get("contexts", ()) or args.get("queues"))
    ]
    assert len(asking) == 2
    assert [args["models"] for args in asking] == [faculties] * len(asking)


def test_a_small_one_is_valid(tmp_path: Path) -> None:
    (application,) = load(tmp_path, config()).applications
    assert application.name == "core"


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ("{", "cannot be read"),
        ("- a", "is not a mapping"),
        (config() | {"colour": 1}, "unknown keys: colour"),
        (config(colour=1), r"unknown keys: applications\[0\].colour"),
        (config(deployments=[{"name": "core", "replicas": 1}]), r"applications\[0\].deployments\[0\].replicas"),
        (
            config(deployments=[{"name": "core", "autoscaling_config": {"min_replica": 1}}]),
            r"deployments\[0\].autoscaling_config.min_replica",
        ),
        (
            config(deployments=[{"name": "core", "ray_actor_options": {"num_cpu": 1}}]),
            r"deployments\[0\].ray_actor_options.num_cpu",
        ),
        (config(deployments=[{"name": "core", "num_replicas": -1}]), "num_replicas"),
        (config(deployments=[{"name": "heart"}]), "there is no deployment 'heart'"),
        (config(import_path="serve_app.graph:contexts"), "there is no builder serve_app.graph:contexts"),
        (config(args={"name": "core", "contexts": ["farms"]}), "there is no context 'farms'"),
        (config(args={"name": "core", "contexts": []}), "contexts"),
        (config(args={"name": "core", "contexts": ["forms"], "colour": 1}), "colour"),
        (
            config(import_path="serve_app.graph:worker", args={"name": "core", "subscriptions": ["mails"]}),
            "there is no subscription 'mails'",
        ),
        (
            config(import_path="serve_app.graph:worker", args={"name": "core", "queues": {"low": 1}}),
            "there is no queue 'low'",
        ),
        (
            config(
                name="edge",
                import_path="serve_app.graph:edge",
                args={"contexts": {"forms": "core"}},
                deployments=[{"name": "edge"}],
            ),
            "not told where these contexts are: "
            "analytics, audit, events, exports, federation, files, identity, imports, inference, jobs, "
            "notifications, reports, responses, tenancy, webhooks",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, document: Any, reason: str) -> None:
    with pytest.raises(InvalidPlacement, match=reason):
        load(tmp_path, document)


def test_a_file_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InvalidPlacement, match=r"serve\.yaml cannot be read"):
        load_config(tmp_path / "serve.yaml")


def test_applications_of_others_are_left_alone(tmp_path: Path) -> None:
    """A cluster may run more than this platform."""
    found = load(tmp_path, config(import_path="elsewhere:app", args={"anything": 1}, deployments=[{"name": "x"}]))
    assert found.applications[0].import_path == "elsewhere:app"
