"""The extensions that methods belong to."""

from typing import Final

SESSION_QUERY: Final = "urn:opencode-a2a:session-query/v1"
PROVIDER_DISCOVERY: Final = "urn:opencode-a2a:provider-discovery/v1"
