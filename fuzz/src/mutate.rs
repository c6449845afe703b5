//! Changes that turn a good input into one that nobody thought of.

use crate::random::Random;

/// Inputs do not grow beyond this: what a parser does with size is bounded by its own limits, and small
/// inputs are tried more often.
const MAX_LENGTH: usize = 16 * 1024;

/// Bytes at which parsers turn.
const TURNING_POINTS: [u8; 24] = *b"\x00\n\r\t \"'%&*+,-./:;<=[]\\{\x7f";

/// Takes an input from `corpus` and changes it in one to eight places.
pub fn mutate(corpus: &[Vec<u8>], dictionary: &[&[u8]], random: &mut Random) -> Vec<u8> {
    let mut input = random.choose(corpus).cloned().unwrap_or_default();
    for _ in 0..=random.below(8) {
        change(&mut input, corpus, dictionary, random);
    }
    input.truncate(MAX_LENGTH);
    input
}

fn change(input: &mut Vec<u8>, corpus: &[Vec<u8>], dictionary: &[&[u8]], random: &mut Random) {
    let at = random.below(input.len() + 1);
    match random.below(9) {
        0 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        1 => {
            if let Some(byte) = input.get_mut(at) {
                *byte = random.byte();
            }
        }
        2 => {
            let byte = random.choose(&TURNING_POINTS).copied().unwrap_or_default();
            insert(input, at, &[byte]);
        }
        3 => {
            let piece = range(input, random);
            input.drain(piece);
        }
        4 => {
            let piece = input[range(input, random)].to_vec();
            insert(input, at, &piece);
        }
        5 => {
            let token = random.choose(dictionary).copied().unwrap_or_default();
            insert(input, at, token);
        }
        6 => splice(input, at, corpus, random),
        7 => {
            let number = random.number() >> random.below(64);
            insert(input, at, number.to_string().as_bytes());
        }
        _ => {
            let piece = input[range(input, random)].to_vec();
            for _ in 0..random.below(40) {
                insert(input, at, &piece);
            }
        }
    }
}

fn insert(input: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if input.len() + bytes.len() <= MAX_LENGTH {
        input.splice(at..at, bytes.iter().copied());
    }
}

/// Goes on as another input of the corpus from some point.
fn splice(input: &mut Vec<u8>, at: usize, corpus: &[Vec<u8>], random: &mut Random) {
    let Some(other) = random.choose(corpus) else { return };
    let from = random.below(other.len() + 1);
    input.truncate(at);
    input.extend_from_slice(&other[from..]);
}

/// A short range of positions inside `input`.
fn range(input: &[u8], random: &mut Random) -> std::ops::Range<usize> {
    let start = random.below(input.len() + 1);
    let length = random.below(64.min(input.len() - start) + 1);
    start..start + length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_inputs_and_none_is_too_long() {
        let corpus = [b"name: web".to_vec(), vec![b'x'; MAX_LENGTH]];
        let inputs = |seed| {
            let mut random = Random::new(seed);
            (0..500).map(|_| mutate(&corpus, &[b"@type"], &mut random)).collect::<Vec<_>>()
        };
        assert_eq!(inputs(3), inputs(3));
        assert_ne!(inputs(3), inputs(4));
        assert!(inputs(3).iter().all(|input| input.len() <= MAX_LENGTH));
    }

    #[test]
    fn an_empty_corpus_still_gives_inputs() {
        let mut random = Random::new(1);
        assert!((0..100).any(|_| !mutate(&[], &[], &mut random).is_empty()));
    }
}
