"""The actions of the control port; those that all emulators have are in actions.py."""
import base64
import secrets
import uuid

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

import secret
from actions import Actions


class Control(Actions):
    def project(self, state, id, number, is_enabled=True):
        """A project; `is_enabled` is whether it uses Secret Manager."""
        state.projects[id] = {"id": id, "number": number, "is_enabled": is_enabled}

    def account(self, state, project, name="app"):
        """A service account and the file of a key of its. Called again, it has one more key."""
        email = f"{name}@{project}.iam.gserviceaccount.com"
        key, id = rsa.generate_private_key(65537, 2048), secrets.token_hex(20)
        state.accounts.setdefault(email, {})[id] = public(key)
        return {"email": email, "key": key_file(project, email, id, key)}

    def user(self, state, email, refresh_token, client_id, client_secret):
        """Who signed in once, and the client to which they did."""
        known = {"email": email, "client_id": client_id, "client_secret": client_secret}
        state.users[refresh_token] = known

    def federation(self, state, audience, principal, token=None, kind="urn:ietf:params:oauth:token-type:jwt",
                   access_key=None, secret_key=None):
        """Who comes with this token of another issuer, or these keys of AWS, is this principal."""
        known = {"audience": audience, "principal": principal, "kind": kind, "secret_key": secret_key}
        state.federated[token or access_key] = known

    def allow(self, state, identity, **permissions):
        """All that an identity may do. `list`, `access` and `versions` (their metadata) are true; the latter two may be
        names of secrets. `impersonate` has the emails of service accounts."""
        state.permissions[identity] = permissions

    def attach(self, state, email, lifetime=None):
        """The machine's service account."""
        state.machine = {"email": email, "lifetime": lifetime}

    def put(self, state, project, name, value="", data=None, location=""):
        """A new version of a secret, whose value is a text, or `data` in base64."""
        bytes = base64.b64decode(data) if data else value.encode()
        version = secret.put(state, state.project(project)["number"], location, name, bytes)
        return {"version": str(version["number"])}

    def empty(self, state, project, name, location=""):
        """A secret without versions."""
        secret.put(state, state.project(project)["number"], location, name, b"")
        self._found(state, project, name, location)["versions"].clear()

    def disable(self, state, project, name, version="latest", location=""):
        secret.version(self._found(state, project, name, location), version)["state"] = "DISABLED"

    def enable(self, state, project, name, version="latest", location=""):
        secret.version(self._found(state, project, name, location), version)["state"] = "ENABLED"

    def destroy(self, state, project, name, version="latest", location=""):
        chosen = secret.version(self._found(state, project, name, location), version)
        chosen |= {"data": b"", "state": "DESTROYED"}

    def created(self, state, project, name, time, version="latest", location=""):
        """When the version was made, in seconds."""
        secret.version(self._found(state, project, name, location), version)["created"] = time

    def alias(self, state, project, name, alias, version, location=""):
        self._found(state, project, name, location)["aliases"][alias] = version

    def delete(self, state, project, name, location=""):
        del state.secrets[(state.project(project)["number"], location, name)]

    def pages(self, state, size):
        """How many secrets a page has at most."""
        state.page = size

    def tokens(self, state, lifetime=None, revoke=False):
        """How long new tokens hold, in seconds; and whether those that exist end now."""
        state.token_lifetime = lifetime or state.token_lifetime
        if revoke:
            state.tokens.clear()

    def _found(self, state, project, name, location):
        return state.secrets[(state.project(project)["number"], location, name)]


def public(key):
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def key_file(project, email, id, key):
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {
        "type": "service_account",
        "project_id": project,
        "private_key_id": id,
        "private_key": pem.decode(),
        "client_email": email,
        "client_id": str(uuid.uuid4().int)[:21],
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": "https://oauth2.googleapis.com/token",
        "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
        "client_x509_cert_url": f"https://www.googleapis.com/robot/v1/metadata/x509/{email.replace('@', '%40')}",
        "universe_domain": "googleapis.com",
    }
