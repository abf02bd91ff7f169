//! JSON Schemas out of the types. `CRYOKEY_BLESS=1 cargo test schema` writes them anew.

use std::path::Path;

use schemars::{JsonSchema, schema_for};

use crate::manifest::schema::File;
use crate::report::Report;
use crate::report::explanation::Explanation;

fn compare<T: JsonSchema>(name: &str) {
    let schema = serde_json::to_string_pretty(&schema_for!(T)).unwrap() + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema").join(name);
    let is_blessed = init::environment().contains(&c"CRYOKEY_BLESS=1");
    if is_blessed {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::File::create(&path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, schema.as_bytes()))
            .unwrap();
    }
    let there = crate::bounded::read_path(&path).map(|(bytes, _)| String::from_utf8(bytes).unwrap());
    assert_eq!(there.unwrap_or_default(), schema, "{name} is out of date: CRYOKEY_BLESS=1 cargo test schema");
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
