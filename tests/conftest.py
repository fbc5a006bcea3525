"""What all tests share: Hypothesis is quick and repeatable unless HYPOTHESIS_PROFILE=deep asks for more."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("quick", deadline=None, derandomize=True)
settings.register_profile("deep", deadline=None, max_examples=500)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))
