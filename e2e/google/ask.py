"""Asks the emulator what Google's client does not, and shows the answer as JSON.

usage: ask.py request URL JSON    the JSON has `method`, `headers`, `data` and the like
       ask.py signed URL JSON     with a token that the key of GOOGLE_APPLICATION_CREDENTIALS signs; the JSON changes
                                  its `header`, its `claims` (null removes one) or the `key` file that signs
       ask.py exchanged URL JSON  posts such a token for another one (RFC 7523)
"""
import json
import os
import sys
import time

import requests
from google.auth import crypt, jwt


def request(url, more):
    return shown(requests.request(**{"method": "GET", "url": url, **json.loads(more)}))


def signed(url, changes):
    return shown(requests.get(url, headers={"Authorization": f"Bearer {token(changes)}"}))


def exchanged(url, changes):
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": token(changes)}
    return shown(requests.post(url, data=form))


def token(changes):
    """As AIP-4111 has it."""
    changes = {"header": {}, "claims": {}, "key": os.environ["GOOGLE_APPLICATION_CREDENTIALS"], **json.loads(changes)}
    account = contents(os.environ["GOOGLE_APPLICATION_CREDENTIALS"])
    times = {"iat": int(time.time()) - 10, "exp": int(time.time()) + 3500}
    scope = "https://www.googleapis.com/auth/cloud-platform"
    claims = {"iss": account["client_email"], "sub": account["client_email"], "scope": scope, **times}
    claims = {name: value for name, value in (claims | changes["claims"]).items() if value is not None}
    id = changes["header"].get("kid", account["private_key_id"])
    signer = crypt.RSASigner.from_service_account_info(contents(changes["key"]))
    return jwt.encode(signer, claims, changes["header"], id).decode()


def contents(path):
    with open(path) as file:
        return json.load(file)


def shown(answer):
    is_json = answer.headers.get("Content-Type", "").startswith("application/json")
    body = parsed(answer) if is_json else answer.text
    return {"status": answer.status_code, "headers": dict(answer.headers), "body": body}


def parsed(answer):
    """Nothing, if it is no JSON."""
    try:
        return answer.json()
    except ValueError:
        return None


action, *words = sys.argv[1:]
print(json.dumps({"request": request, "signed": signed, "exchanged": exchanged}[action](*words)))
