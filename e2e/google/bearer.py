"""Who asks: the bearer of a token that was issued here, or of one that a service account signed itself (AIP-4111)."""
import base64
import json
import re

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

import refusals
from state import CLOUD_PLATFORM
from web import now

# Clocks differ.
LEEWAY = 300
LONGEST = 3600
REGION = r"secretmanager\.[a-z0-9-]+\.rep(?=\.)"


def identity(state, request, scopes=(CLOUD_PLATFORM,)):
    """Any of the scopes is enough."""
    asks, has = bearer(state, request)
    if not set(scopes) & set(has):
        raise refusals.insufficient(request.host)
    return asks


def bearer(state, request):
    """The identity, and the scopes of its token."""
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not text:
        raise refusals.missing(request.host)
    if text.count(".") == 2:
        return self_signed(state, request.host, text)
    return issued(state, request.host, text)


def issued(state, host, text):
    token = state.tokens.get(text)
    if token is None:
        raise refusals.invalid(host, "ACCESS_TOKEN_TYPE_UNSUPPORTED")
    if token["expires"] <= now():
        raise refusals.invalid(host, "ACCESS_TOKEN_EXPIRED")
    return token["identity"], token["scopes"]


def self_signed(state, host, text):
    claims = verified(state, text)
    if claims is None or not is_for(host, claims):
        raise refusals.invalid(host, "ACCESS_TOKEN_TYPE_UNSUPPORTED")
    return claims["iss"], claims.get("scope", CLOUD_PLATFORM).split()


def is_for(host, claims):
    """Of an audience and scopes, there is one. The audience is the service, not the region where it is asked."""
    audience = re.sub(REGION, "secretmanager", f"https://{host}/")
    return ("scope" in claims) != ("aud" in claims) and claims.get("aud", audience) == audience


def verified(state, text):
    """The claims, if they are in force and signed with a key of the account that makes them."""
    header, claims = parsed(text)
    key = state.accounts.get(claims.get("iss"), {}).get(header.get("kid"))
    is_sound = key and header.get("alg") == "RS256" and claims.get("sub") == claims["iss"] and is_in_force(claims)
    return claims if is_sound and is_signed(text, key) else None


def parsed(text):
    try:
        header, claims, _ = text.split(".")
        return json.loads(decoded(header)), json.loads(decoded(claims))
    except ValueError:
        return {}, {}


def is_in_force(claims):
    start, end = claims.get("iat", 0), claims.get("exp", 0)
    return start - LEEWAY <= now() < end + LEEWAY and 0 < end - start <= LONGEST


def is_signed(text, pem):
    signed, _, signature = text.rpartition(".")
    key = serialization.load_pem_public_key(pem)
    try:
        key.verify(decoded(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


def decoded(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
