//! How users and groups are named in settings: by name or by number, as Docker's `USER` does.

use std::fmt;

use crate::syntax::{Syntax, Text};

/// A user or a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountName {
    Id(u32),
    Name(String),
}

/// A user, and the group if it is written behind it: `app`, `1000`, `1000:1000`, `app:www`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserName {
    pub user: AccountName,
    pub group: Option<AccountName>,
}

/// An id in decimal digits. The highest number is none: for the kernel, it means "keep the present one".
#[must_use]
pub fn id(text: &str) -> Option<u32> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|id| is_number && *id != u32::MAX)
}

impl AccountName {
    /// Digits are always a number. A name has none of the characters that separate fields in the files of accounts, and no
    /// sign before it: that would be a number that is no id.
    fn parse(text: &str) -> Option<Self> {
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return id(text).map(Self::Id);
        }
        let is_name =
            !text.contains(|it: char| it == ':' || it == ',' || it.is_whitespace() || it.is_control());
        let has_sign = text.starts_with(['+', '-']);
        (is_name && !has_sign).then(|| Self::Name(text.to_owned()))
    }
}

impl UserName {
    fn parse(text: &str) -> Option<Self> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(AccountName::parse(group)?)),
            None => (text, None),
        };
        Some(Self { user: AccountName::parse(user)?, group })
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(formatter),
            Self::Name(name) => formatter.write_str(name),
        }
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.user.fmt(formatter)?;
        self.group.iter().try_for_each(|group| write!(formatter, ":{group}"))
    }
}

/// In the manifest, a number needs no quotes.
macro_rules! written_as {
    ($type:ty, $usage:literal) => {
        impl Syntax for $type {
            type Value = Self;

            fn usage() -> String {
                $usage.into()
            }

            fn from_text(text: &str) -> Option<Self> {
                Self::parse(text)
            }

            fn from_toml(value: &toml::de::DeValue<'_>) -> Option<Self> {
                let integer = value.as_integer().filter(|integer| integer.radix() == 10);
                let number = integer.map(|integer| integer.as_str()).filter(|number| id(number).is_some());
                value.as_str().or(number).and_then(Self::parse)
            }

            fn to_toml(value: &Self) -> String {
                Text::to_toml(&value.to_string())
            }

            #[cfg(test)]
            fn schema() -> serde_json::Value {
                serde_json::json!({ "type": ["string", "integer"] })
            }
        }
    };
}

written_as!(AccountName, "a name, or a number from 0 to 4294967294");
written_as!(UserName, "a name or a number from 0 to 4294967294, or both ids such as \"1000:1000\"");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_user_is_a_name_or_a_number_with_or_without_a_group() {
        let name = |text: &str| AccountName::Name(text.to_owned());
        let user = |user, group| Some(UserName { user, group });
        assert_eq!(UserName::parse("app"), user(name("app"), None));
        assert_eq!(UserName::parse("1000"), user(AccountName::Id(1_000), None));
        assert_eq!(UserName::parse("1000:0"), user(AccountName::Id(1_000), Some(AccountName::Id(0))));
        assert_eq!(UserName::parse("app:www"), user(name("app"), Some(name("www"))));
        assert_eq!(UserName::parse("4294967294"), user(AccountName::Id(4_294_967_294), None));
        assert_eq!(UserName::parse("1st"), user(name("1st"), None));
    }

    #[test]
    fn what_is_no_user_is_refused() {
        for text in [
            "",
            ":",
            "app:",
            ":www",
            "a:b:c",
            "4294967295",
            "99999999999",
            "a b",
            "a,b",
            "a\n",
            " 1",
            "1 ",
            "-1",
            "+1",
        ] {
            assert_eq!(UserName::parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_text_is_refused_or_written_as_it_was(text in any::<String>()) {
            if let Some(user) = UserName::parse(&text) {
                prop_assert_eq!(UserName::parse(&user.to_string()), Some(user));
            }
        }

        #[test]
        fn every_id_but_the_highest_is_a_number(number in any::<u32>()) {
            prop_assert_eq!(id(&number.to_string()), Some(number).filter(|id| *id != u32::MAX));
        }
    }
}
