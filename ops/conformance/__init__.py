"""Runs of the official conformance suite against the service."""
