//! The JSON Schemas and the table of settings, made from the code. `CRYOKEY_BLESS=1 cargo test schema` writes them anew.

use std::path::Path;

use schemars::{JsonSchema, schema_for};

use crate::manifest::schema::File;
use crate::report::Report;
use crate::report::explanation::Explanation;
use crate::setting::{Row, rows};

fn compare<T: JsonSchema>(name: &str) {
    let schema = serde_json::to_string_pretty(&schema_for!(T)).unwrap() + "\n";
    compare_text(&Path::new("docs/schema").join(name), &schema);
}

fn compare_text(name: &Path, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let is_blessed = init::environment().contains(&c"CRYOKEY_BLESS=1");
    if is_blessed {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::File::create(&path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, expected.as_bytes()))
            .unwrap();
    }
    let name = name.display();
    assert_eq!(read(&path), expected, "{name} is out of date: CRYOKEY_BLESS=1 cargo test schema");
}

fn read(path: &Path) -> String {
    let read = crate::system::read::read_path(path).map(|(bytes, _)| String::from_utf8(bytes).unwrap());
    read.unwrap_or_default()
}

/// A row of the documentation's table.
fn documented(row: &Row) -> String {
    let key = row.key.map(|key| format!("`{key}`")).unwrap_or_default();
    let default = row.default.as_deref().map(|toml| toml.trim_matches(['"', '[', ']']));
    let default = default.filter(|text| !text.is_empty()).map_or("none".into(), |text| format!("`{text}`"));
    let variables = row.variables.join("`, `");
    format!("| {key} | `{variables}` | {default} | {} |\n", row.meaning)
}

#[test]
fn the_documentation_s_table_of_settings_is_that_of_the_code() {
    const BEGIN: &str = "<!-- made by CRYOKEY_BLESS=1 cargo test schema -->\n";
    const END: &str = "<!-- end -->\n";
    let name = Path::new("docs/settings.md");
    let text = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(name));
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let head = "| manifest key | variable | default | meaning |\n|---|---|---|---|\n";
    let rows: String = rows().iter().map(documented).collect();
    compare_text(name, &format!("{before}{BEGIN}\n{head}{rows}\n{END}{after}"));
}

#[test]
fn the_schema_of_the_manifest_is_that_of_its_types() {
    compare::<File>("manifest.json");
}

#[test]
fn the_schema_of_the_check_report_is_that_of_its_types() {
    compare::<Report>("check.json");
}

#[test]
fn the_schema_of_the_explain_report_is_that_of_its_types() {
    compare::<Vec<Explanation>>("explain.json");
}
