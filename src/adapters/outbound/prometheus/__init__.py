"""Metrics, kept and exposed by prometheus-client."""

from .meter import Described, Gauges, PrometheusMeter

__all__ = ["Described", "Gauges", "PrometheusMeter"]
