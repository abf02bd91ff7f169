"""The Security Token Service: a token of another issuer, or a signed request to AWS, for one of Google's (RFC 8693)."""
import aws
from web import Answer

EXPECTED = {
    "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
    "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
}
REQUIRED = ["audience", "scope", "subject_token", "subject_token_type"]
AWS_REQUEST = "urn:ietf:params:aws:token-type:aws4_request"


def answer(state, request):
    if request.method != "POST" or request.path != "/v1/token":
        raise Answer(404, "")
    form = request.form()
    check(form)
    known = registered(state, form)
    if known is None or known["audience"] != form["audience"]:
        raise refusal("invalid_grant", "The given credential is rejected by the attribute condition.")
    if known["kind"] != form["subject_token_type"]:
        raise refusal("invalid_request", "Invalid value for subject_token_type.")
    return issued(state, known["principal"], form["scope"])


def check(form):
    for name, value in EXPECTED.items():
        if form.get(name) != value:
            raise refusal("invalid_request", f"Invalid value for {name}.")
    for name in REQUIRED:
        if not form.get(name):
            raise refusal("invalid_request", f"Missing required parameter: {name}.")


def registered(state, form):
    if form["subject_token_type"] != AWS_REQUEST:
        return state.federated.get(form["subject_token"])
    try:
        return aws.signer(state, form["subject_token"], form["audience"])
    except (aws.Unsound, ValueError, KeyError) as error:
        raise refusal("invalid_grant", f"Unable to process the AWS security token: {error}")


def issued(state, principal, scope):
    token, lifetime = state.issue(principal, scope.split())
    kinds = {"issued_token_type": EXPECTED["requested_token_type"], "token_type": "Bearer"}
    return Answer(200, {"access_token": token, "expires_in": lifetime, **kinds})


def refusal(error, description):
    return Answer(400, {"error": error, "error_description": description})
