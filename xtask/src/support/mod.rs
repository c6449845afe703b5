//! `docs/support.md`: how each field of each message is answered, from the lists of `open!` in the sources.

mod declarations;
mod names;
mod opened;
mod page;
mod reach;
mod said;

use std::error::Error;
use std::path::{Path, PathBuf};

/// Writes the page.
///
/// # Errors
/// Sources that cannot be read, a message that an implemented field holds and no `open!` takes apart, or a page that cannot be written.
pub fn write() -> Result<(), Box<dyn Error>> {
    Ok(std::fs::write(path(), make()?)?)
}

/// Compares the page with what [`write()`] would write.
///
/// # Errors
/// As of [`write()`], or the page is stale.
pub fn check() -> Result<(), Box<dyn Error>> {
    if std::fs::read_to_string(path())? == make()? {
        return Ok(());
    }
    Err("docs/support.md is stale: run `cargo run -p xtask -- support`".into())
}

fn make() -> Result<String, Box<dyn Error>> {
    let root = root();
    let declarations = declarations::collect(&root, &root.join("src"))?;
    let unlisted = reach::unlisted(&declarations);
    if !unlisted.is_empty() {
        let unlisted: Vec<_> =
            unlisted.iter().map(|(message, field)| format!("{message}, in {field}")).collect();
        return Err(format!("these are read without an `open!`:\n{}", unlisted.join("\n")).into());
    }
    Ok(page::render(&declarations))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn path() -> PathBuf {
    root().join("docs/support.md")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_on_support_says_what_the_sources_say() {
        super::check().unwrap_or_else(|error| panic!("{error}"));
    }
}
