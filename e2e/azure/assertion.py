"""Assertions by which an application proves who it is (RFC 7523): signed with its certificate, or a token of an issuer
that the application trusts."""
import base64
import json

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from refusals import Refused
from web import now

# Clocks differ.
LEEWAY = 300
PADDINGS = {
    "RS256": padding.PKCS1v15(),
    "PS256": padding.PSS(padding.MGF1(hashes.SHA256()), hashes.SHA256.digest_size),
}
THUMBPRINTS = {"x5t": hashes.SHA1(), "x5t#S256": hashes.SHA256()}


def prove(text, client, endpoint):
    if text in client["federated"]:
        return
    header, claims = parsed(text)
    if not THUMBPRINTS.keys() & header.keys():
        raise Refused(70021, claims.get("iss"), claims.get("sub"), claims.get("aud"))
    verify(text, header, certificate(header, client))
    check(claims, client["client"], endpoint)


def parsed(text):
    """An issuer's token may be anything here; then both are empty."""
    try:
        header, claims, _ = text.split(".")
        return json.loads(decoded(header)), json.loads(decoded(claims))
    except ValueError:
        return {}, {}


def certificate(header, client):
    for pem in client["certificates"]:
        candidate = x509.load_pem_x509_certificate(pem.encode())
        if all(is_of(candidate, name, header[name]) for name in THUMBPRINTS if name in header):
            return unexpired(candidate)
    raise Refused(700027, "The key was not found.")


def unexpired(candidate):
    if candidate.not_valid_after_utc.timestamp() < now():
        raise Refused(700027, "The key used is expired.")
    return candidate


def is_of(candidate, name, thumbprint):
    """Microsoft's own client pads it, which RFC 7515 does not."""
    own = base64.urlsafe_b64encode(candidate.fingerprint(THUMBPRINTS[name])).decode()
    return own.rstrip("=") == thumbprint.rstrip("=")


def verify(text, header, signer):
    if header.get("alg") not in PADDINGS:
        raise Refused(5002738, header.get("alg"))
    signed, _, signature = text.rpartition(".")
    try:
        signer.public_key().verify(decoded(signature), signed.encode(), PADDINGS[header["alg"]], hashes.SHA256())
    except InvalidSignature:
        raise Refused(700027, "The provided signature value did not match the expected signature value.")


def check(claims, client, endpoint):
    if not (claims.get("iss") == claims.get("sub") == client):
        raise Refused(700021)
    if claims.get("aud") != endpoint:
        raise Refused(700023)
    if not claims.get("jti"):
        raise Refused(50027)
    if not claims.get("nbf", 0) - LEEWAY <= now() < claims.get("exp", 0) + LEEWAY:
        raise Refused(700024)


def decoded(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
