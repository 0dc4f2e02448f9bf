"""``hicm bench``: how fast this machine does each part of the work, and where the time goes.

Each part is one file here that defines ``measure(asked)`` and ``ORDER``, its place among them; it is found by its name.
``TORCH = True`` marks one that uses torch, ``REFERENCE`` names the authors' code in one that runs it.
"""
