"""A secret, its versions, and how Secret Manager shows them."""
import base64
from datetime import datetime, timezone

from crc32c import crc32c
from web import now

# In the order of their numbers.
STATES = ["STATE_UNSPECIFIED", "ENABLED", "DISABLED", "DESTROYED"]

def put(state, number, location, id, data):
    """A new version; a secret that was not there is made."""
    new = {"number": number, "location": location, "id": id, "created": now(), "versions": [], "aliases": {}}
    found = state.secrets.setdefault((number, location, id), new)
    version = {"number": len(found["versions"]) + 1, "data": data, "created": now(), "state": "ENABLED"}
    found["versions"].append(version)
    return version


def listed(state, number, location):
    """The newest first."""
    return [each for (*place, _), each in reversed(state.secrets.items()) if place == [number, location]]


def version(found, wanted):
    """The latest is the one made last, whatever its state."""
    if wanted == "latest":
        return found["versions"][-1]
    number = found["aliases"].get(wanted, wanted)
    return next((each for each in found["versions"] if str(each["number"]) == str(number)), None)


def name(number, location, id):
    below = f"/locations/{location}" if location else ""
    return f"projects/{number}{below}/secrets/{id}"


def full_name(found):
    return name(found["number"], found["location"], found["id"])


def version_name(found, version):
    return f"{full_name(found)}/versions/{version['number']}"


def shown(found):
    replication = {} if found["location"] else {"replication": {"automatic": {}}}
    aliases = {"versionAliases": {alias: str(number) for alias, number in found["aliases"].items()}}
    return {
        "name": full_name(found),
        "createTime": date(found["created"]),
        "etag": etag(found["created"]),
        **replication,
        **(aliases if found["aliases"] else {}),
    }


def version_shown(found, version):
    replication = {} if found["location"] else {"replicationStatus": {"automatic": {}}}
    return {
        "name": version_name(found, version),
        "createTime": date(version["created"]),
        "state": version["state"],
        "etag": etag(version["created"]),
        "clientSpecifiedPayloadChecksum": True,
        **replication,
    }


def payload(found, version):
    """A number of 64 bits is a string in the JSON of proto3."""
    data = base64.b64encode(version["data"]).decode()
    checked = {"data": data, "dataCrc32c": str(crc32c(version["data"]))}
    return {"name": version_name(found, version), "payload": checked}


def date(seconds):
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000000Z")


def etag(seconds):
    return f'"{seconds:x}"'


def whole(seconds):
    """Whole seconds have no fraction."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
