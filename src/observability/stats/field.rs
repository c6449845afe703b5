//! What a block of statistics consists of.

/// A statistic's kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Only grows, and is not there before something is counted.
    LazyCounter,
    /// Goes up and down.
    Gauge,
    /// A distribution. It is there from the beginning, also while nothing is recorded.
    Histogram(Unit),
    /// A distribution that is not there before something is recorded.
    LazyHistogram(Unit),
    /// Responses by status: `<name>_503`, `<name>_5xx` once there was one; `<name>_completed` always.
    Codes,
    /// Responses by status, of which nothing is there before the first response.
    LazyCodes,
    /// A text.
    Text,
}

/// What a histogram's numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A count.
    Unspecified,
    /// Bytes.
    Bytes,
    /// Thousandths of a second.
    Milliseconds,
    /// Millionths of a second.
    Microseconds,
}

/// Which array of a shard a kind lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Store {
    Values,
    Histograms,
    Codes,
    Texts,
}

impl Kind {
    const fn store(self) -> Store {
        match self {
            Kind::Counter | Kind::LazyCounter | Kind::Gauge => Store::Values,
            Kind::Histogram(_) | Kind::LazyHistogram(_) => Store::Histograms,
            Kind::Codes | Kind::LazyCodes => Store::Codes,
            Kind::Text => Store::Texts,
        }
    }
}

/// One statistic of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name after the block's prefix.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
}

/// The statistics of a block.
#[derive(Debug, PartialEq, Eq)]
pub struct Layout {
    /// Name of the struct; blocks of equal name and prefix are one.
    pub name: &'static str,
    /// The statistics, in the order of their declaration.
    pub fields: &'static [Field],
}

impl Layout {
    /// The place of a field in the array of its kind.
    pub const fn slot(&self, index: usize) -> usize {
        self.count(self.fields[index].kind.store(), index)
    }

    /// The place of the field of this name in the array of its kind; for use in constants.
    ///
    /// # Panics
    /// There is no such field, so that the constant does not compile.
    pub const fn slot_of(&self, name: &str) -> usize {
        let mut index = 0;
        while index < self.fields.len() {
            if equal(self.fields[index].name.as_bytes(), name.as_bytes()) {
                return self.slot(index);
            }
            index += 1;
        }
        panic!("no such statistic")
    }

    /// Number of counters and gauges.
    pub(super) const fn values(&self) -> usize {
        self.count(Store::Values, self.fields.len())
    }

    /// Number of histograms.
    pub(super) const fn histograms(&self) -> usize {
        self.count(Store::Histograms, self.fields.len())
    }

    /// Number of groups of response codes.
    pub(super) const fn codes(&self) -> usize {
        self.count(Store::Codes, self.fields.len())
    }

    /// Number of texts.
    pub(super) const fn texts(&self) -> usize {
        self.count(Store::Texts, self.fields.len())
    }

    const fn count(&self, store: Store, before: usize) -> usize {
        let (mut at, mut found) = (0, 0);
        while at < before {
            found += (self.fields[at].kind.store() as u8 == store as u8) as usize;
            at += 1;
        }
        found
    }
}

const fn equal(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}
