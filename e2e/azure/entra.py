"""Entra ID: the client credentials grant (RFC 6749, 4.4) with a secret, a certificate or a federated token."""
import re

import assertion
from refusals import Refused
from web import Answer, now

# The authorities, and the resource for which each gives tokens.
CLOUDS = {
    "login.microsoftonline.com": "https://vault.azure.net",
    "login.microsoftonline.us": "https://vault.usgovcloudapi.net",
    "login.chinacloudapi.cn": "https://vault.azure.cn",
    "login.partner.microsoftonline.cn": "https://vault.azure.cn",
}
DISCOVERY = "/common/discovery/instance"
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
REQUIRED = ["grant_type", "client_id", "scope"]


def answer(state, request):
    if request.path == DISCOVERY:
        return discovery(request.host)
    path = re.fullmatch("/([^/]+)/(v2.0/.well-known/openid-configuration|oauth2/v2.0/token)", request.path)
    if path is None:
        raise Answer(404, "")
    try:
        tenant = known_tenant(state, request.host, path[1])
        return configuration(request.host, tenant) if path[2][0] == "v" else token(state, request, tenant)
    except Refused as refused:
        return refused.answer(request.host)


def discovery(host):
    """The authorities, each with the other names that it has: here none."""
    clouds = [{"preferred_network": name, "preferred_cache": name, "aliases": [name]} for name in CLOUDS]
    endpoint = f"https://{host}/common/.well-known/openid-configuration"
    return Answer(200, {"tenant_discovery_endpoint": endpoint, "api-version": "1.1", "metadata": clouds})


def known_tenant(state, host, name):
    if state.tenants.get(name.lower()) != host:
        raise Refused(90002, name)
    return name.lower()


def configuration(host, tenant):
    base = f"https://{host}/{tenant}"
    return Answer(200, {
        "token_endpoint": f"{base}/oauth2/v2.0/token",
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "jwks_uri": f"{base}/discovery/v2.0/keys",
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "issuer": f"{base}/v2.0",
        "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
        "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
        "end_session_endpoint": f"{base}/oauth2/v2.0/logout",
    })


def token(state, request, tenant):
    form = checked_form(request)
    client = state.clients.get((tenant, form["client_id"].lower()))
    if client is None:
        raise Refused(700016, form["client_id"], tenant)
    prove(form, client, f"https://{request.host}/{tenant}/oauth2/v2.0/token")
    return issued(state, client, audience(form["scope"], request.host, tenant))


def checked_form(request):
    if request.method != "POST":
        raise Refused(900561)
    form = request.form()
    for name in REQUIRED:
        if not form.get(name):
            raise Refused(900144, name)
    if form["grant_type"] != "client_credentials":
        raise Refused(70003, form["grant_type"])
    return form


def prove(form, client, endpoint):
    if form.get("client_secret"):
        return prove_secret(form["client_secret"], client)
    if not form.get("client_assertion"):
        raise Refused(7000218)
    if form.get("client_assertion_type") != JWT_BEARER:
        raise Refused(900144, "client_assertion_type")
    assertion.prove(form["client_assertion"], client, endpoint)


def prove_secret(secret, client):
    if secret not in client["secrets"]:
        raise Refused(7000215, client["client"])


def audience(scope, host, tenant):
    resource, is_default, rest = scope.rpartition("/.default")
    if not is_default or rest:
        raise Refused(1002012, scope)
    if resource != CLOUDS[host]:
        raise Refused(500011, resource, tenant)
    return resource


def issued(state, client, resource):
    text, token = state.issue(client, resource)
    lifetime = token["expires"] - now()
    times = {"expires_in": lifetime, "ext_expires_in": lifetime}
    return Answer(200, {"token_type": "Bearer", **times, "access_token": text})
