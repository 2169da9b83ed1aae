"""The live streams under everything that goes wrong at once: ``make stress``, ``python -m tests.stress``.

``world`` has a real broker and a real web process, ``client`` connects and reconnects as a browser does and writes down
what it sees, ``truth`` knows what was in the log and judges that, ``run`` lets things go wrong, ``probed`` is the site
with a page that says what is left over in its process.
"""
