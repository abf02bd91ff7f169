"""IAM credentials: tokens of a service account for who may have them."""
import re

import bearer
import refusals
import secret
from state import CLOUD_PLATFORM
from web import Answer, now

PATH = "/v1/projects/-/serviceAccounts/([^/:]+):generateAccessToken"
PERMISSION = "iam.serviceAccounts.getAccessToken"
LONGEST = 3600
SCOPES = [CLOUD_PLATFORM, "https://www.googleapis.com/auth/iam"]


def answer(state, request):
    path = re.fullmatch(PATH, request.path)
    if path is None or request.method != "POST":
        raise refusals.no_page()
    check_permission(state, bearer.identity(state, request, SCOPES), path[1])
    scopes, lifetime = wanted(request.json())
    token, lifetime = state.issue(path[1], scopes, lifetime)
    return Answer(200, {"accessToken": token, "expireTime": secret.whole(now() + lifetime)})


def check_permission(state, identity, email):
    if email not in state.permissions.get(identity, {}).get("impersonate", []):
        message = f"Permission '{PERMISSION}' denied on resource (or it may not exist)."
        details = refusals.info("IAM_PERMISSION_DENIED", "iam.googleapis.com", permission=PERMISSION)
        raise refusals.refusal("PERMISSION_DENIED", message, details)


def wanted(body):
    lifetime = re.fullmatch(r"(\d+)s", body.get("lifetime", f"{LONGEST}s"))
    if not body.get("scope") or lifetime is None or not 0 < int(lifetime[1]) <= LONGEST:
        raise refusals.refusal("INVALID_ARGUMENT", "Request contains an invalid argument.")
    return body["scope"], int(lifetime[1])
