"""The world the service uses: the runtime, the stores, time."""
