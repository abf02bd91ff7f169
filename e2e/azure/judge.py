"""Uses a vault with Microsoft's own client for Python, with every check left on, and shows as JSON what it got.

usage: judge.py ACTION [WORD...], where the actions are

list                  all secrets
get NAME [VERSION]    a secret
versions NAME         the versions of a secret, oldest first
put NAME VALUE        makes a version
disable NAME          disables the newest version
delete NAME           deletes a secret
sign-in               the fields of the answer to MSAL
"""
import json
import os
import sys

import msal
from azure.core.exceptions import AzureError
from azure.identity import (
    CertificateCredential,
    ClientSecretCredential,
    ManagedIdentityCredential,
    WorkloadIdentityCredential,
)
from azure.keyvault.secrets import SecretClient

# A fault shows at once.
OPTIONS = {"retry_total": 0}
OTHER_IDS = ["object_id", "resource_id"]


def credential():
    identified = [os.environ.get(name) for name in ["AZURE_TENANT_ID", "AZURE_CLIENT_ID"]]
    if secret := os.environ.get("AZURE_CLIENT_SECRET"):
        return ClientSecretCredential(*identified, secret, **OPTIONS)
    if path := os.environ.get("AZURE_CLIENT_CERTIFICATE_PATH"):
        return CertificateCredential(*identified, path, **OPTIONS)
    if "AZURE_FEDERATED_TOKEN_FILE" in os.environ:
        return WorkloadIdentityCredential(**OPTIONS)
    return managed_identity(identified[1])


def managed_identity(client):
    """The machine's own, or one by its client id, by the id of its object or by that of its resource."""
    other = {name: os.environ[f"JUDGE_{name.upper()}"] for name in OTHER_IDS if f"JUDGE_{name.upper()}" in os.environ}
    return ManagedIdentityCredential(client_id=client, identity_config=other or None, **OPTIONS)


def list_all(client):
    return [listed(client, properties) for properties in client.list_properties_of_secrets()]


def listed(client, properties):
    shown = {"name": properties.name, "enabled": properties.enabled, "managed": bool(properties.managed)}
    shown |= {name: seconds(getattr(properties, attribute)) for name, attribute in TIMES.items()}
    is_wanted = properties.enabled and not properties.managed
    return shown | (get(client, properties.name) if is_wanted else {})


TIMES = {"exp": "expires_on", "nbf": "not_before", "created": "created_on"}


def get(client, name, version=None):
    try:
        secret = client.get_secret(name, version)
    except AzureError as error:
        return explained(error)
    properties = secret.properties
    return {"value": secret.value, "version": properties.version, "created": seconds(properties.created_on)}


def sign_in():
    """By MSAL alone, which signs otherwise (PS256, `x5t#S256`) than azure-identity has it sign (RS256, `x5t`)."""
    with open(os.environ["AZURE_CLIENT_CERTIFICATE_PATH"]) as file:
        pem = file.read()
    proof = {"private_key": pem, "public_certificate": pem}
    authority = "https://login.microsoftonline.com/" + os.environ["AZURE_TENANT_ID"]
    application = msal.ConfidentialClientApplication(os.environ["AZURE_CLIENT_ID"], proof, authority)
    return sorted(application.acquire_token_for_client(["https://vault.azure.net/.default"]))


def versions(client, name):
    shown = sorted(client.list_properties_of_secret_versions(name), key=lambda each: each.created_on)
    return [{"version": each.version, "enabled": each.enabled} for each in shown]


def put(client, name, value):
    return {"version": client.set_secret(name, value).properties.version}


def disable(client, name):
    return {"enabled": client.update_secret_properties(name, enabled=False).enabled}


def delete(client, name):
    """Without waiting for what follows."""
    deleted = client.begin_delete_secret(name).result()
    return {"name": deleted.name, "recovery": deleted.recovery_id}


def seconds(date):
    return date and int(date.timestamp())


def explained(error):
    inner = getattr(getattr(error, "error", None), "innererror", None) or {}
    code = inner.get("code") or getattr(getattr(error, "error", None), "code", None)
    return {"error": type(error).__name__, "status": getattr(error, "status_code", None), "code": code,
            "message": str(error)}


def main(action, *words):
    return sign_in() if action == "sign-in" else use(action, *words)


def use(action, *words):
    name = os.environ["AZURE_KEYVAULT_NAME"]
    url = name if name.startswith("https://") else f"https://{name}.vault.azure.net"
    client = SecretClient(url, credential(), **OPTIONS)
    try:
        return ACTIONS[action](client, *words)
    except (AzureError, ValueError) as error:
        return explained(error)


ACTIONS = {"list": list_all, "get": get, "versions": versions, "put": put, "disable": disable, "delete": delete}
print(json.dumps(main(*sys.argv[1:])))
