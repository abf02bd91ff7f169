"""What Entra ID answers when it gives no token, by the number of the error."""
import uuid
from datetime import datetime, timezone

from web import Answer

BY_NUMBER = {
    50027: (400, "invalid_request", "JWT token is invalid or malformed."),
    70003: (400, "unsupported_grant_type", "The app requested an unsupported grant type '{}'."),
    70021: (
        400,
        "invalid_request",
        "No matching federated identity record found for presented assertion. Assertion Issuer: '{}'. Assertion "
        "Subject: '{}'. Assertion Audience: '{}'. "
        "https://learn.microsoft.com/entra/workload-id/workload-identity-federation",
    ),
    90002: (
        400,
        "invalid_request",
        "Tenant '{}' not found. Check to make sure you have the correct tenant ID and are signing into the correct "
        "cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for "
        "the tenant.",
    ),
    500011: (400, "invalid_resource", "The resource principal named {} was not found in the tenant named {}."),
    700016: (
        400,
        "unauthorized_client",
        "Application with identifier '{}' was not found in the directory '{}'. This can happen if the application has "
        "not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have "
        "sent your authentication request to the wrong tenant.",
    ),
    700021: (
        401,
        "invalid_client",
        "Client assertion application identifier doesn't match 'client_id' parameter.",
    ),
    700023: (401, "invalid_client", "Client assertion audience claim does not match Realm issuer."),
    700024: (401, "invalid_client", "Client assertion is not within its valid time range."),
    700027: (
        401,
        "invalid_client",
        "The certificate with identifier used to sign the client assertion is not registered on application. "
        "[Reason - {}]",
    ),
    900144: (400, "invalid_request", "The request body must contain the following parameter: '{}'."),
    900561: (400, "invalid_request", "The endpoint only accepts POST requests."),
    1002012: (
        400,
        "invalid_scope",
        "The provided value for scope {} is not valid. Client credential flows must have a scope value with /.default "
        "suffixed to the resource identifier (application ID URI).",
    ),
    5002738: (401, "invalid_client", "Invalid JWT token. Unsupported algorithm '{}'."),
    7000215: (
        401,
        "invalid_client",
        "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not "
        "the client secret ID, for a secret added to app '{}'.",
    ),
    7000218: (
        401,
        "invalid_client",
        "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
    ),
}


class Refused(Exception):
    def __init__(self, number, *words):
        self.number = number
        self.status, self.error, text = BY_NUMBER[number]
        self.text = f"AADSTS{number}: {text.format(*words)}"

    def answer(self, host):
        trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
        time = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%SZ")
        traced = f"Trace ID: {trace} Correlation ID: {correlation} Timestamp: {time}"
        return Answer(self.status, {
            "error": self.error,
            "error_description": f"{self.text} {traced}",
            "error_codes": [self.number],
            "timestamp": time,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": f"https://{host}/error?code={self.number}",
        })
