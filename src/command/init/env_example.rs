//! The names in an `.env.example` that look like secrets. Its values are not read: they are examples.

/// Words in names that are secrets.
const WORDS: [&str; 9] =
    ["CREDENTIAL", "DATABASE_URL", "DSN", "KEY", "PASSPHRASE", "PASSWORD", "REDIS_URL", "SECRET", "TOKEN"];

/// The names, as they are written there.
#[must_use]
pub fn secrets(text: &str) -> Vec<String> {
    let names = text.lines().filter_map(name);
    names
        .filter(|name| WORDS.iter().any(|word| name.to_ascii_uppercase().contains(word)))
        .map(str::to_owned)
        .collect()
}

fn name(line: &str) -> Option<&str> {
    let line = line.trim();
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, _) = line.split_once('=').filter(|_| !line.starts_with('#'))?;
    Some(name.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_like_secrets_are_taken_and_others_are_not() {
        let text = "# API_KEY=x\nexport API_KEY=changeme\nDEBUG=1\n DATABASE_URL = postgres://\nPORT\n";
        assert_eq!(secrets(text), ["API_KEY", "DATABASE_URL"]);
    }
}
