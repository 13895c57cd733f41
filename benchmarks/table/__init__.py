"""The whole table of docs/performance.md: `benchmarks/run` makes it. What is measured is in the scripts beside."""
