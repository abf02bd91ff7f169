"""Google's OAuth server: tokens for who signed in once (a refresh token) and for service accounts (RFC 7523)."""
import bearer
from state import CLOUD_PLATFORM
from web import Answer

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
AUDIENCE = "https://oauth2.googleapis.com/token"


def answer(state, request):
    if request.method != "POST" or request.path != "/token":
        raise Answer(404, "")
    form = request.form()
    grant = GRANTS.get(form.get("grant_type"))
    if grant is None:
        raise refusal("unsupported_grant_type", f"Invalid grant_type: {form.get('grant_type', '')}")
    return grant(state, form)


def refresh(state, form):
    user = state.users.get(form.get("refresh_token"))
    if user is None:
        raise refusal("invalid_grant", "Bad Request")
    if form.get("client_id") != user["client_id"]:
        raise refusal("invalid_client", "The OAuth client was not found.", 401)
    if form.get("client_secret") != user["client_secret"]:
        raise refusal("invalid_client", "Unauthorized", 401)
    return issued(state, user["email"], form.get("scope", CLOUD_PLATFORM))


def assertion(state, form):
    claims = bearer.verified(state, form.get("assertion", ""))
    if claims is None:
        raise refusal("invalid_grant", "Invalid JWT Signature.")
    if claims.get("aud") != AUDIENCE:
        raise refusal("invalid_grant", f"Invalid JWT: Failed audience check. The right audience is {AUDIENCE}")
    return issued(state, claims["iss"], claims.get("scope", ""))


def issued(state, identity, scope):
    token, lifetime = state.issue(identity, scope.split())
    return Answer(200, {"access_token": token, "expires_in": lifetime, "scope": scope, "token_type": "Bearer"})


def refusal(error, description, status=400):
    return Answer(status, {"error": error, "error_description": description})


GRANTS = {"refresh_token": refresh, JWT_BEARER: assertion}
