"""The metadata service of a machine, as far as it is about its service account."""
from state import CLOUD_PLATFORM
from web import Answer

FLAVOR = {"Metadata-Flavor": "Google"}
PAGE = {**FLAVOR, "Content-Type": "text/html; charset=UTF-8"}
ACCOUNTS = "/computeMetadata/v1/instance/service-accounts/"


def metadata(state, request):
    """Who asks for more than whether it is there says that it knows whom it asks."""
    if request.path == "/":
        return told("computeMetadata/\n")
    if request.headers.get("Metadata-Flavor") != "Google" or "X-Forwarded-For" in request.headers:
        return Answer(403, "Forbidden: Missing Metadata-Flavor:Google header.", PAGE)
    return resource(state, request) or Answer(404, "Not Found", PAGE)


def resource(state, request):
    if request.path == "/computeMetadata/v1/universe/universe-domain":
        return told("googleapis.com")
    if request.path == "/computeMetadata/v1/project/project-id" and state.projects:
        return told(next(iter(state.projects)))
    account, _, rest = request.path.removeprefix(ACCOUNTS).partition("/")
    if not state.machine or account not in ("default", state.machine["email"]):
        return None
    return RESOURCES[rest](state, request) if rest in RESOURCES else None


def token(state, request):
    scopes = request.query.get("scopes", CLOUD_PLATFORM).split(",")
    text, lifetime = state.issue(state.machine["email"], scopes, state.machine["lifetime"])
    return Answer(200, {"access_token": text, "expires_in": lifetime, "token_type": "Bearer"}, FLAVOR)


def account(state, _request):
    about = {"aliases": ["default"], "email": state.machine["email"], "scopes": [CLOUD_PLATFORM]}
    return Answer(200, about, FLAVOR)


def email(state, _request):
    return told(state.machine["email"])


def told(text):
    return Answer(200, text, {**FLAVOR, "Content-Type": "application/text"})


RESOURCES = {"token": token, "email": email, "": account}
