"""systemd: the supervisor of a service, and how instances are deployed under it."""
