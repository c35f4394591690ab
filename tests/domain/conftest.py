"""
Properties are tried with the same examples each time, for as long as that takes.

For a search with many others: `pytest tests/domain --hypothesis-profile=search`.
"""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=3000)
if settings.get_current_profile_name() == "default":
    settings.load_profile("same")
