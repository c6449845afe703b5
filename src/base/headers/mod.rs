//! The headers of one message, pseudo-headers among them, in their order.
//!
//! All text lies in one buffer and the entries point into it, so reading a message allocates nothing once the
//! buffers have grown, and dropping or forwarding it touches no reference counts. Replaced and removed values
//! stay in the buffer until [`Headers::clear`].

mod cookies;
mod joined;
mod known;
mod spelling;

pub use cookies::cookie;
pub use joined::{joined_in_requests, joined_in_responses};
pub use known::Known;
pub use spelling::{Others, Spelling};

/// A header's name: one that is known by number, or any other in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name<'a> {
    /// A known one.
    Known(Known),
    /// Any other, in lower case.
    Other(&'a [u8]),
}

impl<'a> Name<'a> {
    /// The name that these lower-case bytes spell.
    pub fn new(name: &'a [u8]) -> Self {
        Known::lookup(name).map_or(Name::Other(name), Name::Known)
    }

    /// The name in lower case.
    pub fn as_bytes(&self) -> &'a [u8] {
        match self {
            Name::Known(known) => known.as_str().as_bytes(),
            Name::Other(name) => name,
        }
    }
}

impl From<Known> for Name<'_> {
    fn from(known: Known) -> Self {
        Name::Known(known)
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Span {
    at: u32,
    len: u32,
}

impl Span {
    fn range(self) -> std::ops::Range<usize> {
        self.at as usize..(self.at + self.len) as usize
    }

    fn of(self, text: &[u8]) -> &[u8] {
        &text[self.range()]
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    known: Option<Known>,
    /// Empty for a known name.
    name: Span,
    value: Span,
}

impl Entry {
    /// Whether its name is the known one with this bit.
    fn is_of(&self, bit: u128) -> bool {
        self.known.is_some_and(|known| known.bit() == bit)
    }
}

/// An ordered list of headers; names are lower case and may repeat.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    text: Vec<u8>,
    entries: Vec<Entry>,
    present: u128,
    /// Those that came more than once and are to be one list.
    repeated: u128,
    /// How names were written, where that is kept.
    spelling: Option<Box<Spelling>>,
}

impl Headers {
    /// No headers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Removes everything and keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.entries.clear();
        self.present = 0;
        self.repeated = 0;
        self.spelling = None;
    }

    /// Keeps how names were written.
    pub fn keep_spelling(&mut self, spelling: Spelling) {
        self.spelling = Some(Box::new(spelling));
    }

    /// How names were written, if that was kept.
    pub fn spelling(&self) -> Option<&Spelling> {
        self.spelling.as_deref()
    }

    /// Number of headers, pseudo-headers counted.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of all names and values, as Envoy counts them against its limits.
    pub fn byte_size(&self) -> usize {
        self.iter().map(|(name, value)| name.as_bytes().len() + value.len()).sum()
    }

    /// Whether a known header is there.
    pub fn contains(&self, known: Known) -> bool {
        self.present & known.bit() != 0
    }

    /// The first value of a known header.
    pub fn get(&self, known: Known) -> Option<&[u8]> {
        if !self.contains(known) {
            return None;
        }
        self.entries.iter().find(|entry| entry.known == Some(known)).map(|entry| entry.value.of(&self.text))
    }

    /// The first value of any header; the name in lower case.
    pub fn get_by_name(&self, name: &[u8]) -> Option<&[u8]> {
        let at = self.position(Name::new(name))?;
        Some(self.entries[at].value.of(&self.text))
    }

    /// All values of a header in their order.
    pub fn get_all<'a>(&'a self, name: Name<'a>) -> impl Iterator<Item = &'a [u8]> {
        self.entries.iter().filter(move |entry| self.is(entry, name)).map(|entry| entry.value.of(&self.text))
    }

    /// Names and values in their order.
    pub fn iter(&self) -> impl Iterator<Item = (Name<'_>, &[u8])> {
        self.entries.iter().map(|entry| (self.name_of(entry), entry.value.of(&self.text)))
    }

    /// Adds a header at the end; a pseudo-header goes before all others that are none.
    pub fn append<'n>(&mut self, name: impl Into<Name<'n>>, value: &[u8]) {
        let name = name.into();
        let name_span = match name {
            Name::Known(_) => Span::default(),
            Name::Other(text) => self.store(text),
        };
        let value = self.store(value);
        self.insert(name, name_span, value);
    }

    /// Adds a header whose name comes as received: it is put into lower case here.
    pub fn append_received(&mut self, name: &[u8], value: &[u8]) {
        let at = self.text.len();
        self.text.extend(name.iter().map(u8::to_ascii_lowercase));
        match Known::lookup(&self.text[at..]) {
            Some(known) => {
                self.text.truncate(at);
                let value = self.store(value);
                self.insert(Name::Known(known), Span::default(), value);
            }
            None => {
                let span = Span { at: at as u32, len: name.len() as u32 };
                let value = self.store(value);
                self.entries.push(Entry { known: None, name: span, value });
            }
        }
    }

    /// The same, but a header that `joined` says yes to becomes one list with those of its name that are there, once
    /// [`join_repeated`](Self::join_repeated) is called.
    pub fn append_received_joined(&mut self, name: &[u8], value: &[u8], joined: fn(Known) -> bool) {
        let before = self.present;
        self.append_received(name, value);
        // A known header that is new sets its bit; one that is not known leaves them all as well.
        if self.present == before
            && let Some(Entry { known: Some(known), .. }) = self.entries.last()
            && !known.is_pseudo()
            && joined(*known)
        {
            self.repeated |= known.bit();
        }
    }

    /// Makes one list of each header that came more than once and is to be one, at the place of its first. Each value is
    /// copied once, however often the header came.
    pub fn join_repeated(&mut self) {
        while self.repeated != 0 {
            let bit = self.repeated & self.repeated.wrapping_neg();
            self.repeated ^= bit;
            self.join(bit);
        }
    }

    fn join(&mut self, bit: u128) {
        let Headers { text, entries, .. } = self;
        let at = text.len();
        let mut first = None;
        for (index, entry) in entries.iter().enumerate().filter(|(_, entry)| entry.is_of(bit)) {
            first.get_or_insert(index);
            let Span { at: from, len } = entry.value;
            if len > 0 {
                if text.len() > at {
                    text.push(b',');
                }
                text.extend_from_within(from as usize..(from + len) as usize);
            }
        }
        let Some(first) = first else { return };
        entries[first].value = Span { at: at as u32, len: (text.len() - at) as u32 };
        let mut index = 0;
        entries.retain(|entry| {
            index += 1;
            index <= first + 1 || !entry.is_of(bit)
        });
    }

    /// Bytes of memory that the text takes, used or not.
    pub fn capacity(&self) -> usize {
        self.text.capacity()
    }

    /// Gives the header this one value: in place of the first it had, or at the end.
    pub fn set<'n>(&mut self, name: impl Into<Name<'n>>, value: &[u8]) {
        let name = name.into();
        let Some(first) = self.position(name) else {
            return self.append(name, value);
        };
        self.entries[first].value = self.store(value);
        self.remove_after(first + 1, name);
    }

    /// Removes all values of a header; tells whether there was one.
    pub fn remove<'n>(&mut self, name: impl Into<Name<'n>>) -> bool {
        let name = name.into();
        if self.position(name).is_none() {
            return false;
        }
        self.remove_after(0, name);
        if let Name::Known(known) = name {
            self.present &= !known.bit();
        }
        true
    }

    /// Keeps the headers that `keep` says yes to.
    pub fn retain(&mut self, mut keep: impl FnMut(Name<'_>, &[u8]) -> bool) {
        let Headers { text, entries, present, .. } = self;
        *present = 0;
        entries.retain(|entry| {
            let name = entry.known.map_or_else(|| Name::Other(entry.name.of(text)), Name::Known);
            let kept = keep(name, entry.value.of(text));
            if let (true, Some(known)) = (kept, entry.known) {
                *present |= known.bit();
            }
            kept
        });
    }

    fn insert(&mut self, name: Name<'_>, name_span: Span, value: Span) {
        let known = match name {
            Name::Known(known) => Some(known),
            Name::Other(_) => None,
        };
        let entry = Entry { known, name: name_span, value };
        match known {
            Some(known) if known.is_pseudo() => {
                let is_pseudo = |entry: &Entry| entry.known.is_some_and(Known::is_pseudo);
                let at =
                    self.entries.iter().position(|entry| !is_pseudo(entry)).unwrap_or(self.entries.len());
                self.entries.insert(at, entry);
            }
            _ => self.entries.push(entry),
        }
        if let Some(known) = known {
            self.present |= known.bit();
        }
    }

    fn remove_after(&mut self, from: usize, name: Name<'_>) {
        let mut at = 0;
        let Headers { text, entries, .. } = self;
        entries.retain(|entry| {
            at += 1;
            at <= from || !Self::matches(text, entry, name)
        });
    }

    fn position(&self, name: Name<'_>) -> Option<usize> {
        if let Name::Known(known) = name
            && !self.contains(known)
        {
            return None;
        }
        self.entries.iter().position(|entry| self.is(entry, name))
    }

    fn is(&self, entry: &Entry, name: Name<'_>) -> bool {
        Self::matches(&self.text, entry, name)
    }

    fn matches(text: &[u8], entry: &Entry, name: Name<'_>) -> bool {
        match name {
            Name::Known(known) => entry.known == Some(known),
            Name::Other(name) => entry.known.is_none() && entry.name.of(text) == name,
        }
    }

    fn name_of(&self, entry: &Entry) -> Name<'_> {
        entry.known.map_or_else(|| Name::Other(entry.name.of(&self.text)), Name::Known)
    }

    fn store(&mut self, text: &[u8]) -> Span {
        let at = self.text.len() as u32;
        self.text.extend_from_slice(text);
        Span { at, len: text.len() as u32 }
    }
}

#[cfg(test)]
mod tests;
