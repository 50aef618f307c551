"""`python -m benchmarks`: every benchmark, one after the other."""

from benchmarks.submissions import main

main()
