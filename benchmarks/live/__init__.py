"""What thousands of open streams cost -> a table beside other servers: ``make bench-live``.

``load`` is the crowd of browsers, one light process, which ``crowd`` drives. ``ours``, ``nchan`` and ``eventstream``
start a server each, ``figures`` measures them all by the same steps, ``bounds`` says what ours has to reach.
"""
