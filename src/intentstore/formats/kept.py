"""What a format keeps of a record as it came: JSON frozen into metadata, and back as it was.

Knows JSON and values. Has never heard of a format.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ..codec import jsonable
from ..ground.values import Map

_sorted = msgspec.json.Encoder(order="sorted")


def thaw(value: Any) -> Any:
    """Returns kept JSON as the builtins it came as; other values in it in their tagged form."""
    if type(value) is Map and all(type(key) is str for key in value):
        return {key: thaw(item) for key, item in value.items()}
    if type(value) is tuple:
        return [thaw(item) for item in value]
    return jsonable(value)


def in_order(value: Any) -> bytes:
    """Returns JSON in one spelling: equal for two documents exactly when they are equal in keys, values and types."""
    return _sorted.encode(value)


def same(a: Any, b: Any) -> bool:
    """True when two documents are equal as JSON: 1, 1.0 and true are three, the order of keys does not count."""
    return in_order(a) == in_order(b)
