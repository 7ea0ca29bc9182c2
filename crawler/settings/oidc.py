"""The settings of OpenID Connect: whose people may come in, and as what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from crawler.model.access import GIVEN
from crawler.settings import forms
from crawler.settings.setting import setting


@dataclass(frozen=True)
class OidcSettings:
    """What a node knows of the provider that signs people in. It is a part of the section `api`."""

    oidc_issuer: str = setting(
        "",
        "URL of the OpenID provider whose people may come in, as its tokens have it in `iss`; see "
        "docs/security.md. If empty, nobody signs in.",
        form=forms.ISSUER,
    )
    oidc_client: str = setting(
        "",
        "Id under which the provider knows this cluster, with which `crawler login` signs people "
        "in.",
    )
    oidc_audience: str = setting(
        "", "A further audience (`aud`) whose tokens count, for access tokens in the form of a JWT."
    )
    oidc_claim: str = setting(
        "groups",
        "Claim that decides what people may do, such as groups or realm_access.roles.",
        form=forms.CLAIM,
    )
    oidc_roles: Mapping[str, str] = setting(
        {},
        "Value of that claim to role. Somebody with several values gets the strongest role, "
        "somebody with none may not come in.",
        one_of=tuple(role.value for role in GIVEN),
    )
    oidc_scopes: Sequence[str] = setting(
        ["openid", "email", "profile"],
        "Scopes that `crawler login` asks for. Some providers give groups only for a scope of "
        "their own.",
        form=forms.SCOPE,
    )

    def oidc_faults(self) -> Iterator[tuple[str, str]]:
        """Yield the settings that are missing beside an issuer, and what is wrong."""
        if not self.oidc_issuer:
            return
        if not self.oidc_client:
            yield "oidc_client", "nothing given, but api.oidc_issuer is; the id of a client is"
        if not self.oidc_roles:
            yield "oidc_roles", "nothing given, but api.oidc_issuer is; at least one value is"
        if "openid" not in self.oidc_scopes:
            yield "oidc_scopes", f"{list(self.oidc_scopes)} given; a list with openid is"
