"""
The A2A server: protocols 1.0 and 0.3 over JSON-RPC and HTTP+JSON, with resumable streams.

Everything is read and told in the words of 1.0. Those of 0.3 are put in their place at the very edge, in `v03`; errors,
streams, authentication and the card are common to both.
"""

import os

# The SDK opens a span for nearly every call of its own, also without an OpenTelemetry SDK. It reads this on import.
os.environ.setdefault("OTEL_INSTRUMENTATION_A2A_SDK_ENABLED", "false")
