"""Answers that no vault gives, and what Key Vault says where a rule does not."""
import re

THROTTLED = {
    "error": {
        "code": "Throttled",
        "message": "Request was not processed because too many requests were received. Reason: "
        "VaultRequestTypeLimitReached",
    }
}
# By the status.
BODIES = {429: THROTTLED}


def other_id(_rule, _request, body):
    """Of a list, the first one's."""
    item = body["value"][0] if isinstance(body["value"], list) else body
    item["id"] = re.sub("(?<=/secrets/)[^/]+", "another-secret", item["id"])


def other_vault(rule, _request, body):
    item = body["value"][0] if isinstance(body["value"], list) else body
    item["id"] = re.sub("(?<=https://)[^/]+", rule["to"], item["id"])


def foreign_link(rule, request, body):
    body["nextLink"] = f"https://{rule['to']}{request.target}&$skiptoken=Zm9yZWlnbg"


def endless(rule, request, body):
    """It goes on for ever, and no link is as another."""
    target = request.target.split("&endless=")[0]
    body["nextLink"] = f"https://{request.host}{target}&endless={rule['count']}"


def repeated_link(_rule, request, body):
    body["nextLink"] = f"https://{request.host}{request.target}"


def empty_page(_rule, request, body):
    """This is sound: a page may be empty and have a next one, here itself."""
    body["value"] = []
    repeated_link(_rule, request, body)


WRONG = {
    "other id": other_id,
    "other vault": other_vault,
    "foreign link": foreign_link,
    "endless": endless,
    "repeated link": repeated_link,
    "empty page": empty_page,
}
