"""Floor 3: what the graph means. Lifecycle, readiness, traversal, history, transfer; each through any storage."""

from .graph import Branch, IntentGraph, Report
from .ready import Because, Waiting
from .transaction import Transaction

__all__ = ["Because", "Branch", "IntentGraph", "Report", "Transaction", "Waiting"]
