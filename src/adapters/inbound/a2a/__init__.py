"""
The A2A server: protocol 1.0 over JSON-RPC and HTTP+JSON, with resumable streams.

What a protocol version says differently lives in `codec`, `requests` and `encode`, and in `rpc`'s table of methods;
the rest (errors, streams, authentication, card) is common to all versions.
"""

import os

# The SDK opens a span for nearly every call of its own, also without an OpenTelemetry SDK. It reads this on import.
os.environ.setdefault("OTEL_INSTRUMENTATION_A2A_SDK_ENABLED", "false")
