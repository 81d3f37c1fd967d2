"""What we claim, measured: each `bench_<name>.py` has its cases, `run.py` their rounds, `results/` their figures."""
