"""Answers that Secret Manager does not give, and what it says where a rule does not."""
import pages
import refusals

QUOTA = (
    "Quota exceeded for quota metric 'Secret access requests' and limit 'Secret access requests per minute' of service "
    "'secretmanager.googleapis.com' for consumer 'project_number:123456789012'."
)
LIMITED = refusals.info("RATE_LIMIT_EXCEEDED", service="secretmanager.googleapis.com")
# By the status.
BODIES = {
    429: refusals.body("RESOURCE_EXHAUSTED", QUOTA, LIMITED),
    500: refusals.body("INTERNAL", "Internal error encountered."),
    503: refusals.body("UNAVAILABLE", "The service is currently unavailable."),
}


def other_checksum(_rule, _request, body):
    body["payload"]["dataCrc32c"] = str(int(body["payload"]["dataCrc32c"]) ^ 1)


def no_checksum(_rule, _request, body):
    del body["payload"]["dataCrc32c"]


def other_name(_rule, _request, body):
    """Of a list, the first one's."""
    item = body["secrets"][0] if "secrets" in body else body
    head, _, tail = item["name"].partition("/secrets/")
    item["name"] = "/".join([head, "secrets", "another-secret", *tail.split("/")[1:]])


def other_project(_rule, _request, body):
    item = body["secrets"][0] if "secrets" in body else body
    item["name"] = "/".join(["projects", "999999999999", *item["name"].split("/")[2:]])


def no_payload(_rule, _request, body):
    del body["payload"]


def no_base64(_rule, _request, body):
    body["payload"]["data"] = "*"


def endless(rule, _request, body):
    """It goes on for ever, and no token is as another; each leads to the first page."""
    body["nextPageToken"] = pages.token(0, rule["count"])


def repeated_token(_rule, _request, body):
    body["nextPageToken"] = pages.token(0)


def empty_page(_rule, _request, body):
    """This is sound: a page may be empty and have a next one."""
    body.pop("secrets", None)
    repeated_token(_rule, _request, body)


WRONG = {
    "other checksum": other_checksum,
    "no checksum": no_checksum,
    "other name": other_name,
    "other project": other_project,
    "no payload": no_payload,
    "no base64": no_base64,
    "endless": endless,
    "repeated token": repeated_token,
    "empty page": empty_page,
}
