"""Requests that fail, and answers that no sound server gives, on demand."""
import json
import re
import threading
import time

from web import Answer


class Faults:
    def __init__(self, wrong, bodies):
        """`wrong` has the changes of JSON that a rule can name, `bodies` what a status says if a rule does not."""
        self.wrong, self.bodies = COMMON | wrong, bodies
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
        return self.spoil(rule, request, real(request)) if "wrong" in rule else self.failure(rule, request, real)

    def take(self, request):
        with self.lock:
            rule = next((rule for rule in self.rules if fits(rule, request)), None)
            if rule:
                rule["count"] += 1
            return rule

    def failure(self, rule, request, real):
        """Without a status, the answer is the real one, late."""
        if "status" not in rule:
            return real(request)
        body = rule.get("body", self.bodies.get(rule["status"], ""))
        return Answer(rule["status"], body, rule.get("headers", {}))

    def spoil(self, rule, request, answer):
        """The real answer, spoilt. A refusal is left as it is, and does not count."""
        if answer.status != 200:
            rule["count"] -= 1
        elif rule["wrong"] in RAW:
            RAW[rule["wrong"]](answer)
        else:
            body = json.loads(answer.body)
            self.wrong[rule["wrong"]](rule, request, body)
            answer.body = json.dumps(body)
        return answer


def fits(rule, request):
    is_left = rule["count"] < rule["times"]
    is_place = re.fullmatch(rule["path"], request.path) and request.host.endswith(rule["host"])
    return is_left and is_place and rule["method"] in ("", request.method)


def html(answer):
    answer.headers["Content-Type"] = "text/html"
    answer.body = "<!DOCTYPE html><html><body>Please sign in to this network.</body></html>"


def truncated(answer):
    answer.body = answer.body[: len(answer.body) // 2]


def without(rule, _request, body):
    body.pop(rule["field"], None)


def with_fields(rule, _request, body):
    body.update(rule["fields"])


RAW = {"html": html, "truncated": truncated}
COMMON = {"without": without, "fields": with_fields}
