"""The actions of the control port; those that all emulators have are in actions.py."""
import uuid

import secret
from actions import Actions
from entra import CLOUDS


class Control(Actions):
    def __init__(self, metadata, app_service_port):
        super().__init__(metadata)
        self._app_service_port = app_service_port

    def tenant(self, state, tenant, authority="login.microsoftonline.com"):
        state.tenants[tenant.lower()] = authority

    def client(self, state, tenant, client, secrets=(), certificates=(), federated=()):
        """An application. Called again, it has other ways to prove who it is."""
        key = (tenant.lower(), client.lower())
        known = state.clients.setdefault(key, {"tenant": tenant, "client": client, "object": str(uuid.uuid4())})
        known |= {"secrets": secrets, "certificates": certificates, "federated": federated}

    def identity(self, state, tenant, client, object, resource="", is_system=False):
        """A managed identity. `resource` is the id of one that a user assigned."""
        known = {"tenant": tenant, "client": client, "object": object, "resource": resource, "is_system": is_system}
        state.identities.append(known)

    def vault(self, state, host, tenant, model="roles"):
        """A vault, by its whole name. It is empty, also if there was one."""
        resource = "https://" + host.partition(".")[2]
        authority = next(authority for authority, audience in CLOUDS.items() if audience == resource)
        challenge = f'Bearer authorization="https://{authority}/{tenant}", resource="{resource}"'
        state.vaults[host] = {
            "host": host, "tenant": tenant, "resource": resource, "challenge": challenge, "model": model,
            "secrets": {}, "permissions": {},
        }

    def challenge(self, state, host, text):
        """From now on, the vault's challenge is another."""
        state.vaults[host]["challenge"] = text

    def allow(self, state, host, client, **permissions):
        """All that the client may do there. A permission is true, or the names of the secrets for which it is."""
        state.vaults[host]["permissions"][client] = permissions

    def put(self, state, host, name, is_managed=False, **given):
        """A new version of a secret, with any attributes."""
        found, version = secret.put(state.vaults[host], name, given)
        found["is_deleted"], found["is_managed"] = False, is_managed
        return {"version": version["id"]}

    def change(self, state, host, name, version=None, **given):
        """Attributes, type and tags of a version."""
        secret.change(secret.version(state.vaults[host]["secrets"][name.lower()], version), given)

    def delete(self, state, host, name):
        state.vaults[host]["secrets"][name.lower()]["is_deleted"] = True

    def tokens(self, state, lifetime=None, revoke=False):
        """How long new tokens hold, in seconds; and whether those that exist end now."""
        state.token_lifetime = lifetime or state.token_lifetime
        if revoke:
            state.tokens.clear()

    def app_service(self, state):
        """What App Service tells its apps in IDENTITY_ENDPOINT and IDENTITY_HEADER."""
        return {"endpoint": f"http://127.0.0.1:{self._app_service_port}/msi/token", "header": state.identity_header}
