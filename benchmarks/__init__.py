"""What the broker costs -> a table of ratios: ``python -m benchmarks``, or ``make bench``.

Every figure is a ratio to the plain call that does the same work (redis-py, SQL, Pub/Sub), measured in the same run,
turn and turn about, so that it holds on any machine and on a busy one. `bounds.py` says what must be reached, each
other module measures one figure, and a figure that misses its bound makes the exit status 1.
"""
