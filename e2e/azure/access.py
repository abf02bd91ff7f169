"""Who calls a vault, and what they may do there."""
from web import Answer, now

# The names of the roles' documentation.
ACTIONS = {
    "list": "secrets/readMetadata/action",
    "get": "secrets/getSecret/action",
    "set": "secrets/setSecret/action",
    "delete": "secrets/delete",
}
GROUP = "/subscriptions/00000000-0000-0000-0000-000000000000/resourcegroups/tests"


def caller(state, vault, request):
    """What is known of the token; without one that is valid here, the challenge."""
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    token = state.tokens.get(text)
    problem = invalid(scheme, token, vault)
    if problem:
        error = {"code": "Unauthorized", "message": problem}
        raise Answer(401, {"error": error}, {"WWW-Authenticate": vault["challenge"]})
    return token


def invalid(scheme, token, vault):
    if scheme.lower() != "bearer":
        return "AKV10000: Request is missing a Bearer or PoP token."
    if token is None:
        return "AKV10046: Unable to resolve the key used for signature validation."
    if token["expires"] <= now():
        return "[TokenExpired] Error validating token: 'S2S12086'."
    if token["audience"] != vault["resource"]:
        return f"AKV10022: Invalid audience. Expected {vault['resource']}, found: {token['audience']}."
    if token["tenant"] != vault["tenant"]:
        return f"AKV10032: Invalid issuer. Expected {issuer(vault['tenant'])}, found {issuer(token['tenant'])}."
    return None


def check(vault, caller, permission, name):
    granted = vault["permissions"].get(caller["client"], {}).get(permission, False)
    if granted is True or isinstance(granted, list) and name and name.lower() in map(str.lower, granted):
        return
    inner, message = EXPLAINED[vault["model"]](vault, caller, permission, name)
    raise Answer(403, {"error": {"code": "Forbidden", "message": message, "innererror": {"code": inner}}})


def by_role(vault, caller, permission, name):
    vault_name = vault["host"].split(".")[0]
    below = f"/secrets/{name.lower()}" if name else ""
    return "ForbiddenByRbac", (
        "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or role "
        "definitions were changed recently, please observe propagation time.\r\n"
        f"Caller: {identified(caller)}\r\nAction: 'Microsoft.KeyVault/vaults/{ACTIONS[permission]}'\r\n"
        f"Resource: '{GROUP}/providers/microsoft.keyvault/vaults/{vault_name}{below}'\r\n"
        "Assignment: (not found)\r\nDenyAssignmentId: null\r\n"
        f"DecisionReason: 'DeniedWithNoValidRBAC' \r\nVault: {vault_name};location=westeurope\r\n"
    )


def by_policy(vault, caller, permission, _name):
    vault_name = vault["host"].split(".")[0]
    return "AccessDenied", (
        f"The user, group or application '{identified(caller)}' does not have secrets {permission} permission on key "
        f"vault '{vault_name};location=westeurope'. For help resolving this issue, please see "
        "https://go.microsoft.com/fwlink/?linkid=2125287"
    )


# By the vault's permission model.
EXPLAINED = {"roles": by_role, "policies": by_policy}


def identified(caller):
    return f"appid={caller['client']};oid={caller['object']};iss={issuer(caller['tenant'])}"


def issuer(tenant):
    return f"https://sts.windows.net/{tenant}/"
