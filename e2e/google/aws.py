"""A request to AWS by which a workload there says who it is. Google would send it; here its signature is verified
(Signature Version 4)."""
import hashlib
import hmac
import json
import re
import urllib.parse

AUTHORIZATION = (
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<scope>(?P<day>\d{8})/(?P<region>[^/]+)/sts/aws4_request), ?"
    r"SignedHeaders=(?P<headers>[^,]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)
QUERY = "Action=GetCallerIdentity&Version=2011-06-15"
# Google's own client does not sign x-goog-cloud-target-resource.
SIGNED = {"host", "x-amz-date"}


class Unsound(Exception):
    pass


def signer(state, token, audience):
    """What is known of the access key."""
    request = json.loads(urllib.parse.unquote(token))
    headers = {header["key"].lower(): header["value"] for header in request["headers"]}
    signed = re.fullmatch(AUTHORIZATION, headers["authorization"])
    check(request, headers, signed, audience)
    known = state.federated.get(signed["key"])
    if known and signature(known["secret_key"], headers, signed) != signed["signature"]:
        raise Unsound("the signature does not match")
    return known


def check(request, headers, signed, audience):
    must = SIGNED | {"x-amz-security-token"} & headers.keys()
    if signed is None or not must <= set(signed["headers"].split(";")):
        raise Unsound("the signature does not cover what it must")
    host = f"sts.{signed['region']}.amazonaws.com"
    if request["method"] != "POST" or request["url"] != f"https://{host}?{QUERY}":
        raise Unsound("it is not a request for the caller's identity")
    if headers["host"] != host or headers["x-goog-cloud-target-resource"] != audience:
        raise Unsound("it is for another service")


def signature(secret_key, headers, signed):
    names = signed["headers"].split(";")
    lines = [f"{name}:{headers[name].strip()}" for name in names]
    canonical = "\n".join(["POST", "/", QUERY, *lines, "", ";".join(names), sha256("")])
    text = "\n".join(["AWS4-HMAC-SHA256", headers["x-amz-date"], signed["scope"], sha256(canonical)])
    key = f"AWS4{secret_key}".encode()
    for part in signed["scope"].split("/"):
        key = mac(key, part)
    return mac(key, text).hex()


def mac(key, text):
    return hmac.digest(key, text.encode(), "sha256")


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()
