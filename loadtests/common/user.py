"""A user who knows the run's tenant."""

import random

from locust import FastHttpUser

from loadtests.common.tenant import tenant_at


class FormUser(FastHttpUser):
    """Somebody with a connection of their own. Requests are given up after ten seconds."""

    abstract = True
    network_timeout = 10.0
    connection_timeout = 10.0

    def on_start(self) -> None:
        """Find the tenant; the first user of the process makes it."""
        self.chance = random.Random()
        self.tenant = tenant_at(self.host)
