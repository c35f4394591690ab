"""The world that uses the service: A2A clients over HTTP, and the server that carries them."""
