"""An OpenID provider at a port of this machine, made of Authlib's parts for servers."""

from __future__ import annotations

import json
import time
import urllib.request
from types import SimpleNamespace

import gevent
from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import grants
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc8628 import DeviceAuthorizationEndpoint, DeviceCodeGrant
from authlib.oidc.core.grants.code import OpenIDToken
from flask import Flask, Response, request
from gevent.pool import Pool
from gevent.pywsgi import WSGIServer
from joserfc import jwk, jws

CLIENT = "crawler-cli"
PERSON = {"sub": "u-1", "email": "alice@example.org", "groups": ["staff", "crawl-operators"]}


def new_key(kid, kind="RSA"):
    """A new pair of keys."""
    size = {"RSA": 2048, "EC": "P-256", "OKP": "Ed25519"}[kind]
    return jwk.generate_key(kind, size, {"kid": kid, "use": "sig"})


RSA = new_key("rsa-1")
"""Making one takes long, so the tests share it."""


class Provider:
    """A provider with one person, who agrees to everything."""

    def __init__(self):
        self.keys = [RSA]
        """The first one signs."""
        self.person = dict(PERSON)
        self.asked = []
        """The paths that were asked for."""
        self.lifetime_s = 3600
        self.before = lambda: None
        """Called before each answer; may raise or wait."""
        self.document = {}
        """What differs in the discovery document."""
        self.shown = None
        """What is shown in place of the keys, if anything."""
        self.typed, self.is_refused = False, False
        self.codes, self.devices, self.refreshes = {}, {}, {}
        self._server = WSGIServer(("127.0.0.1", 0), self._app(), spawn=Pool(), log=None)

    def __enter__(self):
        self._server.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self._server.stop(0)
        self._server.close()

    @property
    def issuer(self):
        return f"http://127.0.0.1:{self._server.server_port}"

    def claims(self, **more):
        """The claims of a right ID token, with changes. What is None is left out."""
        now = int(time.time())
        usual = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + self.lifetime_s}
        claims = {**usual, **self.person, **more}
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, key=None, algorithm=None, header=None, **more):
        """A token that the provider signs, or somebody else with another key."""
        key = key or self.keys[0]
        algorithm = algorithm or {"RSA": "RS256", "EC": "ES256", "OKP": "Ed25519"}[key.key_type]
        head = {"typ": "JWT", "alg": algorithm, "kid": key.kid, **(header or {})}
        head = {name: value for name, value in head.items() if value is not None}
        text = json.dumps(self.claims(**more))
        registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
        return jws.serialize_compact(head, text, key, registry=registry)

    def times(self, path):
        """How often a path was asked for."""
        return self.asked.count(path)

    def browse(self, url):
        """Open a page as the browser of the person does, in the background."""
        return gevent.spawn(lambda: urllib.request.urlopen(url, timeout=20).read())

    def _app(self):
        app = Flask(__name__)
        app.config["OAUTH2_REFRESH_TOKEN_GENERATOR"] = True
        server = AuthorizationServer(app, self._client, self._save)
        extensions = [CodeChallenge(), _IdToken(self)]
        server.register_grant(_grant(_Code, self), extensions)
        server.register_grant(_grant(_Refresh, self), extensions[1:])
        server.register_grant(_grant(_Device, self), extensions[1:])
        server.register_endpoint(_grant(_Begin, self))
        server.register_endpoint(_grant(_Revocation, self))
        end = server.create_endpoint_response

        @app.before_request
        def note():
            self.asked.append(request.path)
            self.before()

        @app.get("/.well-known/openid-configuration")
        def discovery():
            return {
                "issuer": self.issuer,
                "jwks_uri": f"{self.issuer}/keys",
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "device_authorization_endpoint": f"{self.issuer}/device",
                "revocation_endpoint": f"{self.issuer}/revoke",
                "scopes_supported": ["openid", "offline_access"],
                **self.document,
            }

        @app.get("/keys")
        def keys():
            shown = {"keys": [key.as_dict(private=False) for key in self.keys]}
            text = json.dumps(shown) if self.shown is None else self.shown
            return Response(text, content_type="application/json")

        @app.get("/authorize")
        def authorize():
            person = None if self.is_refused else SimpleNamespace(id=self.person["sub"])
            grant = server.get_consent_grant(end_user=person)
            return server.create_authorization_response(grant_user=person, grant=grant)

        app.post("/token")(server.create_token_response)
        app.post("/device", endpoint="device")(lambda: end("device_authorization"))
        app.post("/revoke", endpoint="revoke")(lambda: end("revocation"))
        return app

    def _client(self, id):
        return _Client() if id == CLIENT else None

    def _save(self, token, request):
        if "refresh_token" in token:
            self.refreshes[token["refresh_token"]] = _Refreshing(token["scope"])


