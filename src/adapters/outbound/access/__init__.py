"""Who is known: a registry of credentials in a file, and tokens of an OpenID provider."""

from __future__ import annotations
