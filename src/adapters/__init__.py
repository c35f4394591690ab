"""One tool each; adapters know the application's words, never each other."""
