"""The environment: what its variables are called and hold."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Final

from serve_app.cli.doctor.finding import Finding, doubtful, fine, wrong
from serve_app.cli.doctor.installation import Installation
from serve_app.cli.preflight import problems
from serve_app.ray_environment import RAY_ENVIRONMENT
from serve_app.settings import Settings

_PREFIX: Final = "FORMSTREAM_"
_ELSEWHERE: Final = frozenset({"FORMSTREAM_SERVE_CONFIG"})
"""Read by others than the settings: the image's entry point."""
_PROXIES: Final = ("http_proxy", "https_proxy", "grpc_proxy", "all_proxy")
_RAY_TOKENS: Final = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


async def examine(installation: Installation) -> list[Finding]:
    """Look at the variables of the environment."""
    settings, environment = installation.settings, installation.environment
    return [
        *values(settings),
        *names(environment),
        proxies(environment),
        ray_token(environment, embedded=installation.embedded),
        ray_variables(environment),
    ]


def values(settings: Settings) -> Iterator[Finding]:
    """What every command refuses to start with."""
    found = problems(settings)
    for sentence in found:
        yield wrong("settings.values", sentence, "docs/settings.md says what each setting takes.")
    if not found:
        yield fine("settings.values", "Every setting has a value that can be used.")


def names(environment: Mapping[str, str]) -> Iterator[Finding]:
    """A variable that nobody reads is a setting that somebody believes in."""
    known = {f"{_PREFIX}{field.upper()}" for field in Settings.model_fields} | _ELSEWHERE
    # As pydantic reads them: in any case.
    unknown = sorted(name for name in environment if name.upper().startswith(_PREFIX) and name.upper() not in known)
    for name in unknown:
        near = difflib.get_close_matches(name.upper(), known, n=1)
        cure = f"Did you mean {near[0]}?" if near else "Remove it; docs/settings.md lists all settings."
        yield doubtful("settings.names", f"{name} is set, and nothing reads it.", cure)
    if not unknown:
        yield fine("settings.names", f"Every variable that begins with {_PREFIX} is a setting.")


def proxies(environment: Mapping[str, str]) -> Finding:
    """gRPC, which Ray speaks, sends even what is for this machine to a proxy of the environment."""
    name = "environment.proxies"
    lower = {key.lower(): value for key, value in environment.items()}
    given = [key for key in _PROXIES if lower.get(key)]
    direct = {host.strip() for host in lower.get("no_proxy", "").split(",")}
    if given and not direct & {"*", "127.0.0.1"}:
        return doubtful(
            name,
            f"{', '.join(given)} is set, and no_proxy does not name 127.0.0.1: Ray may send its own calls there.",
            "Set NO_PROXY=127.0.0.1,localhost and the network of the cluster, or unset the proxy. Webhooks use none.",
        )
    return fine(name, "No proxy is between the processes.")


def ray_token(environment: Mapping[str, str], *, embedded: bool) -> Finding:
    """Who reaches Ray's ports runs code, unless a token is asked for."""
    name = "ray.token"
    mode = environment.get("RAY_AUTH_MODE", "")
    token = any(environment.get(each) for each in _RAY_TOKENS)
    if mode == "token" and not token and not embedded:
        return wrong(name, "RAY_AUTH_MODE=token without a token.", "Set RAY_AUTH_TOKEN_PATH, the same on every node.")
    if mode == "token" or (embedded and not mode and not token):
        return fine(name, "Ray's interfaces ask for a token.")
    return wrong(
        name,
        f"RAY_AUTH_MODE is {mode or 'not set'}: whoever reaches Ray's ports runs code here.",
        "Set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH on every node.",
    )


def ray_variables(environment: Mapping[str, str]) -> Finding:
    """Ray reads them once, and what is measured was measured with these."""
    name = "ray.variables"
    others = {key: environment[key] for key, value in RAY_ENVIRONMENT.items() if environment.get(key, value) != value}
    if others:
        said = ", ".join(f"{key}={value}" for key, value in others.items())
        wanted = ", ".join(f"{key}={RAY_ENVIRONMENT[key]}" for key in others)
        return doubtful(name, f"{said} is not what Formstream runs with.", f"Unset it, or set {wanted}.")
    return fine(name, "Ray's variables are those that Formstream runs with.")
