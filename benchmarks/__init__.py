"""What `nox -s benchmark` runs: measures, and writes the result tables."""
