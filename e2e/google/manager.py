"""The secrets of Secret Manager, by its REST reference."""
import re

import bearer
import pages
import refusals
import secret
from refusals import refusal
from web import Answer

GLOBAL = "secretmanager.googleapis.com"
REGIONAL = r"secretmanager\.([a-z0-9-]+)\.rep\.googleapis\.com"
PARENT = "/v1/projects/(?P<project>[^/]+)(/locations/(?P<location>[^/]+))?/secrets"
VERSION = f"{PARENT}/(?P<id>[^/]+)/versions/(?P<version>[^/:]+)"
ARGUMENT = "Request contains an invalid argument."
# Enumerations as numbers.
NUMBERS = "json;enum-encoding=int"


class Call:
    """A request to Secret Manager, by whom."""

    def __init__(self, state, request, path):
        self.state, self.request = state, request
        self.identity = bearer.identity(state, request)
        self.parts = path.groupdict()
        self.location = self.parts["location"] or ""
        if self.location != region(request.host):
            raise invalid(ARGUMENT)
        self.project = state.project(self.parts["project"])

    def allow(self, permission, resource, id=None):
        if self.project is None:
            raise refusals.denied(PERMISSIONS[permission], resource)
        if not self.project["is_enabled"]:
            raise refusals.disabled(GLOBAL, self.project["number"])
        granted = self.state.permissions.get(self.identity, {}).get(permission, False)
        if granted is not True and not (isinstance(granted, list) and id in granted):
            raise refusals.denied(PERMISSIONS[permission], resource)

    @property
    def place(self):
        return self.project["number"], self.location


PERMISSIONS = {
    "list": "secretmanager.secrets.list",
    "access": "secretmanager.versions.access",
    "versions": "secretmanager.versions.get",
}


def is_host(host):
    return host == GLOBAL or re.fullmatch(REGIONAL, host)


def region(host):
    found = re.fullmatch(REGIONAL, host)
    return found[1] if found else ""


def answer(state, request):
    for pattern, operation in OPERATIONS.items():
        path = re.fullmatch(pattern, request.path)
        if path and request.method == "GET":
            return operation(Call(state, request, path))
    raise refusals.no_page()


def list_secrets(call):
    call.allow("list", f"projects/{call.parts['project']}")
    wanted = parts_of_names(call.request.query.get("filter", ""))
    found = secret.listed(call.state, *call.place)
    chosen = [each for each in found if any(part in each["id"] for part in wanted)]
    return listed(call, [secret.shown(each) for each in chosen], is_filtered=wanted != [""])


def parts_of_names(filter):
    """Such as `name:first OR name:second`. Other filters are not known here."""
    terms = [re.fullmatch(r'name:"?([A-Za-z0-9_-]+)"?', term) for term in filter.split(" OR ")]
    if filter and None in terms:
        raise invalid(ARGUMENT)
    return [term[1] for term in terms] if filter else [""]


def listed(call, items, is_filtered):
    """The total is that of all secrets, and unknown behind a filter."""
    try:
        shown, token = pages.page(items, call.request.query, call.state.page)
    except ValueError:
        raise invalid(ARGUMENT)
    answer = {"secrets": shown, "nextPageToken": token, "totalSize": 0 if is_filtered else len(items)}
    # What has no value is not in the JSON of proto3.
    return Answer(200, {name: value for name, value in answer.items() if value})


def access(call):
    found, version = chosen(call, "access")
    if version["state"] != "ENABLED":
        message = f"Secret Version [{secret.version_name(found, version)}] is in {version['state']} state."
        raise refusal("FAILED_PRECONDITION", message)
    return Answer(200, secret.payload(found, version))


def version(call):
    found, version = chosen(call, "versions")
    answer = secret.version_shown(found, version)
    if call.request.query.get("$alt") == NUMBERS:
        answer["state"] = secret.STATES.index(answer["state"])
    return Answer(200, answer)


def chosen(call, permission):
    id, wanted = call.parts["id"], call.parts["version"]
    call.allow(permission, call.request.path.removeprefix("/v1/").partition(":")[0], id)
    if not re.fullmatch("[A-Za-z0-9_-]{1,255}", id):
        raise invalid(f"Resource ID [{secret.name(*call.place, id)}] is not in a valid format.")
    found = call.state.secrets.get((*call.place, id))
    if found is None or not found["versions"]:
        raise refusal("NOT_FOUND", f"Secret [{secret.name(*call.place, id)}] not found or has no versions.")
    version = secret.version(found, wanted)
    if version is None:
        raise refusal("NOT_FOUND", f"Secret Version [{secret.name(*call.place, id)}/versions/{wanted}] not found.")
    return found, version


def invalid(message):
    return refusal("INVALID_ARGUMENT", message)


OPERATIONS = {PARENT: list_secrets, VERSION: version, f"{VERSION}:access": access}
