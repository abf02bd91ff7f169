"""All that the emulator remembers. One lock guards it."""
import secrets
import threading

import spoilt
from faults import Faults
from web import now

CLOUD_PLATFORM = "https://www.googleapis.com/auth/cloud-platform"


class State:
    def __init__(self):
        self.lock = threading.RLock()
        self.reset()

    def reset(self):
        # by id
        self.projects = {}
        # by project number, location and id; the newest is the last
        self.secrets = {}
        # the public keys by their id, by email
        self.accounts = {}
        # what an identity may do, by email or principal
        self.permissions = {}
        # by the refresh token
        self.users = {}
        # by the subject token, or the access key of AWS
        self.federated = {}
        # the email of the machine's service account
        self.machine = None
        # by the token's text
        self.tokens = {}
        self.token_lifetime = 3599
        # how many secrets a page has at most
        self.page = 25_000
        self.faults = Faults(spoilt.WRONG, spoilt.BODIES)
        self.log = []
        self.confided = set()

    def logged(self, entry):
        with self.lock:
            self.log.append(entry)
        return entry

    def issue(self, identity, scopes=(CLOUD_PLATFORM,), lifetime=None):
        """A token that says nothing to who reads it, and how long it holds."""
        text = f"ya29.{secrets.token_urlsafe(160)}"
        lifetime = lifetime or self.token_lifetime
        self.tokens[text] = {"identity": identity, "scopes": list(scopes), "expires": now() + lifetime}
        return text, lifetime

    def project(self, name):
        """By its id or its number."""
        return next((each for each in self.projects.values() if name in (each["id"], each["number"])), None)
