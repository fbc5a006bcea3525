"""Where an intent finds those who write and read it as text: they stand on the floor above, so they are put in here.

The front door puts them in, as a loader that nobody pays for before it is used. Knows their two words and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from .types import Intent


class TextForm(Protocol):
    """What the floor above offers: an intent as RTFS, and back."""

    def write_intent(self, intent: Intent, *, width: int | None = ...) -> str: ...

    def read_intent(self, text: str | bytes, *, lenient: bool = ...) -> Intent: ...


_loader: Callable[[], Any] | None = None


def put_in(loader: Callable[[], Any]) -> None:
    """Says who has the words; the loader is called when the first of them is needed."""
    global _loader  # noqa: PLW0603  one seam in the house
    _loader = loader


def text_form() -> TextForm:
    """Returns who writes and reads intents as text."""
    assert _loader is not None, "import intentstore first: it puts the text form in"
    form: TextForm = _loader()
    return form
