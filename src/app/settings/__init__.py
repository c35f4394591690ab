"""
Settings: one frozen class per concern, read once, here and nowhere else.

The reference in docs/reference/settings.md is written from these classes. Names of opencode-a2a-server 0.2 keep their
meaning. A name that is almost one of ours stops the start: what is misspelt must not be silently without effect.
"""

from __future__ import annotations

from .access import AuthSettings, LimitSettings, MethodSettings, SigningSettings
from .agent import OpenCodeSettings, RuntimeSettings, SessionSettings
from .calling import ClientSettings
from .network import AdminSettings, GrpcSettings, HttpSettings, ServerSettings
from .reading import WITHOUT_EFFECT, every_setting, keys, load_settings, read_text, shown
from .store import StoreBackend, StoreSettings
from .telling import CardSettings, LogFormat, LogLevel, LogSettings, PushSettings, SharedMetadata, TracingSettings
from .turns import InterruptSettings, TurnSettings
from .values import Secret, SettingsError, listed
from .whole import Settings

__all__ = [
    "WITHOUT_EFFECT",
    "AdminSettings",
    "AuthSettings",
    "CardSettings",
    "ClientSettings",
    "GrpcSettings",
    "HttpSettings",
    "InterruptSettings",
    "LimitSettings",
    "LogFormat",
    "LogLevel",
    "LogSettings",
    "MethodSettings",
    "OpenCodeSettings",
    "PushSettings",
    "RuntimeSettings",
    "Secret",
    "ServerSettings",
    "SessionSettings",
    "Settings",
    "SettingsError",
    "SharedMetadata",
    "SigningSettings",
    "StoreBackend",
    "StoreSettings",
    "TracingSettings",
    "TurnSettings",
    "every_setting",
    "keys",
    "listed",
    "load_settings",
    "read_text",
    "shown",
]
