"""What operators see from outside, on a listener of its own: probes and metrics."""
