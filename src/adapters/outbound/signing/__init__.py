"""What the service signs with its own key, so that others can tell that it is from here."""
