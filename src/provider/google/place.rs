//! The location of a secret in Google: a project, and for a regional secret a location. Source: "Secret Manager API",
//! Google Cloud documentation.

use super::error::PlaceFault;
use crate::provider::bulk::Spelling;

/// What contains a secret: a project, or one of its locations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent {
    /// The project's id or number.
    pub project: String,
    /// The location, such as `europe-west1`; `None` for global secrets. Each location has its own namespace of secrets.
    pub location: Option<String>,
}

/// The full address of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The project, and the location of a regional secret.
    pub parent: Parent,
    /// The secret's name, which is unique within its parent.
    pub name: String,
}

impl Parent {
    /// Validates the project and the location.
    pub fn new(project: &str, location: Option<&str>) -> Result<Self, PlaceFault> {
        if !is_id(project) {
            return Err(PlaceFault::Project);
        }
        if location.is_some_and(|location| !is_id(location)) {
            return Err(PlaceFault::Location);
        }
        Ok(Self { project: project.to_owned(), location: location.map(str::to_owned) })
    }

    /// The resource name: `projects/PROJECT`, or `projects/PROJECT/locations/LOCATION`.
    #[must_use]
    pub fn path(&self) -> String {
        let Self { project, location } = self;
        let location = location.as_ref().map(|location| format!("/locations/{location}")).unwrap_or_default();
        format!("projects/{project}{location}")
    }

    /// The API's host in a universe such as `googleapis.com`. Regional secrets have a host per location.
    #[must_use]
    pub fn host(&self, universe: &str) -> String {
        match &self.location {
            Some(location) => format!("secretmanager.{location}.rep.{universe}"),
            None => format!("secretmanager.{universe}"),
        }
    }
}

impl Place {
    /// Parses `name`, `project/name` or `projects/PROJECT/locations/LOCATION/secrets/NAME`. A bare name is in `own`.
    pub fn parse(text: &str, own: Option<&Parent>) -> Result<Self, PlaceFault> {
        let (parent, name) = match text.split('/').collect::<Vec<_>>()[..] {
            [name] => (own.cloned().ok_or(PlaceFault::NoProject)?, name),
            [project, name] => (Parent::new(project, None)?, name),
            ["projects", project, "locations", location, "secrets", name] => {
                (Parent::new(project, Some(location))?, name)
            }
            _ => return Err(PlaceFault::Secret),
        };
        if name.is_empty() || !Spelling::Google.is_legal(name) {
            return Err(PlaceFault::Secret);
        }
        Ok(Self { parent, name: name.to_owned() })
    }

    /// The resource name, which is also the path in the API.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}/secrets/{}", self.parent.path(), self.name)
    }
}

/// Whether the text is safe as a project or location, since both become part of a host or path.
#[must_use]
pub fn is_id(text: &str) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(is_legal)
}

/// Whether the text is a domain of at least two labels.
#[must_use]
pub fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| is_id(label) && !label.starts_with('-') && !label.ends_with('-');
    text.split('.').count() > 1 && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_in_a_project_and_perhaps_at_a_location() {
        let own = Parent::new("own", Some("us-east1")).unwrap();
        let path = |text| Place::parse(text, Some(&own)).unwrap().path();
        assert_eq!(path("db"), "projects/own/locations/us-east1/secrets/db");
        assert_eq!(path("other/db"), "projects/other/secrets/db");
        let regional = "projects/other/locations/eu/secrets/db";
        assert_eq!(path(regional), regional);
        assert_eq!(Place::parse("db", None), Err(PlaceFault::NoProject));
    }

    #[test]
    fn b10_b11_a_place_names_no_host() {
        for text in ["a/b/c", "", "a/", "evil.example/db", "p/a b", "projects/p/locations/x.evil/secrets/a"] {
            assert!(Place::parse(text, None).is_err(), "{text}");
        }
        assert_eq!(
            Parent::new("p", Some("eu")).unwrap().host("googleapis.com"),
            "secretmanager.eu.rep.googleapis.com"
        );
        assert!(
            is_domain("googleapis.com")
                && !is_domain("googleapis")
                && !is_domain("a.b/c")
                && !is_domain("a..b")
        );
    }
}
