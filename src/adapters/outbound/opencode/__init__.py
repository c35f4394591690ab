"""The runtime `opencode serve` (OpenCode 1.x), over HTTP and one long-lived event feed."""
