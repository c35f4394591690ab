"""What a turn costs us, beside the least a relay of the same bytes can cost."""
