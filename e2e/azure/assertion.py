"""Assertions by which an application proves who it is (RFC 7523): signed with its certificate, or a token of an issuer
that the application trusts."""
import base64
import json

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from web import now

# Clocks differ.
LEEWAY = 300
PADDINGS = {
    "RS256": padding.PKCS1v15(),
    "PS256": padding.PSS(padding.MGF1(hashes.SHA256()), hashes.SHA256.digest_size),
}
THUMBPRINTS = {"x5t": hashes.SHA1(), "x5t#S256": hashes.SHA256()}


class Rejected(Exception):
    def __init__(self, code, text, status=401, error="invalid_client"):
        self.code, self.text, self.status, self.error = code, text, status, error


def prove(text, client, endpoint):
    if text in client["federated"]:
        return
    header, claims = parsed(text)
    if not THUMBPRINTS.keys() & header.keys():
        raise Rejected(70021, "No matching federated identity record found for presented assertion. Assertion Issuer: "
                       f"'{claims.get('iss')}'. Assertion Subject: '{claims.get('sub')}'. Assertion Audience: "
                       f"'{claims.get('aud')}'. https://learn.microsoft.com/entra/workload-id/workload-identity-federation",
                       400, "invalid_request")
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
        if all(header[name] == thumbprint(candidate, name) for name in THUMBPRINTS if name in header):
            return candidate
    raise unregistered("The key was not found.")


def thumbprint(candidate, name):
    return base64.urlsafe_b64encode(candidate.fingerprint(THUMBPRINTS[name])).rstrip(b"=").decode()


def verify(text, header, signer):
    if header.get("alg") not in PADDINGS:
        raise Rejected(5002738, f"Invalid JWT token. Unsupported algorithm '{header.get('alg')}'.")
    signed, _, signature = text.rpartition(".")
    try:
        signer.public_key().verify(decoded(signature), signed.encode(), PADDINGS[header["alg"]], hashes.SHA256())
    except InvalidSignature:
        raise unregistered("The provided signature value did not match the expected signature value.")


def unregistered(reason):
    return Rejected(700027, "The certificate with identifier used to sign the client assertion is not registered on "
                    f"application. [Reason - {reason}]")


def check(claims, client, endpoint):
    if not (claims.get("iss") == claims.get("sub") == client):
        raise Rejected(700021, "Client assertion application identifier doesn't match 'client_id' parameter.")
    if claims.get("aud") != endpoint:
        raise Rejected(700023, "Client assertion audience claim does not match Realm issuer.")
    if not claims.get("jti"):
        raise Rejected(50027, "JWT token is invalid or malformed.", 400, "invalid_request")
    if not claims.get("nbf", 0) - LEEWAY <= now() < claims.get("exp", 0) + LEEWAY:
        raise Rejected(700024, "Client assertion is not within its valid time range.")


def decoded(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
