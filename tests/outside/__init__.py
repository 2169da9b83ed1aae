"""Suites of others, fetched when they are run, against our Tasks backend: `make outside`."""
