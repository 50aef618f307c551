"""What the doctor says of settings: names, values, secrets, addresses, placement."""

import http.server
import socket
import threading
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from serve_app.cli.doctor import addresses, placement, secrecy, variables
from serve_app.cli.doctor.finding import Severity
from serve_app.ray_environment import RAY_ENVIRONMENT
from serve_app.settings import Settings
from tests.serve_app.cli.doctor.looking import CLUSTER, installation, worst

GOOD_KEY = "f3a90c1be7d24586" * 4
ANYWHERE = str(IPv4Address(0))
PUBLIC = {"host": ANYWHERE, "public_url": "https://forms.example.com", "trusted_proxies": 1}


class TestVariables:
    def test_a_misspelt_name_is_told_the_nearest(self) -> None:
        found = worst(variables.names({"FORMSTREAM_DATABSE_URL": "x", "FORMSTREAM_PORT": "1"}), "settings.names")
        assert (found.severity, found.cure) == (Severity.WARNING, "Did you mean FORMSTREAM_DATABASE_URL?")
        assert "FORMSTREAM_DATABSE_URL" in found.says

    def test_names_that_are_read_are_fine(self) -> None:
        known = {"FORMSTREAM_PORT": "1", "FORMSTREAM_SERVE_CONFIG": "f", "formstream_host": "h", "OTHER": "1"}
        assert worst(variables.names(known), "settings.names").severity is Severity.OK

    def test_values_that_nothing_starts_with(self) -> None:
        found = list(variables.values(Settings(secret_key="short", database_url="nonsense")))
        assert [each.severity for each in found] == [Severity.ERROR] * 2
        assert worst(variables.values(Settings()), "settings.values").severity is Severity.OK

    @pytest.mark.parametrize("exception", ["", "localhost,db.internal"])
    def test_a_proxy_between_rays_processes(self, exception: str) -> None:
        environment = {"https_proxy": "http://proxy:3128", "NO_PROXY": exception}
        assert variables.proxies(environment).severity is Severity.WARNING
        assert variables.proxies(environment | {"NO_PROXY": "127.0.0.1,localhost"}).severity is Severity.OK

    @pytest.mark.parametrize(
        ("environment", "embedded", "severity"),
        [
            ({}, True, Severity.OK),
            ({}, False, Severity.ERROR),
            ({"RAY_AUTH_MODE": "disabled"}, True, Severity.ERROR),
            ({"RAY_AUTH_MODE": "token"}, False, Severity.ERROR),
            ({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": "/run/token"}, False, Severity.OK),
            ({"RAY_AUTH_TOKEN": "x"}, True, Severity.ERROR),
        ],
    )
    def test_ray_without_a_token(self, environment: dict[str, str], embedded: bool, severity: Severity) -> None:
        assert variables.ray_token(environment, embedded=embedded).severity is severity

    def test_ray_with_other_variables(self) -> None:
        assert variables.ray_variables(RAY_ENVIRONMENT).severity is Severity.OK
        found = variables.ray_variables({"RAY_SERVE_THROUGHPUT_OPTIMIZED": "0"})
        assert (found.severity, "RAY_SERVE_THROUGHPUT_OPTIMIZED=1" in found.cure) == (Severity.WARNING, True)


class TestSecrets:
    @pytest.mark.parametrize("key", ["a" * 40, "please-change-me-to-something-random"])
    def test_a_key_that_can_be_guessed(self, tmp_path: Path, key: str) -> None:
        found = worst(secrecy.secret_key(installation(tmp_path, secret_key=key)), "secret.key")
        assert found.severity is Severity.ERROR
        assert key not in found.says + found.cure

    def test_no_key_on_a_cluster(self, tmp_path: Path) -> None:
        cluster = installation(tmp_path, serve_config=CLUSTER)
        assert worst(secrecy.secret_key(cluster), "secret.key").severity is Severity.ERROR
        assert worst(secrecy.secret_key(installation(tmp_path)), "secret.key").severity is Severity.OK

    def test_another_key_than_before(self, tmp_path: Path) -> None:
        (tmp_path / "secret.key").write_text("the one that everything was encrypted with\n")
        found = worst(secrecy.secret_key(installation(tmp_path, secret_key=GOOD_KEY)), "secret.key-changed")
        assert found.severity is Severity.WARNING

    def test_files_that_others_may_read(self, tmp_path: Path) -> None:
        folder = tmp_path / "data"
        folder.mkdir(mode=0o700)
        (folder / "secret.key").touch(mode=0o600)
        assert secrecy.permissions(folder).severity is Severity.OK
        (folder / "secret.key").chmod(0o644)
        assert secrecy.permissions(folder).cure == f"chmod 600 {folder / 'secret.key'}"
        folder.chmod(0o755)
        assert secrecy.permissions(folder).cure == f"chmod 700 {folder}"

    def test_the_first_password_is_still_in_its_file(self, tmp_path: Path) -> None:
        (tmp_path / "admin.json").touch()
        assert secrecy.administrator(installation(tmp_path, **PUBLIC)).severity is Severity.WARNING
        # On a laptop it is where people look for it.
        assert secrecy.administrator(installation(tmp_path)).severity is Severity.OK

    def test_a_password_that_is_easy_to_guess(self, tmp_path: Path) -> None:
        def severity(password: str) -> Severity:
            return secrecy.administrator_password(installation(tmp_path, admin_password=password)).severity

        assert severity("password12345") is Severity.ERROR
        assert severity("quiet-harbour-7-lantern-oboe") is Severity.OK


class TestAddresses:
    async def test_a_port_that_another_program_has(self) -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            port = other.getsockname()[1]
            assert (await addresses.port(Settings(port=port))).severity is Severity.ERROR
        assert (await addresses.port(Settings(port=port))).severity is Severity.OK

    async def test_a_port_that_the_platform_has(self) -> None:
        class Platform(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("X-API-Version", "1")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Says nothing."""

        with http.server.HTTPServer(("127.0.0.1", 0), Platform) as server:
            thread = threading.Thread(target=server.handle_request)
            thread.start()
            found = await addresses.port(Settings(port=server.server_port))
            thread.join()
        assert found.severity is Severity.OK

    @pytest.mark.parametrize(
        ("values", "check", "severity"),
        [
            ({}, "address.public-url", Severity.OK),
            ({"host": ANYWHERE}, "address.public-url", Severity.ERROR),
            ({"public_url": "http://forms.example.com"}, "address.public-url", Severity.ERROR),
            (PUBLIC, "address.public-url", Severity.OK),
            (PUBLIC, "address.trusted-proxies", Severity.OK),
            (PUBLIC | {"trusted_proxies": 0}, "address.trusted-proxies", Severity.ERROR),
            (PUBLIC | {"public_url": ""}, "address.trusted-proxies", Severity.ERROR),
            ({"console_origins": "https://console.example.com"}, "address.console-origins", Severity.OK),
            ({"console_origins": "https://console.example.com/"}, "address.console-origins", Severity.ERROR),
            ({"console_origins": "http://console.example.com"}, "address.console-origins", Severity.ERROR),
            ({"console_origins": "*"}, "address.console-origins", Severity.ERROR),
            ({"smtp_url": "smtp://mail.example.com"}, "mail.sender", Severity.WARNING),
            ({"smtp_url": "smtp://mail.example.com", "mail_from": "F <f@example.com>"}, "mail.sender", Severity.OK),
            ({"egress_allow": "10.1.0.0/16"}, "webhooks.egress", Severity.OK),
            ({"egress_allow": "0.0.0.0/0"}, "webhooks.egress", Severity.ERROR),
            ({"egress_allow": "169.254.0.0/16"}, "webhooks.egress", Severity.ERROR),
            ({"egress_allow": "127.0.0.0/8"}, "webhooks.egress", Severity.OK),
            (PUBLIC | {"egress_allow": "127.0.0.0/8"}, "webhooks.egress", Severity.WARNING),
        ],
    )
    async def test_addresses(self, tmp_path: Path, values: dict[str, Any], check: str, severity: Severity) -> None:
        found = worst(await addresses.examine(installation(tmp_path, port=0, **values)), check)
        assert found.severity is severity, found


@pytest.mark.filterwarnings("ignore:The `metrics_interval_s` field:DeprecationWarning")
class TestPlacement:
    async def test_a_key_that_serve_would_ignore(self, tmp_path: Path) -> None:
        file = tmp_path / "serve_config.yaml"
        file.write_text(CLUSTER.read_text().replace("proxy_location", "proxy_locaton"))
        (found,) = await placement.examine(installation(tmp_path, serve_config=file))
        assert (found.severity, "proxy_locaton" in found.says) == (Severity.ERROR, True)

    async def test_ours_are_fine(self, tmp_path: Path) -> None:
        for config in (None, CLUSTER):
            (found,) = await placement.examine(installation(tmp_path, serve_config=config))
            assert found.severity is Severity.OK

    def test_replicas_with_a_pool_are_counted(self) -> None:
        assert placement.pools(None) == placement.Pools(2, 2)
        cluster = placement.pools(CLUSTER)
        assert cluster.least == 12
        assert cluster.most > cluster.least
