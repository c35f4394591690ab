"""Malformed input for the service and for what reads it: see main.py."""
