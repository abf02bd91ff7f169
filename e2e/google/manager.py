"""The secrets of Secret Manager, by its REST reference."""
import base64
import re

import bearer
import refusals
import secret
from refusals import refusal
from web import Answer

GLOBAL = "secretmanager.googleapis.com"
REGIONAL = r"secretmanager\.([a-z0-9-]+)\.rep\.googleapis\.com"
PARENT = "/v1/projects/(?P<project>[^/]+)(/locations/(?P<location>[^/]+))?/secrets"
VERSION = f"{PARENT}/(?P<id>[^/]+)/versions/(?P<version>[^/:]+)"
LARGEST_PAGE = 25_000
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
            raise invalid("Request contains an invalid argument.")
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
    return page(call, [secret.shown(each) for each in chosen], is_filtered=wanted != [""])


def parts_of_names(filter):
    """Such as `name:first OR name:second`. Other filters are not known here."""
    terms = [re.fullmatch(r'name:"?([A-Za-z0-9_-]+)"?', term) for term in filter.split(" OR ")]
    if filter and None in terms:
        raise invalid("Request contains an invalid argument.")
    return [term[1] for term in terms] if filter else [""]


def page(call, items, is_filtered):
    """The total is that of all secrets, and unknown behind a filter."""
    start, end = bounds(call)
    total = {} if is_filtered or not items else {"totalSize": len(items)}
    more = {"nextPageToken": token(end)} if end < len(items) else {}
    shown = {"secrets": items[start:end]} if items[start:end] else {}
    return Answer(200, shown | more | total)


def bounds(call):
    try:
        size = int(call.request.query.get("pageSize", 0))
        start = offset(call.request.query.get("pageToken"))
    except ValueError:
        raise invalid("Request contains an invalid argument.")
    if size < 0:
        raise invalid("Request contains an invalid argument.")
    return start, start + min(size or LARGEST_PAGE, call.state.page)


def token(start):
    return base64.urlsafe_b64encode(f"after {start}".encode()).decode()


def offset(token):
    return int(base64.urlsafe_b64decode(token).decode().removeprefix("after ")) if token else 0


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
