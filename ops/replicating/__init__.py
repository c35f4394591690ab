"""Measurements of replicas over HTTP; see main.py."""
