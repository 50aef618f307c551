"""The way to a deployment over a Ray Serve handle, with Ray's failures in the platform's words."""

import asyncio
from typing import Any

import structlog
from grpc import RpcError  # type: ignore[import-untyped]
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayError, WorkerCrashedError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError, RequestCancelledError
from ray.serve.handle import DeploymentHandle

from deployments.kit.errors import DeadlineExceeded, TooManyRequests, Unavailable
from serve_app.edge.dispatch import Send

log = structlog.get_logger(__name__)

_GONE = (DeploymentUnavailableError, ActorDiedError, ActorUnavailableError, WorkerCrashedError)


def ray_sender(handle: "DeploymentHandle[Any]") -> Send:
    """Send batches to the deployment's method `call(batch: bytes) -> bytes`.

    Cancelling a send cancels the work in the replica, which awaiting a response alone would not. Nothing is sent
    twice: a replica that died may have done the work.
    """

    async def send(batch: bytes) -> bytes:
        response = handle.call.remote(batch)
        try:
            answer: bytes = await response
        except asyncio.CancelledError:
            response.cancel()  # type: ignore[no-untyped-call]
            raise
        except BackPressureError as error:
            retry_after = getattr(error, "retry_after_s", None) or 1.0
            refused = TooManyRequests if getattr(error, "status_code", 503) == 429 else Unavailable
            raise refused(retry_after=float(retry_after)) from error
        except _GONE as error:
            raise Unavailable(retry_after=1.0) from error
        except RequestCancelledError as error:
            raise DeadlineExceeded from error
        except (RayError, RpcError) as error:
            log.exception("message failed")
            raise Unavailable(retry_after=1.0) from error
        return answer

    return send
