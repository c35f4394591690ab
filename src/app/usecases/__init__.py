"""What the service does, one verb a file: load, decide in the domain, save, tell."""
