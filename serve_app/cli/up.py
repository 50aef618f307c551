"""`formstream up`: everything that the platform needs, started in order, watched, and stopped in reverse."""

import logging
import os
import sys
import time
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from deployments.identity.bootstrap import GeneratedAdministrator
from eventing.server import EmbeddedServer
from serve_app.backup.restoring import require_whole
from serve_app.cli import database, models
from serve_app.cli.environment import export, ray_token_file
from serve_app.cli.failure import CommandFailed
from serve_app.cli.instance import InstanceLock
from serve_app.cli.preflight import check_address, check_data_dir, load_settings
from serve_app.cli.processes import ProcessTree
from serve_app.cli.signals import Signals, Stopped
from serve_app.cli.steps import Steps
from serve_app.ray_environment import prepare_ray_environment
from serve_app.settings import Settings
from serve_app.starting import without_collections

_TICK_S: Final = 0.25
_NOTE_EVERY_S: Final = 5.0


def run(*, dashboard: bool, config_file: Path | None, console: Console) -> None:
    """Start the platform and return after a signal has stopped it. Raises CommandFailed when it cannot go on."""
    started = time.monotonic()
    settings = load_settings()
    steps = Steps(console)
    with Signals() as signals:
        try:
            with ExitStack() as stack:
                platform = Platform(settings, stack, steps, signals)
                platform.start(dashboard=dashboard, config_file=config_file)
                signals.started()
                platform.announce(console, time.monotonic() - started)
                platform.watch()
                console.print("Stopping; again to stop at once.")
        except Stopped:
            console.print("Stopped before it was ready.")
        else:
            console.print("Stopped.")


class Platform:
    """Every part of it; what is started is put on `stack`, which stops it in reverse whatever happens."""

    def __init__(self, settings: Settings, stack: ExitStack, steps: Steps, signals: Signals) -> None:
        self._settings = settings
        self._stack = stack
        self._steps = steps
        self._signals = signals
        self._tree = ProcessTree(settings.data_dir / "processes.json")
        self._generated: GeneratedAdministrator | None = None
        self._without_models: str | None = None

    def start(self, *, dashboard: bool, config_file: Path | None) -> None:
        """Return when the platform takes requests. Raises CommandFailed."""
        settings, step = self._settings, self._steps.step
        with step("Check the machine"):
            check_data_dir(settings.data_dir)
            self._stack.enter_context(InstanceLock(settings.data_dir))
            # Before a secret key is made, which would be another one than the backup's.
            require_whole(settings.data_dir)
            self._tree.stop_leftovers()
            self.port = check_address(settings.host, settings.port)
            export(settings, self.port)
        with step("Prepare the database"):
            self._generated = database.prepare(settings)
        self._without_models = models.prepare(settings, self._steps)
        self._divert_output(settings.data_dir / "launcher.log")
        self._stack.callback(self._tree.stop)
        if not settings.nats_url.get_secret_value():
            with step("Start NATS"):
                nats = EmbeddedServer(settings.data_dir / "nats")
                nats.start()
                self._stack.callback(self._stop_nats, nats)
                os.environ["FORMSTREAM_NATS_URL"] = nats.url
        self._start_applications(dashboard=dashboard, config_file=config_file)

    def _start_applications(self, *, dashboard: bool, config_file: Path | None) -> None:
        prepare_ray_environment()
        with self._steps.step("Read the configuration"):
            # Ray reads its environment when it is imported, so not before now.
            with without_collections():
                from serve_app.cli.cluster import Cluster
                from serve_app.cli.placed import Placed, read_config
                from serve_app.placement import EMBEDDED_CONFIG

            config = read_config(config_file or EMBEDDED_CONFIG)
        self.cluster = Cluster()
        with self._steps.step("Start Ray with its dashboard" if dashboard else "Start Ray"):
            self._stack.callback(self._stop_ray)
            self.cluster.start(self._signals, dashboard=dashboard)
            self._tree.note()
        placed = Placed(config, self.cluster)
        self._stack.callback(placed.stop, self._steps, self._signals)
        with self._steps.step("Place the applications"):
            placed.place()
        with self._steps.step("Wait until every part is ready"):
            placed.wait_ready(self.url)
        placed.place_models()
        self._tree.note()

    @property
    def url(self) -> str:
        """The address of the edge as this machine reaches it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._settings.host, self._settings.host)  # noqa: S104
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def watch(self) -> None:
        """Return at a signal. Raises CommandFailed when Ray's head is gone, so that a supervisor starts us again."""
        noted = time.monotonic()
        while not self._signals.stopping:
            time.sleep(_TICK_S)
            if failure := self.cluster.failure():
                raise CommandFailed(failure)
            if time.monotonic() - noted > _NOTE_EVERY_S:
                self._tree.note()
                noted = time.monotonic()

    def announce(self, console: Console, seconds: float) -> None:
        """Print where everything is, last a line that begins with Ready."""
        rows = [
            ("API", f"{self.url}/api/v1"),
            ("Documentation", f"{self.url}/api/v1/docs"),
            ("Metrics", f"{self.url}/metrics"),
        ]
        if self.cluster.dashboard_url:
            token = ray_token_file(self._settings)
            hint = f", token in {token}" if os.environ.get("RAY_AUTH_TOKEN_PATH") == str(token) else ""
            rows.append(("Ray dashboard", f"{self.cluster.dashboard_url}{hint}"))
        rows += [("Data", str(self._settings.data_dir)), ("Logs", str(self.cluster.log_dir))]
        kept = database.administrator_file(self._settings)
        if self._generated is not None:
            rows.append(
                ("Administrator", f"{self._generated.email}, password {self._generated.password} (kept in {kept})")
            )
        elif kept.exists():
            rows.append(("Administrator", f"see {kept}"))
        if self._without_models is not None:
            rows.append(("AI", self._without_models))
        console.print()
        for name, value in rows:
            console.print(Text.assemble((f"  {name:<15}", "bold"), value), soft_wrap=True)
        console.print()
        console.print(Text(f"Ready in {seconds:.1f} s. Ctrl-C stops everything.", "bold green"), soft_wrap=True)

    def _divert_output(self, log: Path) -> None:
        """Send what Ray prints in this process to a file, and the warnings of NATS' supervisor to the console.

        The file stays open: Ray's threads and loggers write to it until the very end.
        """
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
        logging.getLogger("eventing").addHandler(handler)
        output = log.open("w", buffering=1)
        self._stack.enter_context(redirect_stdout(output))
        self._stack.enter_context(redirect_stderr(output))

    def _stop_nats(self, nats: EmbeddedServer) -> None:
        with self._steps.step("Stop NATS"):
            nats.stop()

    def _stop_ray(self) -> None:
        with self._steps.step("Stop Ray"):
            self._tree.note()
            self.cluster.stop(self._signals)
