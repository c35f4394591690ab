"""Notifications by webhook: only to addresses that may be called."""
