"""Managed identities: the metadata service of a machine, and the endpoint of App Service and Container Apps."""
from entra import CLOUDS
from web import Answer, now

# Day-long, as managed identities get them.
LIFETIME = 86_399
UNASSIGNED = "No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId."


def metadata(state, request):
    if request.method != "GET" or request.path != "/metadata/identity/oauth2/token":
        raise Answer(404, {"error": "Not found"})
    if request.headers.get("Metadata", "").lower() != "true" or "X-Forwarded-For" in request.headers:
        raise refusal("Required metadata header not specified")
    if request.query.get("api-version") not in ["2018-02-01", "2019-08-01"]:
        raise refusal("Required query variable 'api-version' is missing or invalid")
    chosen = identity(state, request.query, ["client_id", "object_id", "msi_res_id"])
    if chosen is None:
        raise refusal("Identity not found")
    text, token = state.issue(chosen, resource(request.query, refusal), LIFETIME)
    return Answer(200, {
        "access_token": text,
        "client_id": chosen["client"],
        "expires_in": str(LIFETIME),
        "expires_on": str(token["expires"]),
        "ext_expires_in": str(LIFETIME),
        "not_before": str(now()),
        "resource": request.query["resource"],
        "token_type": "Bearer",
    })


def app_service(state, request):
    if request.method != "GET" or request.path.rstrip("/") != "/msi/token":
        raise Answer(404, "")
    if request.headers.get("X-IDENTITY-HEADER") != state.identity_header:
        raise Answer(401, {"statusCode": 401, "message": "Unauthorized"})
    if request.query.get("api-version") != "2019-08-01":
        raise app_refusal("The api-version is missing or unsupported.")
    chosen = identity(state, request.query, ["client_id", "principal_id", "object_id", "mi_res_id"])
    if chosen is None:
        raise app_refusal(UNASSIGNED)
    text, token = state.issue(chosen, resource(request.query, app_refusal), LIFETIME)
    return Answer(200, {
        "access_token": text,
        "client_id": chosen["client"],
        "expires_on": str(token["expires"]),
        "resource": request.query["resource"],
        "token_type": "Bearer",
    })


FIELDS = {
    "client_id": "client",
    "object_id": "object",
    "principal_id": "object",
    "msi_res_id": "resource",
    "mi_res_id": "resource",
}


def identity(state, query, choices):
    """Without a choice, the machine's own."""
    wanted = [(FIELDS[choice], query[choice].lower()) for choice in choices if choice in query]
    if not wanted:
        return next((each for each in state.identities if each["is_system"]), None)
    fits = lambda each: all(each[field].lower() == value for field, value in wanted)
    return next((each for each in state.identities if fits(each)), None)


def resource(query, refusal):
    """With a slash at its end or without."""
    wanted = query.get("resource", "").rstrip("/")
    if wanted not in CLOUDS.values():
        raise refusal(f"AADSTS500011: The resource principal named {wanted} was not found.", "invalid_resource")
    return wanted


def refusal(description, error="invalid_request"):
    return Answer(400, {"error": error, "error_description": description})


def app_refusal(message, _error=None):
    return Answer(400, {"statusCode": 400, "message": message})
