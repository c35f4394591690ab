"""How a caller says who it is, as the card tells it (A2A 1.0, 4.5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import frozen

Told = Mapping[str, Any]

BEARER: Final = "bearerAuth"


@frozen
class Provider:
    """An OpenID provider whose tokens are taken, and where clients get them."""

    metadata_url: str
    authorization_url: str = ""
    token_url: str = ""
    scopes: tuple[str, ...] = ()

    @property
    def oauth(self) -> Told | None:
        """The scheme `oauth2`, None if nobody said where tokens are given."""
        if not self.token_url:
            return None
        scopes = dict.fromkeys(self.scopes, "")
        if self.authorization_url:
            flow = {"authorizationUrl": self.authorization_url, "tokenUrl": self.token_url, "scopes": scopes}
            flows: Told = {"authorizationCode": flow}
        else:
            flows = {"clientCredentials": {"tokenUrl": self.token_url, "scopes": scopes}}
        return {"oauth2SecurityScheme": {"flows": flows, "oauth2MetadataUrl": self.metadata_url}}


@frozen
class Security:
    """Which ways there are; any one of them will do."""

    tokens: bool = True
    """Whether opaque tokens are taken."""
    passwords: bool = False
    provider: Provider | None = None

    @property
    def schemes(self) -> Told:
        """What the card has as `securitySchemes`."""
        told: dict[str, Told] = {}
        if self.tokens:
            told[BEARER] = {"httpAuthSecurityScheme": {"scheme": "bearer", "bearerFormat": "opaque"}}
        if self.passwords:
            told["basicAuth"] = {"httpAuthSecurityScheme": {"scheme": "basic"}}
        if self.provider is not None:
            told["openId"] = {"openIdConnectSecurityScheme": {"openIdConnectUrl": self.provider.metadata_url}}
            if self.provider.oauth is not None:
                told["oauth2"] = self.provider.oauth
        return told

    @property
    def requirements(self) -> Sequence[Told]:
        """What the card has as `securityRequirements`."""
        scopes = () if self.provider is None else self.provider.scopes
        listed = {"openId": list(scopes), "oauth2": list(scopes)}
        return [{"schemes": {name: {"list": listed.get(name, [])}}} for name in self.schemes]
