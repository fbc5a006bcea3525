"""Floor 2: places to keep one graph. Each backend is one file; shelves they share stand beneath them.

``choose`` picks a backend; ``memory``, ``file`` and ``sqlite`` never import one another; ``ledger``, ``group``,
``index``, ``disk`` and ``journal`` are shared. Knows nothing of what an edge or a status means.
"""
