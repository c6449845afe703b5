//! The macro that takes messages apart.

/// Whether a field of a message differs from its default.
pub fn is_set<T: Default + PartialEq>(value: &T) -> bool {
    *value != T::default()
}

/// Takes a message apart so that each of its fields has an answer.
///
/// The pattern is exhaustive: a message with a field that stands in none of the lists does not compile.
/// `implemented` fields are bound to variables of their name; `rejected` ones are errors when set, `ignored`
/// ones notes, each with its reason. Only what nobody can notice in traffic, security or statistics may be ignored.
///
/// `grouped` fields are implemented ones that belong together: each group is bound as a struct of its fields, which
/// whoever knows what they mean together reads.
#[macro_export]
#[doc(hidden)]
macro_rules! __open {
    ($at:ident, $message:path = $value:expr;
     implemented { $($implemented:ident),* $(,)? }
     $(grouped { $($group:ident: $($fields:ident)::+ { $($member:ident),* $(,)? }),* $(,)? })?
     $(rejected { $($rejected:ident: $why:expr),* $(,)? })?
     $(ignored { $($ignored:ident: $because:expr),* $(,)? })?
    ) => {
        #[allow(deprecated, reason = "deprecated fields are answered too")]
        let $message {
            $($implemented,)* $($($($member,)*)*)? $($($rejected,)*)? $($($ignored,)*)?
        } = $value;
        {
            static SUPPORT: $crate::config::field::Support = $crate::config::field::Support {
                message: <$message as ::prost::Name>::full_name,
                implemented: &[$(stringify!($implemented),)* $($($(stringify!($member),)*)*)?],
                rejected: &[$($((stringify!($rejected), $why)),*)?],
                ignored: &[$($((stringify!($ignored), $because)),*)?],
            };
            $at.opened(&SUPPORT);
        }
        $($(let $group = $($fields)::+ { $($member),* };)*)?
        $($(if $crate::config::field::is_set(&$rejected) {
            $at.reject(stringify!($rejected), $why);
        })*)?
        $($(if $crate::config::field::is_set(&$ignored) {
            $at.ignore(stringify!($ignored), $because);
        })*)?
    };
}

pub use crate::__open as open;

#[cfg(test)]
mod tests {
    use envoy_types::pb::envoy::config::core::v3;

    use super::open;
    use crate::config::field::known::Extensions;
    use crate::config::field::{Findings, Scope};

    struct Places {
        zone: String,
        sub_zone: String,
    }

    #[test]
    fn fields_that_belong_together_are_bound_together() {
        fn grouped(message: v3::Locality, at: &mut Scope<'_>) -> String {
            open! { at, v3::Locality = message;
                implemented { region }
                grouped { places: Places { zone, sub_zone } }
            }
            format!("{region}/{}/{}", places.zone, places.sub_zone)
        }
        let mut findings = Findings::new(&Extensions::default());
        let message = v3::Locality { region: "r".into(), zone: "z".into(), sub_zone: "s".into() };
        assert_eq!(grouped(message, &mut findings.scope()), "r/z/s");
        assert_eq!(findings.support()[0].implemented, ["region", "zone", "sub_zone"]);
    }

    fn half_served(message: v3::Locality, at: &mut Scope<'_>) -> Option<String> {
        open! { at, v3::Locality = message;
            implemented { region }
            rejected { zone: "there is one zone" }
            ignored { sub_zone: "nobody looks" }
        }
        Some(region)
    }

    #[test]
    fn rejected_fields_are_errors_and_ignored_ones_notes_when_they_are_set() {
        let mut findings = Findings::new(&Extensions::default());
        let message = v3::Locality { region: "r".into(), sub_zone: "s".into(), ..v3::Locality::default() };
        let region = half_served(message.clone(), &mut findings.scope());
        let (region, notes) = findings.finish(region).expect("no error");
        assert_eq!(region, "r");
        assert_eq!(
            (notes[0].path.as_str(), notes[0].message.as_str()),
            ("sub_zone", "ignored: nobody looks")
        );

        let mut findings = Findings::new(&Extensions::default());
        let region = half_served(v3::Locality { zone: "z".into(), ..message }, &mut findings.scope());
        let errors = findings.finish(region).expect_err("an error");
        assert_eq!(errors[0].to_string(), "zone: not supported: there is one zone");
    }

    #[test]
    fn how_the_fields_of_a_message_are_answered_can_be_read() {
        let mut findings = Findings::new(&Extensions::default());
        for _ in 0..2 {
            half_served(v3::Locality::default(), &mut findings.scope());
        }
        let [support] = findings.support() else { panic!("one message, once") };
        assert_eq!((support.message)(), "envoy.config.core.v3.Locality");
        assert_eq!(support.implemented, ["region"]);
        assert_eq!(support.rejected, [("zone", "there is one zone")]);
        assert_eq!(support.ignored, [("sub_zone", "nobody looks")]);
    }
}
