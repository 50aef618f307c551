"""Where the applications run: Serve configurations, checked strictly and handed to a running Serve."""

import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from ray.serve.config import AutoscalingConfig
from ray.serve.schema import DeploymentSchema, ServeApplicationSchema, ServeDeploySchema

EMBEDDED_CONFIG = Path(__file__).with_name("embedded.yaml")

# Fields that Serve types as plain dictionaries and reads as these models.
_MODELS: dict[tuple[type[BaseModel], str], type[BaseModel]] = {
    (DeploymentSchema, "autoscaling_config"): AutoscalingConfig,
}


class InvalidPlacement(ValueError):
    """The configuration cannot be used; the message names the place and the reason."""


def load_config(path: Path) -> ServeDeploySchema:
    """The configuration in a file. Raises InvalidPlacement, also for keys that Serve would ignore silently."""
    try:
        document = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise InvalidPlacement(f"{path} cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise InvalidPlacement(f"{path} is not a mapping")
    if unknown := list(_unknown_keys(ServeDeploySchema, document, "")):
        raise InvalidPlacement(f"{path} has unknown keys: {', '.join(unknown)}")
    try:
        config = ServeDeploySchema.model_validate(document)
        for application in config.applications:
            _check_arguments(application)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InvalidPlacement(f"{path}: {place}: {first['msg']}") from error
    except (ValueError, ImportError) as error:
        raise InvalidPlacement(f"{path}: {error}") from error
    return config


def deploy_config(config: ServeDeploySchema) -> None:
    """Submit the applications to the running Serve; returns before they are ready."""
    # `serve run` submits a configuration the same way; the REST API of `serve deploy` would need the dashboard.
    from ray.serve._private.api import serve_start

    client = serve_start(
        proxy_location=config.proxy_location,
        http_options=config.http_options.model_dump(),
        global_logging_config=config.logging_config,
    )
    client.deploy_apps(config, _blocking=False)


def _check_arguments(application: ServeApplicationSchema) -> None:
    """Raise ValueError when a builder of ours would refuse its arguments or a deployment has an unknown name."""
    from serve_app import graph

    module, _, name = application.import_path.partition(":")
    if module != graph.__name__:
        return
    builder = getattr(graph, name, None)
    if builder is None:
        raise ValueError(f"applications.{application.name}: there is no builder {application.import_path}")
    arguments = typing.get_type_hints(builder)["args"].model_validate(application.args)
    own_name = getattr(arguments, "name", application.name)
    for deployment in application.deployments:
        if deployment.name != own_name:
            raise ValueError(f"applications.{application.name}: there is no deployment {deployment.name!r}")


def _unknown_keys(model: type[BaseModel], value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        return
    for key, item in value.items():
        field = model.model_fields.get(key)
        place = f"{path}{key}"
        if field is None:
            yield place
            continue
        inner = _MODELS.get((model, key)) or _model_in(field.annotation)
        if inner is None:
            continue
        if isinstance(item, list):
            for index, element in enumerate(item):
                yield from _unknown_keys(inner, element, f"{place}[{index}].")
        else:
            yield from _unknown_keys(inner, item, f"{place}.")


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in typing.get_args(annotation):
        found = _model_in(argument)
        if found is not None:
            return found
    return None
