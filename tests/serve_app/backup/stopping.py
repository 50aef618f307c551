"""A process that backs up or restores and stops at a call: `python -m … backup|restore PLACE module:name COUNT`.

At the COUNTth call of the function it says so, and waits to be killed. The settings are those of the environment.
"""

import asyncio
import functools
import importlib
import sys
from typing import Any

from serve_app.backup.making import back_up
from serve_app.backup.places import backup_at
from serve_app.backup.restoring import restore
from serve_app.settings import Settings


def stop_at(place: str, count: int) -> None:
    module, _, path = place.partition(":")
    *owners, name = path.split(".")
    owner: Any = importlib.import_module(module)
    for each in owners:
        owner = getattr(owner, each)
    called = getattr(owner, name)
    left = count

    @functools.wraps(called)
    def stopping(*arguments: Any, **named: Any) -> Any:
        nonlocal left
        left -= 1
        if left == 0:
            sys.stdout.write("here\n")
            sys.stdout.flush()
            sys.stdin.read()
        return called(*arguments, **named)

    setattr(owner, name, stopping)


if __name__ == "__main__":
    action, place, function, number = sys.argv[1:]
    stop_at(function, int(number))
    if action == "backup":
        asyncio.run(back_up(Settings(), place))
    else:
        asyncio.run(restore(Settings(), backup_at(Settings(), place)))
    sys.stdout.write("done\n")
