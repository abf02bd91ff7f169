"""Reads secrets with Google's own client for Python, with every check left on, and shows as JSON what it got.

usage: judge.py ACTION WORD..., where the actions are

list PROJECT [FILTER]                       the names of the secrets
access PROJECT NAME VERSION [LOCATION]      a version's value
version PROJECT NAME VERSION [LOCATION]     when it was made, and its state
"""
import base64
import json
import os
import sys

from google.api_core.exceptions import GoogleAPICallError
from google.auth.exceptions import GoogleAuthError
from google.cloud.secretmanager import SecretManagerServiceClient
from google.protobuf.json_format import ParseError

# A fault shows at once.
ONCE = {"retry": None, "timeout": 20}


def client(location=None):
    """Credentials are the default ones of the application."""
    options = {"api_endpoint": f"secretmanager.{location}.rep.googleapis.com"} if location else {}
    return SecretManagerServiceClient(transport="rest", client_options=options)


def list_all(project, filter="", location=None):
    request = {"parent": parent(project, location), "filter": filter, "page_size": int(os.environ.get("JUDGE_PAGE", 0))}
    return [secret.name for secret in client(location).list_secrets(request, **ONCE)]


def access(project, name, version, location=None):
    answer = client(location).access_secret_version(name=path(project, name, version, location), **ONCE)
    payload = answer.payload
    checked = {"checksum": payload.data_crc32c if "data_crc32c" in payload else None}
    return {"name": answer.name, **shown(payload.data), **checked}


def version(project, name, version, location=None):
    answer = client(location).get_secret_version(name=path(project, name, version, location), **ONCE)
    return {"name": answer.name, "state": answer.state.name, "created": int(answer.create_time.timestamp())}


def parent(project, location):
    return f"projects/{project}" + (f"/locations/{location}" if location else "")


def path(project, name, version, location):
    return f"{parent(project, location)}/secrets/{name}/versions/{version}"


def shown(data):
    try:
        return {"value": data.decode()}
    except UnicodeDecodeError:
        return {"data": base64.b64encode(data).decode()}


def explained(error):
    return {
        "error": type(error).__name__,
        "status": getattr(error, "code", None),
        "reason": getattr(error, "reason", None),
        "message": str(error),
    }


def main(action, *words):
    try:
        return ACTIONS[action](*words)
    except (GoogleAPICallError, GoogleAuthError, ParseError, OSError, ValueError) as error:
        return explained(error)


ACTIONS = {"list": list_all, "access": access, "version": version}
print(json.dumps(main(*sys.argv[1:])))
