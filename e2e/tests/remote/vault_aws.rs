//! Signing in at Vault by an identity at AWS: only the Vault of `HashiCorp` has that, so these tests run in `verify`.

use serde_json::json;

use crate::support::{Moto, NAME, OpenBao, READ, REGION, Role, STS, Sandbox, Session, canary, moto, openbao};

/// A Vault that asks moto who somebody is, and a role there that may read one secret.
struct World {
    bao: &'static OpenBao,
    moto: Moto,
    mount: String,
    path: String,
    value: String,
    role: Role,
}

impl World {
    fn open() -> Option<Self> {
        let bao = openbao()?;
        let moto = moto()?;
        let (root, value) = (bao.root(), canary());
        let path = format!("{}/app", root.mount(1));
        root.write(&path, &json!({ "TOKEN": value }));
        let policy = root.policy(&path, READ);
        let mount = root.sign_in("aws");
        let client = json!({
            "access_key": "setup", "secret_key": "setup",
            "sts_endpoint": format!("http://{}", moto.server), "sts_region": REGION,
            "iam_server_id_header_value": "vault.example",
        });
        root.write(&format!("auth/{mount}/config/client"), &client);
        let role = moto.role(&json!({"Effect": "Allow", "Action": "*", "Resource": "*"}));
        let bound = json!({
            "auth_type": "iam", "bound_iam_principal_arn": [role.arn], "resolve_aws_unique_ids": false,
            "token_policies": [policy],
        });
        root.write(&format!("auth/{mount}/role/app"), &bound);
        Some(Self { bao, moto, mount, path, value, role })
    }

    fn sandbox(&self, keys: &Session) -> Sandbox {
        self.moto.enforce(true);
        let authority = std::fs::read(self.bao.authority().certificate()).unwrap();
        let manifest =
            format!("vault_aws_server_id = \"vault.example\"\nvault_auth_mount = \"{}\"\n", self.mount);
        Sandbox::new(self.bao.network())
            .manifest(&(manifest + "[secret.TOKEN]\nrequired = true\n"))
            .file("/etc/vault-authority.pem", authority)
            .host(NAME, self.bao.tls().ip())
            .host(STS, self.moto.tls().ip())
            .variable("EXTERNAL_SECRET_PROVIDER", "vault")
            .variable("VAULT_ADDR", &format!("https://{NAME}:{}", self.bao.tls().port()))
            .variable("VAULT_CACERT", "/etc/vault-authority.pem")
            .variable("VAULT_SECRET_PATH", &self.path)
            .variable("VAULT_AUTH_METHOD", "aws")
            .variable("VAULT_ROLE", "app")
            .variable("AWS_REGION", REGION)
            .credential("AWS_ACCESS_KEY_ID", &keys.id)
            .credential("AWS_SECRET_ACCESS_KEY", &keys.key)
            .credential("AWS_SESSION_TOKEN", &keys.token)
    }
}

#[test]
fn a_role_at_aws_signs_in_at_vault() {
    let Some(world) = World::open() else { return };
    let keys = world.moto.session(&world.role);
    let outcome = world.sandbox(&keys).start();
    outcome.app().has("TOKEN", &world.value);
    outcome.says(&format!("aws at auth/{}, as the key in AWS_SECRET_ACCESS_KEY", world.mount));
}

#[test]
fn another_role_or_another_header_is_refused() {
    let Some(world) = World::open() else { return };
    let keys = world.moto.session(&world.role);
    let stranger = world.moto.role(&json!({"Effect": "Allow", "Action": "*", "Resource": "*"}));
    let strangers = world.moto.session(&stranger);
    world.sandbox(&strangers).start().refused(77, "resolve", "TOKEN", "denied").says("VAULT_ROLE");
    let other = world.sandbox(&keys).variable("CRYOKEY_VAULT_AWS_SERVER_ID", "other.example").start();
    other.refused(77, "resolve", "TOKEN", "denied").says("X-Vault-AWS-IAM-Server-ID");
}
