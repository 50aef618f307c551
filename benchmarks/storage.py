"""What a response of ten fields and its event take on the disk, table by table, indexes included.

`python -m benchmarks.storage [--database sqlite|postgresql] [--rows 20000] [--seconds 4] [--out FILE]`

So many responses are put into a form in bulk; what is told is the growth by each of them. What the stream takes is seen
while some are submitted.
"""

import argparse
from pathlib import Path

from sqlalchemy import text

from benchmarks.books import balance
from benchmarks.command import parser_of, run
from benchmarks.figures import Figure
from benchmarks.form import Form, running
from benchmarks.growth import grow
from db.engine import owner_engine
from db.settings import DatabaseSettings

_SQLITE = (
    "SELECT master.tbl_name, sum(pages.pgsize) FROM dbstat AS pages JOIN sqlite_master AS master "
    "ON master.name = pages.name GROUP BY master.tbl_name"
)
_POSTGRESQL = (
    "SELECT relname, pg_total_relation_size(oid) FROM pg_class "
    "WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
)


async def measure(database: str, given: argparse.Namespace) -> list[Figure]:
    """Measure one database and print a table."""
    with running(database) as platform:
        form = await Form.of(platform, "bench")
        # The first ones fill what every table takes however little is in it.
        form.load(16, 2)
        await balance(form)
        before, streamed = form.answered, _streamed(platform.data_dir)
        form.load(16, given.seconds)
        await balance(form)
        streamed = (_streamed(platform.data_dir) - streamed) / (form.answered - before)
        platform.stop()
        half = max(given.rows // 2, form.answered + form.unanswered)
        await grow(form, half)
        small = await _sizes(platform.database)
        await grow(form, half + given.rows)
        grown = {name: (size - small[name]) / given.rows for name, size in (await _sizes(platform.database)).items()}
        await form.client.aclose()
    print(f"\n{database}: bytes for each response of ten fields and its event\n| where | bytes |\n|---|---|")
    for name, size in sorted(grown.items(), key=lambda item: -item[1]):
        if size >= 1:
            print(f"| {name} | {size:,.0f} |")
    print(f"| all of the database | {sum(grown.values()):,.0f} |\n| stream | {streamed:,.0f} |", flush=True)
    under = f"database={database}"
    tables = [Figure("bytes", f"{under} table={name}", size, "B/response") for name, size in grown.items() if size >= 1]
    return [
        *tables,
        Figure("bytes", under, sum(grown.values()), "B/response"),
        Figure("bytes of the stream", under, streamed, "B/event"),
    ]


def _streamed(data_dir: Path) -> int:
    return sum(file.stat().st_size for file in (data_dir / "nats").rglob("*.blk"))


async def _sizes(settings: DatabaseSettings) -> dict[str, int]:
    """Bytes of each table with its indexes."""
    engine = owner_engine(settings)
    try:
        async with engine.connect() as connection:
            found = await connection.execute(text(_SQLITE if settings.is_sqlite else _POSTGRESQL))
            return {name: int(size) for name, size in found}
    finally:
        await engine.dispose()


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--seconds", type=int, default=4)
    run(parser, measure)


if __name__ == "__main__":
    main()
