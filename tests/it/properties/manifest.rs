//! A manifest that is written and read again is the same.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use cryokey::manifest::{Deliver, Format, Manifest, SecretRule, write};
use cryokey::name::{EnvName, Variant};
use cryokey::provider::http::AllowHttp;
use cryokey::provider::reference::Reference;
use cryokey::secret::Newline;
use cryokey::setting::{Layer, Undeclared};
use cryokey::syntax::Syntax as _;
use cryokey::system::account_name::{AccountName, UserName};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::any_text;

proptest! {
    #[test]
    fn a_manifest_is_written_as_it_is_read(manifest in manifest()) {
        let text = write::to_toml(&manifest);
        prop_assert_eq!(Manifest::parse(&text, "cryokey.toml"), Ok(manifest), "{}", text);
    }
}

/// Any manifest that says nothing contradictory.
fn manifest() -> impl Strategy<Value = Manifest> {
    let variants =
        || prop::collection::vec("[a-z][a-z0-9-]{0,5}".prop_map(|text| Variant::parse(&text).unwrap()), 0..3);
    let secrets = prop::collection::btree_map(env_name(), rule(), 0..4);
    let required = prop::collection::vec(env_name(), 0..3);
    (variants(), variants(), secrets, required, settings())
        .prop_map(|(environments, colors, secrets, required_variables, settings)| Manifest {
            environments,
            colors,
            secrets,
            required_variables,
            settings,
        })
        .prop_filter("a name stands for one thing", stands_for_one_thing)
}

/// No two declarations meet: in a spelling, or in the variable of a delivered file.
fn stands_for_one_thing(manifest: &Manifest) -> bool {
    let mut prefixes: Vec<String> =
        manifest.environments.iter().chain(&manifest.colors).map(Variant::prefix).collect();
    prefixes.push(String::new());
    let names = || manifest.secrets.keys().map(EnvName::as_str);
    let spellings: Vec<String> =
        prefixes.iter().flat_map(|prefix| names().map(move |name| format!("{prefix}{name}"))).collect();
    let delivered =
        manifest.secrets.iter().filter(|(_, rule)| [Deliver::File, Deliver::Both].contains(&rule.deliver));
    let mut files = delivered.map(|(name, _)| format!("{name}_FILE"));
    let is_ours = prefixes.iter().map(String::as_str).chain(names()).any(|it| it.starts_with("CRYOKEY_"));
    let are_different = |texts: &[String]| texts.iter().collect::<BTreeSet<_>>().len() == texts.len();
    are_different(&prefixes)
        && are_different(&spellings)
        && !is_ours
        && !files.any(|file| names().any(|name| name == file))
}

fn env_name() -> impl Strategy<Value = EnvName> {
    "[A-Z_][A-Z0-9_]{0,8}".prop_map(|text| EnvName::parse(&text).unwrap())
}

fn rule() -> impl Strategy<Value = SecretRule> {
    const FORMATS: [Format; 8] = [
        Format::Base64,
        Format::Hex,
        Format::Integer,
        Format::Json,
        Format::Pem,
        Format::SshKey,
        Format::Text,
        Format::Url,
    ];
    let days = (1..100_000_000_u64).prop_map(|days| Duration::from_secs(days * 86_400));
    let deliver = select([Deliver::Env, Deliver::File, Deliver::Both, Deliver::Ssh].as_slice());
    let reference = "(files|environment):[a-z_-]{1,8}(/[A-Z.]{3,5}x)?|vault:[a-z]{1,4}/[a-z]{1,4}(#[a-z ]{1,4}(@[1-9]{1,3})?)?";
    let reference = reference.prop_map(|text| Reference::parse(&text).unwrap());
    let form = (option::of(select(FORMATS.as_slice())), option::of(any::<u64>()), option::of(days));
    let newline = select([Newline::StripOne, Newline::Keep].as_slice());
    let place = (deliver, option::of(absolute_path()), prop::collection::vec(reference, 0..3));
    let switches = (any::<bool>(), any::<bool>(), any::<bool>());
    (switches, newline, form, place).prop_map(
        |(
            (required, allow_empty, allow_literal),
            newline,
            (format, min_length, rotate_every),
            (deliver, path, from),
        )| {
            // Only an SSH key has a path.
            let path = path.filter(|_| deliver == Deliver::Ssh);
            SecretRule {
                required,
                format,
                min_length,
                allow_empty,
                allow_literal,
                newline,
                rotate_every,
                deliver,
                path,
                from,
            }
        },
    )
}

/// A row of the table binds a key to its syntax for reading and writing alike, so one setting of each syntax will do.
fn settings() -> impl Strategy<Value = Layer> {
    let switches = (option::of(any::<bool>()), option::of(any::<bool>()), option::of(any::<bool>()));
    let keep = option::of(prop::collection::vec(any_text(), 0..3));
    let paths =
        (option::of(absolute_path()), option::of(any_text().prop_filter("not empty", |it| !it.is_empty())));
    let timeout = option::of(any::<u64>().prop_map(Duration::from_millis));
    let undeclared = option::of(select([Undeclared::Deliver, Undeclared::Ignore].as_slice()));
    let hosts = "([a-z]{1,4}|10\\.0\\.0\\.1|\\[::2\\]):[1-9][0-9]{0,3}(, b:80)?";
    let account = || "[a-z_][a-z0-9_-]{0,5}|[1-9][0-9]{0,8}";
    let user = option::of((account(), option::of(account())).prop_map(|(user, group)| {
        let text = group.map_or(user.clone(), |group| format!("{user}:{group}"));
        UserName::from_text(&text).unwrap()
    }));
    let group = option::of(account().prop_map(|text| AccountName::from_text(&text).unwrap()));
    let process = (user, group, option::of(absolute_path()), option::of(any::<bool>()));
    let allow_http = option::of(hosts.prop_map(|list| AllowHttp::parse(&list).unwrap()));
    (switches, keep, option::of(any_text()), paths, timeout, (undeclared, allow_http), process).prop_map(
        |(
            switches,
            keep_env,
            name_prefix,
            (run_dir, secrets_dir),
            start_timeout,
            (undeclared, allow_http),
            (user, group, home, user_if_root),
        )| Layer {
            allow_disk: switches.0,
            allow_plain_env: switches.1,
            keep_env,
            name_prefix,
            run_dir,
            secrets_dir: secrets_dir.map(PathBuf::from),
            start_timeout,
            strict_permissions: switches.2,
            undeclared,
            allow_http,
            user,
            group,
            home,
            user_if_root,
            ..Layer::default()
        },
    )
}

fn absolute_path() -> impl Strategy<Value = PathBuf> {
    any_text().prop_map(|text| PathBuf::from(format!("/{text}")))
}
