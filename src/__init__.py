"""OpenCode as a stateful A2A agent."""
