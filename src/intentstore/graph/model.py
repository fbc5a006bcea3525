"""What turns texts into vectors: a caller's own function, or the small model that the extra ``semantic`` brings.

Knows models and files of weights; has never heard of an intent. Nothing is downloaded, and nothing but numpy computes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from ..ground.errors import FieldInvalid, Unsupported
from ..ground.types import check_name

_LONGEST = 2048
"""Pieces of a text that are looked at: more of them blur its meaning."""
INSTALL = "pip install 'intentstore[semantic]'"


class Model(msgspec.Struct, frozen=True):
    """A function from texts to vectors of one length; name and version tell its vectors from those of any other.

    >>> lengths = Model("lengths", "1", lambda texts: [[len(text), 1.0] for text in texts])
    >>> lengths.embed(["ab"])
    [[2, 1.0]]
    """

    name: str
    version: str
    embed: Callable[[Sequence[str]], Sequence[Sequence[float]]]

    def __post_init__(self) -> None:
        for field in ("name", "version"):
            if len(check_name(getattr(self, field), field)) > 100:
                raise FieldInvalid(field, "is longer than 100 characters", hint="give a short one")


def arrays() -> Any:
    """Returns numpy, or raises `Unsupported` with the line that installs it."""
    try:
        import numpy as np
    except ImportError as error:
        raise Unsupported("search by meaning needs numpy", hint=INSTALL) from error
    return np


@cache
def offline() -> Model:
    """Returns the model of the ``wordllama`` package, read from its files; `Unsupported` where it is not installed.

    A text is the mean of its pieces' vectors, 256 numbers. The package itself is not imported: it would ask the
    network for a file that it has.
    """
    found = find_spec("wordllama")
    if found is None or not found.submodule_search_locations or find_spec("tokenizers") is None:
        raise Unsupported("no model to search by meaning with is installed", hint=INSTALL)
    home = Path(next(iter(found.submodule_search_locations)))
    from importlib.metadata import distribution

    from safetensors import safe_open
    from tokenizers import Tokenizer

    np = arrays()
    weights = home / "weights" / "l2_supercat_256.safetensors"
    tokenizer = Tokenizer.from_file(str(home / "tokenizers" / "l2_supercat_tokenizer_config.json"))
    tokenizer.enable_truncation(_LONGEST)
    with safe_open(str(weights), "np") as file:
        (name,) = file.keys()
        table = file.get_tensor(name).astype(np.float32)

    def embed(texts: Sequence[str]) -> Any:
        made = np.zeros((len(texts), table.shape[1]), np.float32)
        for row, pieces in zip(made, tokenizer.encode_batch(list(texts), add_special_tokens=False), strict=True):
            if pieces.ids:
                row[:] = table[pieces.ids].mean(axis=0)
        return made

    return Model("wordllama-l2-supercat-256", distribution("wordllama").version, embed)
