"""Traces, by OpenTelemetry; its packages are the extra `otel`."""
