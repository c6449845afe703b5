//! From errors to what the management server is told.

use crate::config::field;
use crate::xds::Verdict;

/// One resource that is not in force, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The resource.
    pub name: String,
    /// Every error of it.
    pub message: String,
}

impl Problem {
    /// All errors of one resource, each with the path of its field.
    pub fn new(name: &str, errors: &[field::Error]) -> Self {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Problem { name: name.to_owned(), message: errors.join("; ") }
    }
}

/// How the error text of a type begins: Envoy's words, by which tools know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeadIn {
    /// `Error adding/updating cluster(s) `, then `name: message`, separated by commas.
    Clusters,
    /// `Error adding/updating listener(s) `, then `name: message`, each with a line end.
    Listeners,
    /// Nothing, then `name: message`, separated by commas.
    None,
}

/// ACK when there is no problem, else a NACK that tells all of them.
pub fn verdict(lead_in: LeadIn, problems: &[Problem]) -> Verdict {
    if problems.is_empty() {
        return Verdict::Ack;
    }
    Verdict::Nack {
        error: text(lead_in, problems),
        rejected: problems.iter().map(|problem| problem.name.clone()).collect(),
    }
}

/// The NACK of a response of which nothing counts, since some of it could not even be decoded.
pub fn rejection(problems: &[Problem]) -> Verdict {
    Verdict::Nack { error: text(LeadIn::None, problems), rejected: Vec::new() }
}

fn text(lead_in: LeadIn, problems: &[Problem]) -> String {
    let each = problems.iter().map(|Problem { name, message }| format!("{name}: {message}"));
    match lead_in {
        LeadIn::Clusters => {
            format!("Error adding/updating cluster(s) {}", each.collect::<Vec<_>>().join(", "))
        }
        LeadIn::Listeners => {
            let lines: String = each.map(|line| line + "\n").collect();
            format!("Error adding/updating listener(s) {lines}")
        }
        LeadIn::None => each.collect::<Vec<_>>().join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(name: &str) -> Problem {
        Problem { name: name.to_owned(), message: "bad".to_owned() }
    }

    #[test]
    fn a_nack_lists_every_resource_behind_envoys_lead_in() {
        let told = |lead_in| match verdict(lead_in, &[problem("a"), problem("b")]) {
            Verdict::Nack { error, rejected } => (error, rejected),
            Verdict::Ack => panic!("there are problems"),
        };
        let (clusters, rejected) = told(LeadIn::Clusters);
        assert_eq!(clusters, "Error adding/updating cluster(s) a: bad, b: bad");
        assert_eq!(rejected, ["a", "b"]);
        assert_eq!(told(LeadIn::Listeners).0, "Error adding/updating listener(s) a: bad\nb: bad\n");
        assert_eq!(told(LeadIn::None).0, "a: bad, b: bad");
    }

    #[test]
    fn no_problem_is_an_ack() {
        assert_eq!(verdict(LeadIn::Clusters, &[]), Verdict::Ack);
    }

    #[test]
    fn a_resource_tells_all_its_errors() {
        let error = |path: &str| field::Error {
            path: path.to_owned(),
            message: "wrong".to_owned(),
            kind: field::ErrorKind::Apply,
        };
        assert_eq!(Problem::new("a", &[error("x"), error("y[0]")]).message, "x: wrong; y[0]: wrong");
    }
}
