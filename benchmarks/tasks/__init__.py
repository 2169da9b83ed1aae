"""What a task that does nothing costs, beside Celery, Dramatiq, huey and taskiq -> a table: ``make bench-tasks``.

A round fills the queue of one of them, starts its worker and looks on from outside (``clocking``): the tasks themselves
note the time in a file that is shared memory (``stamps``), and a round is over when the broker holds nothing that
waits or is not acknowledged. ``ours`` and ``peers`` start and fill, ``with_*`` are the peers' applications, which run
in a virtual environment of their own (``requirements.txt``). ``bounds`` says what ours has to reach.
"""
