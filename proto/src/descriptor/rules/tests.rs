use super::*;
use crate::{
    descriptor,
    descriptor::rules::check::{Pattern, Text},
    wire::{Fields, Payload},
};

/// The rules that [`FieldRules::read`] understands, by number in `validate.FieldRules` and in the rules.
fn is_understood(kind: u32, rule: u32) -> bool {
    match kind {
        1 | 2 => (2..=5).contains(&rule),
        3..=12 => matches!(rule, 2..=5 | 8),
        13 => rule == 1,
        14 => matches!(rule, 2 | 3 | 5..=8 | 10 | 24..=26),
        15 => matches!(rule, 2 | 3),
        16 => matches!(rule, 2 | 4),
        17 => matches!(rule, 1 | 2),
        18 => (1..=4).contains(&rule),
        19 => matches!(rule, 1 | 2 | 4 | 5),
        20 => rule == 1,
        21 => matches!(rule, 1 | 3..=6),
        _ => false,
    }
}

fn check(field: &Field, field_rules: &'static [u8]) -> usize {
    let mut count = 0;
    for (kind, rules) in messages(field_rules) {
        for (rule, payload) in Fields::new(rules).flatten() {
            assert!(is_understood(kind, rule), "{}: rule {kind}.{rule}", field.name());
            count += 1;
            match payload {
                Payload::Bytes(inner) if kind == 18 && rule == 4 => count += check(field, inner),
                Payload::Bytes(inner) if kind == 19 && rule >= 4 => count += check(field, inner),
                _ => {}
            }
        }
    }
    count
}

/// All messages, those nested in others as well, as far as some field holds them.
fn all_messages() -> Vec<&'static Message> {
    let mut open: Vec<_> =
        descriptor::message_names().filter_map(|name| descriptor::message(&name)).collect();
    let mut found = std::collections::BTreeMap::new();
    while let Some(message) = open.pop() {
        if found.insert(message.full_name(), message).is_none() {
            open.extend(message.fields().iter().filter_map(Field::message));
        }
    }
    found.into_values().collect()
}

#[test]
fn every_rule_of_the_api_is_understood() {
    let mut count = 0;
    for message in all_messages() {
        let name = message.full_name();
        assert!(message.fields().len() <= 128, "{name}: too many fields for a set of bits");
        // `validate.disabled` and `validate.ignored` switch the rules of a whole message off.
        assert!((RULES..=RULES + 1).all(|option| number(message.options(), option) == 0), "{name}: options");
        for field in message.fields() {
            submessages(field.options(), RULES).for_each(|rules| count += check(field, rules));
        }
    }
    assert!(count > 1000, "{count} rules");
}

#[test]
fn every_pattern_of_the_api_compiles() {
    for message in all_messages() {
        for rules in &message.rules().fields {
            if let Some(Check::Text(Text { pattern: Some(Pattern::Regex(source, _)), .. })) = &rules.check {
                assert!(regex::Regex::new(source).is_ok(), "{source}");
            }
        }
    }
}
