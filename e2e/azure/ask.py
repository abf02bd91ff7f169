"""Asks the emulator what Microsoft's client does not, and shows the answer as JSON.

usage: ask.py request URL JSON    the JSON has `method`, `headers` and `data`
       ask.py assertion JSON      signs an assertion; the JSON changes its `header`, its `claims` or its `key` (a path)
"""
import base64
import json
import os
import sys
import time

import jwt
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes

VARIABLES = ["AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_CLIENT_ID", "AZURE_TENANT_ID"]


def request(url, more):
    answer = requests.request(**{"method": "GET", "url": url, **json.loads(more)})
    return {"status": answer.status_code, "headers": dict(answer.headers), "body": answer.json()}


def assertion(changes):
    """As the documentation of the identity platform has it."""
    path, client, tenant = (os.environ[name] for name in VARIABLES)
    changes = {"header": {}, "claims": {}, "key": path, **json.loads(changes)}
    audience = f"https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token"
    times = {"nbf": int(time.time()), "exp": int(time.time()) + 600}
    claims = {"aud": audience, "iss": client, "sub": client, "jti": "one", **times, **changes["claims"]}
    header = {"x5t#S256": thumbprint(path), "alg": "PS256", **changes["header"]}
    return jwt.encode(claims, contents(changes["key"]), header["alg"], header)


def thumbprint(path):
    certificate = x509.load_pem_x509_certificate(contents(path))
    return base64.urlsafe_b64encode(certificate.fingerprint(hashes.SHA256())).rstrip(b"=").decode()


def contents(path):
    with open(path, "rb") as file:
        return file.read()


action, *words = sys.argv[1:]
print(json.dumps({"request": request, "assertion": assertion}[action](*words)))
