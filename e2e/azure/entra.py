"""Entra ID: the client credentials grant (OAuth 2.0, RFC 6749, 4.4) with a secret, a certificate or a federated token."""
import re
import uuid
from datetime import datetime, timezone

import assertion
from web import Answer, now

# The authorities, and the resource for which each gives tokens.
CLOUDS = {
    "login.microsoftonline.com": "https://vault.azure.net",
    "login.microsoftonline.us": "https://vault.usgovcloudapi.net",
    "login.chinacloudapi.cn": "https://vault.azure.cn",
    "login.partner.microsoftonline.cn": "https://vault.azure.cn",
}
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def answer(state, request):
    path = re.fullmatch("/([^/]+)/(v2.0/.well-known/openid-configuration|oauth2/v2.0/token)", request.path)
    if path is None:
        raise Answer(404, "")
    tenant = path[1].lower()
    if tenant not in state.tenants or state.tenants[tenant] != request.host:
        raise refusal(request, 400, "invalid_request", 90002, f"Tenant '{path[1]}' not found. Check to make sure you have "
                      "the correct tenant ID and are signing into the correct cloud. Check with your subscription "
                      "administrator, this may happen if there are no active subscriptions for the tenant.")
    if path[2].startswith("v2.0"):
        return configuration(request.host, tenant)
    return token(state, request, tenant)


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
    if request.method != "POST":
        raise refusal(request, 400, "invalid_request", 900561, "The endpoint only accepts POST requests.")
    form = request.form()
    for name in ["grant_type", "client_id", "scope"]:
        if not form.get(name):
            raise missing(request, name)
    if form["grant_type"] != "client_credentials":
        raise refusal(request, 400, "unsupported_grant_type", 70003,
                      f"The app requested an unsupported grant type '{form['grant_type']}'.")
    client = known_client(state, request, tenant, form["client_id"])
    prove(request, form, client, tenant)
    return issued(state, client, audience(request, form["scope"], tenant))


def known_client(state, request, tenant, name):
    client = state.clients.get((tenant, name.lower()))
    if client is None:
        raise refusal(request, 400, "unauthorized_client", 700016,
                      f"Application with identifier '{name}' was not found in the directory '{tenant}'. This can happen if "
                      "the application has not been installed by the administrator of the tenant or consented to by any "
                      "user in the tenant. You may have sent your authentication request to the wrong tenant.")
    return client


def prove(request, form, client, tenant):
    if form.get("client_secret"):
        return prove_secret(request, form["client_secret"], client)
    if not form.get("client_assertion"):
        raise refusal(request, 401, "invalid_client", 7000218, "The request body must contain the following parameter: "
                      "'client_assertion' or 'client_secret'.")
    if form.get("client_assertion_type") != JWT_BEARER:
        raise missing(request, "client_assertion_type")
    endpoint = f"https://{request.host}/{tenant}/oauth2/v2.0/token"
    try:
        assertion.prove(form["client_assertion"], client, endpoint)
    except assertion.Rejected as why:
        raise refusal(request, why.status, why.error, why.code, why.text)


def prove_secret(request, secret, client):
    if secret not in client["secrets"]:
        raise refusal(request, 401, "invalid_client", 7000215, "Invalid client secret provided. Ensure the secret being "
                      "sent in the request is the client secret value, not the client secret ID, for a secret added to "
                      f"app '{client['client']}'.")


def audience(request, scope, tenant):
    resource, is_default, _ = scope.rpartition("/.default")
    if not is_default:
        raise refusal(request, 400, "invalid_scope", 1002012, f"The provided value for scope {scope} is not valid. Client "
                      "credential flows must have a scope value with /.default suffixed to the resource identifier "
                      "(application ID URI).")
    if resource.rstrip("/") != CLOUDS[request.host]:
        raise refusal(request, 400, "invalid_resource", 500011,
                      f"The resource principal named {resource} was not found in the tenant named {tenant}.")
    return CLOUDS[request.host]


def issued(state, client, resource):
    text, token = state.issue({name: client[name] for name in ["tenant", "client", "object"]}, resource)
    lifetime = token["expires"] - now()
    return Answer(200, {"token_type": "Bearer", "expires_in": lifetime, "ext_expires_in": lifetime, "access_token": text})


def missing(request, name):
    return refusal(request, 400, "invalid_request", 900144,
                   f"The request body must contain the following parameter: '{name}'.")


def refusal(request, status, error, code, text):
    trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
    time = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%SZ")
    return Answer(status, {
        "error": error,
        "error_description": f"AADSTS{code}: {text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {time}",
        "error_codes": [code],
        "timestamp": time,
        "trace_id": trace,
        "correlation_id": correlation,
        "error_uri": f"https://{request.host}/error?code={code}",
    })
