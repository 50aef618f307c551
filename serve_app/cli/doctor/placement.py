"""How replicas are placed: whether Serve understands the configuration, and how many of them have a database pool."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from ray.serve.schema import DeploymentSchema

from serve_app.cli.doctor.finding import Finding, fine, wrong
from serve_app.cli.doctor.installation import Installation
from serve_app.placement import EMBEDDED_CONFIG, InvalidPlacement, load_config

_WITH_POOL: Final = ("serve_app.graph:context", "serve_app.graph:worker")


@dataclass(frozen=True, slots=True)
class Pools:
    """Replicas that keep a pool of connections: as few as there may be, and as many."""

    least: int
    most: int


async def examine(installation: Installation) -> list[Finding]:
    """Look at the Serve configuration."""
    name = "serve.configuration"
    path = installation.serve_config or EMBEDDED_CONFIG
    try:
        config = load_config(path)
    except InvalidPlacement as error:
        return [wrong(name, f"{' '.join(str(error).split())}.", "`formstream check-config` names every such place.")]
    return [fine(name, f"{path.name} places {len(config.applications)} applications.")]


@cache
def pools(path: Path | None) -> Pools:
    """Of the configuration in a file, the embedded one without. Raises InvalidPlacement."""
    least = most = 0
    for application in load_config(path or EMBEDDED_CONFIG).applications:
        if application.import_path in _WITH_POOL:
            for deployment in application.deployments:
                low, high = _replicas(deployment)
                least, most = least + low, most + high
    return Pools(least, most)


def _replicas(deployment: DeploymentSchema) -> tuple[int, int]:
    scaling = deployment.autoscaling_config
    if isinstance(scaling, dict):
        return int(scaling.get("min_replicas", 1)), int(scaling.get("max_replicas", 1))
    number = deployment.num_replicas if isinstance(deployment.num_replicas, int) else 1
    return number, number
