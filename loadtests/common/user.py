"""A user who knows the run's tenant."""

import random
from collections.abc import Callable
from typing import Any

from locust import FastHttpUser, between

from loadtests.common import verdict
from loadtests.common.tenant import tenant_at
from loadtests.settings import haste

verdict.listen()


def thinking(least_s: float, most_s: float) -> Callable[[Any], float]:
    """The pause of a person, shorter where the run makes haste."""
    return between(least_s / haste(), most_s / haste())


class FormUser(FastHttpUser):
    """Somebody with a connection of their own. Requests are given up after ten seconds.

    `whose` stands before the names of the requests; who `may_be_shed` takes 429 and 503 for an answer.
    """

    abstract = True
    network_timeout = 10.0
    connection_timeout = 10.0
    whose = ""
    may_be_shed = False

    def on_start(self) -> None:
        """Find the tenant; the first user of the process makes it."""
        self.chance = random.Random()
        self.tenant = tenant_at(self.host)
