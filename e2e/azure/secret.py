"""A secret, its versions, and how Key Vault shows them. A version has the attributes, the type and the tags; the list
shows those of the newest version."""
import secrets

from web import now

KEPT = ["contentType", "tags"]


def put(vault, name, given):
    """A new version; a secret that was not there is made."""
    new = {"name": name, "versions": [], "is_deleted": False, "is_managed": False}
    found = vault["secrets"].setdefault(name.lower(), new)
    time = now()
    recovery = {"recoveryLevel": "Recoverable+Purgeable", "recoverableDays": 90}
    made = {"enabled": True, "created": time, "updated": time, **recovery}
    version = {"id": secrets.token_hex(16), "value": given["value"], "attributes": made}
    change(version, given, time)
    found["versions"].append(version)
    return found, version


def change(version, given, time=None):
    version["attributes"] |= {"updated": time or now(), **given.get("attributes", {})}
    version.update({name: given[name] for name in KEPT if name in given})


def version(found, wanted):
    """The newest, if none is wanted."""
    if not wanted:
        return found["versions"][-1]
    return next((version for version in found["versions"] if version["id"] == wanted.lower()), None)


def item(url, found):
    shown = version_item(url, found, found["versions"][-1])
    return {**shown, "id": url(f"secrets/{found['name']}")}


def version_item(url, found, version):
    managed = {"managed": True} if found["is_managed"] else {}
    kept = {name: version[name] for name in KEPT if name in version}
    id = url(f"secrets/{found['name']}/{version['id']}")
    return {"id": id, "attributes": dict(version["attributes"]), **kept, **managed}


def bundle(url, found, version):
    return {"value": version["value"], **version_item(url, found, version)}
