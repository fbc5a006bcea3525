"""Floor 0: the nouns of an intent graph, and the questions, changes and errors about them.

Knows types and their rules. Has never heard of bytes, files, SQL or terminals.
"""
