"""RTFS as it was written: forms with the spaces and comments between them; what is not touched stays byte for byte."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..ground.errors import FieldInvalid
from .stream import Form, forms


class SourceText(NamedTuple):
    r"""A text taken apart: ``gaps[n]`` stands before form ``n``, the last gap after all. ``str()`` puts it together.

    >>> source = read_source("; a note\n(f 1)  :b")
    >>> str(source.with_form(1, ":c"))
    '; a note\n(f 1)  :c'
    """

    forms: tuple[Form, ...]
    gaps: tuple[str, ...]

    def __str__(self) -> str:
        pieces = [piece for gap, form in zip(self.gaps, self.forms, strict=False) for piece in (gap, form.text)]
        return "".join((*pieces, self.gaps[-1]))

    def with_form(self, number: int, text: str) -> SourceText:
        """Returns the source with another form in the place of this one; the text must be one form."""
        found = list(forms(text))
        if len(found) != 1 or found[0].text != text:
            raise FieldInvalid("text", f"holds {len(found)} forms, or space around one", hint="give one form")
        old = self.forms[number]
        new = found[0]._replace(line=old.line, column=old.column, offset=old.offset)
        return self._replace(forms=(*self.forms[:number], new, *self.forms[number + 1 :]))

    def mapped(self, change: Callable[[Form], str]) -> str:
        """Returns the whole text with each form written as ``change`` says."""
        pieces = [piece for gap, form in zip(self.gaps, self.forms, strict=False) for piece in (gap, change(form))]
        return "".join((*pieces, self.gaps[-1]))


def read_source(text: str) -> SourceText:
    """Returns the text as forms and what stands between them: ``str(read_source(text)) == text``."""
    found = tuple(forms(text))
    gaps, pos = [], 0
    for form in found:
        gaps.append(text[pos : form.offset])
        pos = form.offset + len(form.text)
    return SourceText(found, (*gaps, text[pos:]))
