"""What became of jobs by kind, over all tenants. For unscoped transactions."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, select
from sqlmodel import col

from db.models.jobs import JobTally
from db.repositories.upsert import upsert


@dataclass(slots=True)
class Tally:
    """Attempts that ended in one way, and the seconds that they took and waited, in all."""

    attempts: int = 0
    duration_s: float = 0.0
    lag_s: float = 0.0

    def __iadd__(self, other: "Tally") -> "Tally":
        self.attempts += other.attempts
        self.duration_s += other.duration_s
        self.lag_s += other.lag_s
        return self


def add_tallies(connection: Connection, tallies: Mapping[tuple[str, str], Tally]) -> None:
    """Add to what is there, by kind and outcome."""
    # In one order, so that workers that add at the same moment wait for each other and do not lock each other out.
    for (kind, outcome), tally in sorted(tallies.items(), key=lambda item: item[0]):
        row = {"attempts": tally.attempts, "duration_s": tally.duration_s, "lag_s": tally.lag_s}
        insert = upsert(connection, JobTally).values(kind=kind, outcome=outcome, **row)
        connection.execute(
            insert.on_conflict_do_update(
                index_elements=["kind", "outcome"],
                set_={name: getattr(JobTally, name) + insert.excluded[name] for name in row},
            )
        )


def all_tallies(connection: Connection) -> dict[tuple[str, str], Tally]:
    """Everything that was counted, by kind and outcome."""
    columns = col(JobTally.kind), col(JobTally.outcome), col(JobTally.attempts)
    rows = connection.execute(select(*columns, col(JobTally.duration_s), col(JobTally.lag_s)))
    return {(kind, outcome): Tally(attempts, duration, lag) for kind, outcome, attempts, duration, lag in rows}
