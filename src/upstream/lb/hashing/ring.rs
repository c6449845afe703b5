//! `RING_HASH`: each host stands at many points of a ring; a hash belongs to the next point (ketama).

use super::weights::Weights;
use crate::base::{murmur_hash2, xxhash};
use crate::config::cluster::{ConsistentHashing, HashFunction, RingHash};

/// The points in order, each with the number of its host.
#[derive(Debug)]
pub(super) struct Ring {
    points: Box<[(u64, u32)]>,
}

/// What the ring came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counts {
    pub(super) size: u64,
    pub(super) min_per_host: u64,
    pub(super) max_per_host: u64,
}

impl Ring {
    /// How many points the ring of these hosts has.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most maximum_ring_size")]
    pub(super) fn size(weights: &Weights, config: &RingHash) -> u64 {
        Self::scale(weights, config).ceil() as u64
    }

    fn scale(weights: &Weights, config: &RingHash) -> f64 {
        let smallest = (weights.min * f64::from(config.minimum_ring_size)).ceil() / weights.min;
        smallest.min(f64::from(config.maximum_ring_size))
    }

    /// Gives each host points by its share; the lightest has a whole number of them, unless the ring would be larger
    /// than it may be.
    pub(super) fn new(weights: &Weights, config: &RingHash, hashing: &ConsistentHashing) -> (Self, Counts) {
        let scale = Self::scale(weights, config);
        let size = Self::size(weights, config);
        let mut counts = Counts { size, min_per_host: size, max_per_host: 0 };
        let mut points = Vec::with_capacity(size as usize);
        // Sums over the whole ring, so that what rounding leaves over comes to the hosts in turn.
        let (mut made, mut wanted) = (0.0, 0.0);
        for (number, (host, weight)) in weights.hosts.iter().enumerate() {
            let mut key = super::key(host, hashing);
            key.push('_');
            let stem = key.len();
            wanted += scale * weight;
            let mut count = 0;
            while made < wanted {
                key.truncate(stem);
                key.push_str(itoa::Buffer::new().format(count));
                points.push((point(&key, config.hash_function), number as u32));
                count += 1;
                made += 1.0;
            }
            counts.min_per_host = counts.min_per_host.min(count);
            counts.max_per_host = counts.max_per_host.max(count);
        }
        points.sort_by_key(|(point, _)| *point);
        (Ring { points: points.into_boxed_slice() }, counts)
    }

    /// Whether it has no points.
    pub(super) fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// The number of the host at the first point not before the hash, or the first of all; with `attempt` so many
    /// points further.
    pub(super) fn choose(&self, hash: u64, attempt: u32) -> u32 {
        let at = self.points.partition_point(|(point, _)| *point < hash);
        let at = if at == self.points.len() { 0 } else { at };
        self.points[(at + attempt as usize) % self.points.len()].1
    }
}

fn point(key: &str, function: HashFunction) -> u64 {
    match function {
        HashFunction::XxHash => xxhash::hash(key.as_bytes()),
        HashFunction::MurmurHash2 => murmur_hash2::hash(key.as_bytes()),
    }
}
