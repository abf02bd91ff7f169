"""How Google's services refuse a request (google.rpc.Status as JSON)."""
from web import Answer

STATUSES = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
}
EXPECTED = (
    "Expected OAuth 2 access token, login cookie or other valid authentication credential. See "
    "https://developers.google.com/identity/sign-in/web/devconsole-project."
)


def refusal(status, message, *details):
    return Answer(STATUSES[status], body(status, message, *details))


def body(status, message, *details):
    error = {"code": STATUSES[status], "message": message, "status": status}
    return {"error": error | ({"details": list(details)} if details else {})}


def info(reason, domain="googleapis.com", **metadata):
    """google.rpc.ErrorInfo"""
    kind = "type.googleapis.com/google.rpc.ErrorInfo"
    return {"@type": kind, "reason": reason, "domain": domain, "metadata": metadata}


def missing(service):
    message = f"Request is missing required authentication credential. {EXPECTED}"
    return refusal("UNAUTHENTICATED", message, info("CREDENTIALS_MISSING", service=service))


def invalid(service, reason):
    message = f"Request had invalid authentication credentials. {EXPECTED}"
    return refusal("UNAUTHENTICATED", message, info(reason, service=service))


def insufficient(service):
    message = "Request had insufficient authentication scopes."
    return refusal("PERMISSION_DENIED", message, info("ACCESS_TOKEN_SCOPE_INSUFFICIENT", service=service))


def denied(permission, resource):
    message = f"Permission '{permission}' denied for resource '{resource}' (or it may not exist)."
    details = info("IAM_PERMISSION_DENIED", "iam.googleapis.com", permission=permission, resource=resource)
    return refusal("PERMISSION_DENIED", message, details)


def disabled(service, number):
    url = f"https://console.developers.google.com/apis/api/{service}/overview?project={number}"
    message = (
        f"Secret Manager API has not been used in project {number} before or it is disabled. Enable it by visiting "
        f"{url} then retry. If you enabled this API recently, wait a few minutes for the action to propagate to our "
        "systems and retry."
    )
    links = [{"description": "Google developers console API activation", "url": url}]
    activation = {"@type": "type.googleapis.com/google.rpc.Help", "links": links}
    details = info("SERVICE_DISABLED", service=service, consumer=f"projects/{number}")
    return refusal("PERMISSION_DENIED", message, activation, details)


def no_page():
    """Of a path that no service has."""
    return Answer(404, "<!DOCTYPE html><html lang=en><title>Error 404 (Not Found)!!1</title></html>",
                  {"Content-Type": "text/html; charset=UTF-8"})
