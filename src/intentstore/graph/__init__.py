"""Floor 3: what the graph means. Lifecycle, readiness, traversal, history, transfer; each through any storage."""

from .graph import Branch, IntentGraph, Report
from .ready import Because, Waiting
from .transaction import Transaction
from .transfer import Receipt

__all__ = ["Because", "Branch", "IntentGraph", "Receipt", "Report", "Transaction", "Waiting"]
