"""The secrets of Key Vault, by its REST reference."""
import re
import urllib.parse

import access
import secret
from web import Answer, now

PAGE = 25
# How long a deleted secret can be recovered, in seconds.
KEPT_FOR = 90 * 86_400
API_VERSION = r"7\.\d(-preview(\.\d)?)?|20\d\d-\d\d-\d\d(-preview(\.\d)?)?"


class Call:
    """A request to a vault, by whom."""

    def __init__(self, state, request):
        self.request = request
        self.vault = state.vaults[request.host]
        self.caller = access.caller(state, self.vault, request)
        self.parts = [part for part in request.path.split("/") if part]

    def allow(self, permission, name=None):
        access.check(self.vault, self.caller, permission, name)

    def url(self, path):
        return f"https://{self.vault['host']}/{path}"


def answer(state, request):
    call = Call(state, request)
    check_api_version(request)
    return operation(call)(call, *call.parts[1:])


def check_api_version(request):
    version = request.query.get("api-version")
    if version is None:
        raise refusal(400, "BadParameter", "api-version must be specified")
    if not re.fullmatch(API_VERSION, version):
        raise refusal(400, "BadParameter", f"The specified version ({version}) is not recognized. Consider using the "
                      "latest supported version (2025-07-01).")


def operation(call):
    match call.request.method, call.parts:
        case "GET", ["secrets"]:
            return list_secrets
        case "GET", ["secrets", _, "versions"]:
            return list_versions
        case "GET", ["secrets", _] | ["secrets", _, _]:
            return get
        case "PUT", ["secrets", _]:
            return put
        case "PATCH", ["secrets", _] | ["secrets", _, _]:
            return change
        case "DELETE", ["secrets", _]:
            return delete
    raise refusal(404, "NotFound", "Not found")


def list_secrets(call):
    call.allow("list")
    shown = [each for _, each in sorted(call.vault["secrets"].items()) if not each["is_deleted"]]
    return page(call, [secret.item(call.url, each) for each in shown])


def list_versions(call, name, _):
    call.allow("list")
    found = existing(call.vault, name)
    return page(call, [secret.version_item(call.url, found, version) for version in found["versions"]])


def page(call, items):
    size = int(call.request.query.get("maxresults", PAGE))
    if not 1 <= size <= PAGE:
        raise refusal(400, "BadParameter", f"maxresults must be between 1 and {PAGE}")
    start = offset(call.request.query.get("$skiptoken"))
    end = start + size
    return Answer(200, {"value": items[start:end], "nextLink": next_link(call, end) if end < len(items) else None})


def offset(token):
    if token is None:
        return 0
    try:
        return int(token, 16)
    except ValueError:
        raise refusal(400, "BadParameter", "Invalid skiptoken")


def next_link(call, start):
    """With the port, as Key Vault writes it."""
    kept = {name: value for name, value in call.request.query.items() if name != "$skiptoken"}
    query = urllib.parse.urlencode({**kept, "$skiptoken": f"{start:016x}"}, safe="$")
    return f"https://{call.vault['host']}:443/{'/'.join(call.parts)}?{query}"


def get(call, name, version=None):
    call.allow("get", legal(name))
    found = existing(call.vault, name)
    chosen = secret.version(found, version)
    if chosen is None:
        raise not_found(f"{name}/{version}")
    if not chosen["attributes"]["enabled"]:
        raise refusal(403, "Forbidden", "Operation get is not allowed on a disabled secret.", "SecretDisabled")
    return Answer(200, secret.bundle(call.url, found, chosen))


def put(call, name):
    call.allow("set", legal(name))
    given = call.request.json()
    if not isinstance(given.get("value"), str):
        raise refusal(400, "BadParameter", "Property value is required.")
    if name.lower() in call.vault["secrets"] and call.vault["secrets"][name.lower()]["is_deleted"]:
        raise refusal(409, "Conflict", f"Secret {name} is currently in a deleted but recoverable state, and its "
                      "name cannot be reused; in this state, the secret can only be recovered or purged.",
                      "ObjectIsDeletedButRecoverable")
    found, version = secret.put(call.vault, name, given)
    return Answer(200, secret.bundle(call.url, found, version))


def change(call, name, version=None):
    call.allow("set", legal(name))
    found = existing(call.vault, name)
    chosen = secret.version(found, version)
    if chosen is None:
        raise not_found(f"{name}/{version}")
    secret.change(chosen, call.request.json())
    shown = secret.bundle(call.url, found, chosen)
    del shown["value"]
    return Answer(200, shown)


def delete(call, name):
    call.allow("delete", legal(name))
    found = existing(call.vault, name)
    found["is_deleted"] = True
    shown = secret.version_item(call.url, found, found["versions"][-1])
    time = now()
    dates = {"deletedDate": time, "scheduledPurgeDate": time + KEPT_FOR}
    return Answer(200, {"recoveryId": call.url(f"deletedsecrets/{found['name']}"), **dates, **shown})


def existing(vault, name):
    found = vault["secrets"].get(legal(name).lower())
    if found is None or found["is_deleted"]:
        raise not_found(name)
    return found


def legal(name):
    if not re.fullmatch("[0-9A-Za-z-]{1,127}", name):
        raise refusal(400, "BadParameter", f"The request URI contains an invalid name: {name}")
    return name


def not_found(name):
    return refusal(404, "SecretNotFound", f"A secret with (name/id) {name} was not found in this key vault. If you "
                   "recently deleted this secret you may be able to recover it using the correct recovery command. For "
                   "help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182")


def refusal(status, code, message, inner=None):
    error = {"code": code, "message": message}
    return Answer(status, {"error": error | ({"innererror": {"code": inner}} if inner else {})})
