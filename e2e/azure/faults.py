"""Requests that fail, and answers that no sound server gives, on demand."""
import json
import re
import threading
import time

from web import Answer

# What Key Vault says where a rule does not.
THROTTLED = {
    "error": {
        "code": "Throttled",
        "message": "Request was not processed because too many requests were received. Reason: "
        "VaultRequestTypeLimitReached",
    }
}
BODIES = {429: THROTTLED}


class Faults:
    def __init__(self):
        self.rules = []
        self.lock = threading.Lock()

    def add(self, rule):
        """The rule holds for `times` requests to a path that is all of the regular expression `path`."""
        self.rules.append({"host": "", "method": "", "times": 1, "wait": 0, "count": 0, **rule})

    def answer(self, request, real):
        rule = self.take(request)
        if rule is None:
            return real(request)
        time.sleep(rule["wait"])
        return wrong(rule, request, real(request)) if "wrong" in rule else failure(rule, request, real)

    def take(self, request):
        with self.lock:
            rule = next((rule for rule in self.rules if fits(rule, request)), None)
            if rule:
                rule["count"] += 1
            return rule


def fits(rule, request):
    is_left = rule["count"] < rule["times"]
    is_place = re.fullmatch(rule["path"], request.path) and request.host.endswith(rule["host"])
    return is_left and is_place and rule["method"] in ("", request.method)


def failure(rule, request, real):
    """Without a status, the answer is the real one, late."""
    if "status" not in rule:
        return real(request)
    return Answer(rule["status"], rule.get("body", BODIES.get(rule["status"], "")), rule.get("headers", {}))


def wrong(rule, request, answer):
    """The real answer, spoilt. A challenge is left as it is, and does not count."""
    if answer.status == 200:
        WRONG[rule["wrong"]](rule, request, answer)
    else:
        rule["count"] -= 1
    return answer


def html(_rule, _request, answer):
    answer.headers["Content-Type"] = "text/html"
    answer.body = "<!DOCTYPE html><html><body>Please sign in to this network.</body></html>"


def truncated(_rule, _request, answer):
    answer.body = answer.body[: len(answer.body) // 2]


def changed(change):
    def change_json(rule, request, answer):
        body = json.loads(answer.body)
        change(rule, request, body)
        answer.body = json.dumps(body)

    return change_json


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


def without(rule, _request, body):
    body.pop(rule["field"], None)


def with_fields(rule, _request, body):
    body.update(rule["fields"])


WRONG = {
    "html": html,
    "truncated": truncated,
    "other id": changed(other_id),
    "other vault": changed(other_vault),
    "foreign link": changed(foreign_link),
    "endless": changed(endless),
    "repeated link": changed(repeated_link),
    "empty page": changed(empty_page),
    "without": changed(without),
    "fields": changed(with_fields),
}
