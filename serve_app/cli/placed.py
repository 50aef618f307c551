"""The applications on the local Serve: placed, waited for, drained."""

import ssl
import time
from pathlib import Path
from typing import Final

import httpx
from ray import serve
from ray.serve.schema import ApplicationStatus, ServeApplicationSchema, ServeDeploySchema, ServeStatus

from serve_app.cli.cluster import Cluster
from serve_app.cli.failure import CommandFailed
from serve_app.cli.signals import Signals
from serve_app.cli.steps import Steps
from serve_app.placement import InvalidPlacement, deploy_config, load_config

_MODELS: Final = "serve_app.graph:models"
_READY_S: Final = 90.0
_POLL_S: Final = 0.2
_STATUS_EVERY_S: Final = 2.0
"""Serve's account of itself takes a twentieth of a second here and in its controller, while replicas want to start."""
_LEAVE_S: Final = 10.0
"""What an application may need beyond the time its replicas have to finish."""
_DEFAULT_GRACE_S: Final = 20.0
_SERVE_SHUTDOWN_S: Final = 15.0


def read_config(path: Path) -> ServeDeploySchema:
    """The Serve configuration in a file. Raises CommandFailed with everything that is wrong."""
    try:
        return load_config(path)
    except InvalidPlacement as error:
        raise CommandFailed(f"{' '.join(str(error).split())}.") from None


class Placed:
    """The applications of one configuration on the running Ray."""

    def __init__(self, config: ServeDeploySchema, cluster: Cluster) -> None:
        self._config = config
        self._cluster = cluster

    def place(self) -> None:
        """Start Serve and submit the applications that somebody waits for."""
        self._deploy([each for each in self._config.applications if each.import_path != _MODELS])

    def place_models(self) -> None:
        """Submit the models too: nobody waits for them, and meanwhile they would take the processors from the rest."""
        if any(each.import_path == _MODELS for each in self._config.applications):
            self._deploy(self._config.applications)

    def _deploy(self, applications: list[ServeApplicationSchema]) -> None:
        try:
            deploy_config(self._config.model_copy(update={"applications": applications}))
        except Exception as error:
            raise CommandFailed(f"Serve refused the applications: {' '.join(str(error).split())}") from error

    def wait_ready(self, url: str) -> None:
        """Return when the edge at `url` says that every part can take requests.

        Raises CommandFailed with the state of what is not running, at the deadline or as soon as Serve gives up.
        """
        began = looked = time.monotonic()
        # Plain http on this machine: to load the certificates that others are trusted by takes as long as to ask.
        with httpx.Client(timeout=5.0, trust_env=False, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)) as client:
            while not _answers(client, url):
                if failure := self._cluster.failure():
                    raise CommandFailed(failure)
                now = time.monotonic()
                if now - looked > _STATUS_EVERY_S:
                    looked = now
                    self._require_progress(late=now - began > _READY_S)
                time.sleep(_POLL_S)

    def _require_progress(self, *, late: bool) -> None:
        """Raise CommandFailed with the state of what is not running when Serve has given up, or the time is over."""
        status = serve.status()
        failed = any(app.status == ApplicationStatus.DEPLOY_FAILED for app in status.applications.values())
        if failed or late:
            first = "Serve could not start the platform." if failed else f"Not ready within {_READY_S:g} s."
            raise CommandFailed(first, *_complaints(status), f"The logs are in {self._cluster.log_dir}.")

    def stop(self, steps: Steps, signals: Signals) -> None:
        """Let the applications finish what they do, last in the configuration first, then end Serve."""
        for application in reversed(self._config.applications):
            if signals.hurried or self._cluster.failure() is not None:
                return
            graces = [
                deployment.graceful_shutdown_timeout_s
                for deployment in application.deployments
                if isinstance(deployment.graceful_shutdown_timeout_s, float)
            ]
            with steps.step(f"Let {application.name} finish"):
                _leave(application.name, max(graces, default=_DEFAULT_GRACE_S) + _LEAVE_S, signals)
        with steps.step("Stop Serve"):
            signals.bounded(serve.shutdown, _SERVE_SHUTDOWN_S)


def _leave(name: str, timeout_s: float, signals: Signals) -> None:
    deadline = time.monotonic() + timeout_s

    def leave() -> None:
        serve.delete(name, _blocking=False)
        while name in serve.status().applications and time.monotonic() < deadline:
            time.sleep(_POLL_S)

    signals.bounded(leave, timeout_s)


def _answers(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(f"{url}/health/ready").status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _complaints(status: ServeStatus) -> list[str]:
    """A sentence for each application and deployment that does not run, from what Serve knows."""
    found = []
    for name, application in status.applications.items():
        if application.status != ApplicationStatus.RUNNING:
            found.append(_sentence(name, application.status, application.message))
        for deployment, state in application.deployments.items():
            if state.message:
                found.append(_sentence(f"{name}/{deployment}", state.status, state.message))
    return found


def _sentence(name: str, status: str, message: str) -> str:
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    # Of a traceback, the last line is the one that says what is wrong.
    return f"{name} is {str(getattr(status, 'value', status)).lower()}: {lines[-1] if lines else 'no reason given'}"
