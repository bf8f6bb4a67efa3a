"""Several hosts used as one, measured: `python -m benchmarks.fleet NAME`."""
