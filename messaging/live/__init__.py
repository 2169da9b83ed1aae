"""The log -> the browsers: one reader a process, frames encoded once, shared by everybody who asks for the same.

The path of a message: ``reader`` (over ``link``) ``hub`` ``ring`` ``feed`` ``stream`` ``writing``. A client that begins
or comes back: ``asgi`` ``query`` ``access`` ``replay``, which reads ``history`` and ``stored``. ``ticker`` keeps time,
``stopping`` hears the signal, ``counters`` counts. ``view`` is the same stream without the ASGI application.
"""
