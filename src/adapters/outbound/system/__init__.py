"""The machine the service runs on: its clock and its randomness."""
