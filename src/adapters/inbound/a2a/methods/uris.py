"""The extensions that methods belong to."""

from typing import Final

SESSION_QUERY: Final = "urn:opencode-a2a:session-query/v1"
PROVIDER_DISCOVERY: Final = "urn:opencode-a2a:provider-discovery/v1"
WORKSPACE_CONTROL: Final = "urn:opencode-a2a:workspace-control/v1"
FILES: Final = "urn:opencode-a2a:files/v1"
