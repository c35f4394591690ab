"""What the service does (`usecases`), what it needs from the world (`ports`), and how it is put together."""
