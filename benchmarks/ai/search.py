"""The index of answers by meaning: how fast it is made and asked, what it needs, and how much it misses.

`python -m benchmarks.ai.search DATA [--rows 1000000] [--queries 500] [--threads 2]`

The vectors are made of real ones: each is a mixture of the directions of two texts of Banking77 and noise, since that
data has only 10,003 texts. The queries are mixtures too, of texts that no row is made of. Nothing but the index is
measured: reading the responses that were found takes a few milliseconds more.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.ai.texts import banking_texts
from benchmarks.machine import describe
from deployments.inference.search.index import VectorIndex
from deployments.kit.vectors import Bytes, Vectors, small
from deployments.models import minilm
from deployments.models.encoder import Encoder
from deployments.models.registry import Registry

_TEXTS = 2_000
_QUERIED = 200
_PIECE = 20_000
_NOISE = 0.5
_TEN = 10


def run(data: Path, rows: int = 1_000_000, queries: int = 500, threads: int = 2) -> None:
    """Measure and print a table."""
    with tempfile.TemporaryDirectory() as folder:
        registry = Registry(Path(folder))
        minilm.build(registry)
        texts = banking_texts(data)
        wanted = min(_TEXTS, rows) + _QUERIED
        real = Encoder(registry, threads=threads).embed(texts[:: len(texts) // wanted][:wanted])
    rng = np.random.default_rng(7)
    index, kept, took = VectorIndex("measured", exact_below=0), np.empty((rows, real.shape[1]), dtype=np.int8), 0.0
    for start in range(0, rows, _PIECE):
        piece = small(_mixed(real[:-_QUERIED], min(_PIECE, rows - start), rng))
        kept[start : start + len(piece)] = piece
        began = time.perf_counter()
        index.put(range(start, start + len(piece)), piece, threads)
        took += time.perf_counter() - began
    asked = small(_mixed(real[-_QUERIED:], queries, rng))
    times, found = [], 0
    for query in asked:
        began = time.perf_counter()
        near = index.nearest(query, _TEN)
        times.append((time.perf_counter() - began) * 1000)
        found += len({each.number for each in near} & _exactly(kept, query))
    cuts = statistics.quantiles(times, n=100)
    began = time.perf_counter()
    file = index.file()
    written = time.perf_counter() - began
    began = time.perf_counter()
    VectorIndex.of_file(file)
    read = time.perf_counter() - began
    print("| rows | made, rows/s | search p50 ms | p95 ms | p99 ms | recall@10 | index MiB | file MiB |")
    print("|---|---|---|---|---|---|---|---|")
    print(
        f"| {rows:,} | {rows / took:,.0f} | {cuts[49]:.2f} | {cuts[94]:.2f} | {cuts[98]:.2f} "
        f"| {found / queries / _TEN:.3f} | {index.memory / 2**20:,.0f} "
        f"| {len(file) / 2**20:,.0f} |"
    )
    print(f"written in {written:.1f} s, loaded in {read:.1f} s; {threads} threads made it, one was asked")


def _mixed(real: Vectors, count: int, rng: np.random.Generator) -> Vectors:
    first, second = real[rng.integers(0, len(real), count)], real[rng.integers(0, len(real), count)]
    share = rng.uniform(0.5, 1.0, (count, 1)).astype(np.float32)
    noise = rng.normal(size=first.shape).astype(np.float32) * (_NOISE / np.sqrt(first.shape[1]))
    mixed: Vectors = share * first + (1 - share) * second + noise.astype(np.float32)
    return mixed


def _exactly(kept: Bytes, query: Bytes) -> set[int]:
    """The ten nearest, every row compared."""
    scores = np.empty(len(kept), dtype=np.float32)
    one = query.astype(np.float32)
    for start in range(0, len(kept), _PIECE):
        piece = kept[start : start + _PIECE].astype(np.float32)
        scores[start : start + len(piece)] = (piece @ one) / np.linalg.norm(piece, axis=1)
    return {int(number) for number in np.argpartition(-scores, _TEN)[:_TEN]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    print(describe(), flush=True)
    run(arguments.data, arguments.rows, arguments.queries, arguments.threads)


if __name__ == "__main__":
    main()