class _Client:
    """A public client: it has no secret, and comes back to any port of the person's machine."""

    id_token_signed_response_alg = None

    def get_client_id(self):
        return CLIENT

    def get_allowed_scope(self, scope):
        return scope

    def check_redirect_uri(self, uri):
        return uri.startswith("http://127.0.0.1:")

    def check_endpoint_auth_method(self, method, endpoint):
        return method == "none"

    def check_response_type(self, kind):
        return kind == "code"

    def check_grant_type(self, kind):
        return True


class _Refreshing(SimpleNamespace):
    def __init__(self, scope):
        super().__init__(scope=scope)

    def check_client(self, client):
        return True

    def get_scope(self):
        return self.scope


def _grant(kind, provider):
    """A class of Authlib that knows its provider."""
    return type(kind.__name__, (kind,), {"provider": provider})


class _Code(grants.AuthorizationCodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ("none",)

    def save_authorization_code(self, code, request):
        given = request.payload.data
        self.provider.codes[code] = SimpleNamespace(
            code=code,
            code_challenge=given["code_challenge"],
            code_challenge_method=given["code_challenge_method"],
            get_redirect_uri=lambda: given["redirect_uri"],
            get_scope=lambda: given["scope"],
            get_nonce=lambda: None,
            get_auth_time=lambda: None,
            get_acr=lambda: None,
            get_amr=lambda: None,
        )

    def query_authorization_code(self, code, client):
        return self.provider.codes.get(code)

    def delete_authorization_code(self, code):
        del self.provider.codes[code.code]

    def authenticate_user(self, code):
        return SimpleNamespace(id=self.provider.person["sub"])


class _Refresh(grants.RefreshTokenGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ("none",)
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, token):
        return self.provider.refreshes.pop(token, None)  # each counts once

    def authenticate_user(self, token):
        return SimpleNamespace(id=self.provider.person["sub"])

    def revoke_old_credential(self, token):
        pass


class _Begin(DeviceAuthorizationEndpoint):
    INTERVAL = 1

    def get_verification_uri(self):
        return f"{self.provider.issuer}/type"

    def save_device_credential(self, client, scope, data):
        self.provider.devices[data["device_code"]] = SimpleNamespace(
            get_client_id=lambda: client,
            get_scope=lambda: scope,
            get_user_code=lambda: data["user_code"],
            is_expired=lambda: False,
        )


class _Device(DeviceCodeGrant):
    def query_device_credential(self, code):
        return self.provider.devices.get(code)

    def query_user_grant(self, code):
        if self.provider.is_refused or self.provider.typed:
            return SimpleNamespace(id=self.provider.person["sub"]), not self.provider.is_refused
        return None

    def should_slow_down(self, credential):
        return False


class _Revocation(RevocationEndpoint):
    CLIENT_AUTH_METHODS = ("none",)

    def query_token(self, text, hint):
        return self.provider.refreshes.get(text)

    def revoke_token(self, token, request):
        self.provider.refreshes.pop(request.form["token"])


class _IdToken(OpenIDToken):
    def __init__(self, provider):
        self.provider = provider

    def encode_id_token(self, token, request):
        return self.provider.token()
