//! "Did you mean": suggestions for mistyped words.

use crate::escape::escaped;

/// The most similar of the known words.
#[must_use]
pub fn similar<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// Less similar suggestions confuse more than they help.
    const ALIKE: f64 = 0.75;
    let word = word.to_lowercase();
    let likeness = |candidate: &str| strsim::normalized_damerau_levenshtein(&word, &candidate.to_lowercase());
    // The likeness is at most the shorter length by the longer one, and to compare long words takes long.
    let length = word.chars().count();
    let may_be_alike = |candidate: &&str| {
        let other = candidate.chars().count();
        length.min(other) * 4 >= length.max(other) * 3
    };
    let rated = known.into_iter().filter(may_be_alike).map(|candidate| (likeness(candidate), candidate));
    let best = rated.max_by(|left, right| left.0.total_cmp(&right.0))?;
    (best.0 >= ALIKE).then_some(best.1)
}

/// `; did you mean X?` or nothing.
#[must_use]
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    similar(word, known).map(|near| format!("; did you mean `{}`?", escaped(near))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_similar_word_is_suggested_and_another_is_not() {
        assert_eq!(similar("requird", ["required", "format"]), Some("required"));
        assert_eq!(similar("zzz", ["required", "format"]), None);
    }
}
