"""A soak of the service in front of an OpenCode full of faults; see main.py."""
