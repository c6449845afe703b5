//! "Did you mean …?"

/// A longer name is no typing error, and the comparison takes quadratic time.
const LONGEST: usize = 64;

/// The name of a field or a value that is most likely meant, however its words are joined.
pub(crate) fn nearest_identifier<'a>(
    name: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    if name.len() > LONGEST {
        return None;
    }
    nearest(&snake(name), candidates)
}

/// The candidate that is most likely meant: at most a third of its letters are to be changed.
pub fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = candidates
        .filter(|candidate| {
            candidate.len().abs_diff(name.len()) <= candidate.len() / 3 && name.len() <= LONGEST * 2
        })
        .map(|candidate| (distance(name, candidate), candidate));
    let (_, candidate) = near.filter(|(distance, candidate)| *distance <= candidate.len() / 3).min()?;
    Some(candidate)
}

/// The full name of a message that is most likely meant. Such names are long and alike, so only a few letters may differ.
pub fn nearest_type<S: AsRef<str>>(name: &str, candidates: impl Iterator<Item = S>) -> Option<S> {
    const MOST: usize = 3;
    if name.len() > LONGEST * 4 {
        return None;
    }
    let near = candidates.filter(|candidate| candidate.as_ref().len().abs_diff(name.len()) <= MOST);
    let near = near.map(|candidate| (distance(name, candidate.as_ref()), candidate));
    let (_, candidate) =
        near.filter(|(distance, _)| *distance <= MOST).min_by_key(|(distance, _)| *distance)?;
    Some(candidate)
}

fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for character in name.chars() {
        if character.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(if character == '-' { '_' } else { character.to_ascii_lowercase() });
    }
    snake
}

/// How many letters must be added, removed or changed to make one from the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, letter) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, &other) in to.iter().enumerate() {
            let changed = diagonal + usize::from(letter != other);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::{nearest_identifier, nearest_type};

    #[test]
    fn types_are_meant_only_when_few_letters_differ() {
        let known =
            ["envoy.extensions.filters.http.router.v3.Router", "envoy.extensions.filters.http.cors.v3.Cors"];
        let nearest = |name| nearest_type(name, known.into_iter());
        assert_eq!(nearest("envoy.extensions.filters.http.router.v3.Ruter"), Some(known[0]));
        assert_eq!(nearest("envoy.extensions.filters.http.csrf.v3.CsrfPolicy"), None);
        assert_eq!(nearest(&"x".repeat(1000)), None);
    }

    #[test]
    fn the_nearest_name_is_suggested_if_near_enough() {
        let fields = ["name", "connect_timeout", "lb_policy"];
        for (typed, meant) in [
            ("nme", Some("name")),
            ("connect_timeut", Some("connect_timeout")),
            ("connectTimeOut", Some("connect_timeout")),
            ("lb-policy", Some("lb_policy")),
            ("foo", None),
            ("", None),
        ] {
            assert_eq!(nearest_identifier(typed, fields.into_iter()), meant, "{typed}");
        }
    }
}
