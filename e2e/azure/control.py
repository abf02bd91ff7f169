"""The control port: `POST /ACTION` with a JSON object, which answers with one. The actions are the methods below; their
parameters are the members of the object."""
import uuid

import secret
from entra import CLOUDS
from web import Answer


class Control:
    def __init__(self, metadata, app_service_port):
        self.metadata, self.app_service_port = metadata, app_service_port

    def answer(self, state, request):
        action = ACTIONS.get(request.path.strip("/"))
        if action is None:
            raise Answer(404, f"the actions are {', '.join(ACTIONS)}")
        return Answer(200, action(self, state, **request.json()) or {})

    def reset(self, state):
        self.metadata.stop()
        state.reset()

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

    def fail(self, state, **rule):
        """The next requests fail or get a wrong answer; see faults.py."""
        state.faults.add(rule)

    def heal(self, state):
        """No request fails any longer."""
        state.faults.rules.clear()

    def tokens(self, state, lifetime=None, revoke=False):
        """How long new tokens hold, in seconds; and whether those that exist end now."""
        state.token_lifetime = lifetime or state.token_lifetime
        if revoke:
            state.tokens.clear()

    def imds(self, state, on):
        """Whether the metadata service listens."""
        self.metadata.switch(on)

    def app_service(self, state):
        """What App Service tells its apps in IDENTITY_ENDPOINT and IDENTITY_HEADER."""
        return {"endpoint": f"http://127.0.0.1:{self.app_service_port}/msi/token", "header": state.identity_header}

    def log(self, state):
        return {"requests": state.log}


ACTIONS = {name: action for name, action in vars(Control).items() if not name.startswith("_") and name != "answer"}
