"""All that the emulator remembers. One lock guards it."""
import secrets
import threading

import spoilt
from faults import Faults
from web import now


class State:
    def __init__(self):
        self.lock = threading.RLock()
        self.reset()

    def reset(self):
        # by id
        self.tenants = {}
        # by tenant and id
        self.clients = {}
        # in the order of their assignment
        self.identities = []
        # by host
        self.vaults = {}
        # by the token's text
        self.tokens = {}
        self.token_lifetime = 3599
        # what App Service expects as X-IDENTITY-HEADER
        self.identity_header = secrets.token_hex(16).upper()
        self.faults = Faults(spoilt.WRONG, spoilt.BODIES)
        self.log = []
        self.confided = set()

    def logged(self, entry):
        with self.lock:
            self.log.append(entry)
        return entry

    def issue(self, principal, audience, lifetime=None):
        """A token that says nothing to who reads it, and what is known of it."""
        text = secrets.token_urlsafe(192)
        token = {name: principal[name] for name in ["tenant", "client", "object"]}
        token |= {"audience": audience, "expires": now() + (lifetime or self.token_lifetime)}
        self.tokens[text] = token
        return text, token
