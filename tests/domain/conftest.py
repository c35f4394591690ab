"""
Properties are tried with the same examples each time, for as long as that takes.

For a search with others: `pytest tests/domain --hypothesis-profile=ci`.
"""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("same", deadline=None, derandomize=True)
if settings.get_current_profile_name() == "default":
    settings.load_profile("same")
