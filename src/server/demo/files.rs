//! The directory that the demo serves.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where the directory is in a checkout.
const IN_CHECKOUT: &str = "testdata/demo";

/// What is in it, for those who have the binary alone.
pub(super) const FILES: [(&str, &str); 4] = [
    ("clusters.yaml", include_str!("../../../testdata/demo/clusters.yaml")),
    ("endpoints.yaml", include_str!("../../../testdata/demo/endpoints.yaml")),
    ("listeners.yaml", include_str!("../../../testdata/demo/listeners.yaml")),
    ("routes.yaml", include_str!("../../../testdata/demo/routes.yaml")),
];

/// A directory with the demo's resources.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// Whether it was made for this run and goes with it.
    temporary: bool,
}

impl Directory {
    /// `testdata/demo` below the working directory, or else a copy made in the system's temporary directory.
    pub(super) fn find() -> io::Result<Self> {
        let checkout = Path::new(IN_CHECKOUT);
        if checkout.is_dir() {
            return Ok(Self { path: checkout.to_owned(), temporary: false });
        }
        Self::copy_to(&std::env::temp_dir().join(format!("dragoman-demo-{}", std::process::id())))
    }

    fn copy_to(path: &Path) -> io::Result<Self> {
        fs::create_dir(path)?;
        let directory = Self { path: path.to_owned(), temporary: true };
        for (name, content) in FILES {
            fs::write(path.join(name), content)?;
        }
        Ok(directory)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if self.temporary {
            // Left behind if somebody removes it at the same time; it is in the temporary directory.
            fs::remove_dir_all(&self.path).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_holds_every_file_and_goes_away() {
        let path = std::env::temp_dir().join(format!("dragoman-demo-test-{}", std::process::id()));
        let directory = Directory::copy_to(&path).unwrap();
        let catalog = dragoman_xds::load_directory(directory.path(), &Default::default()).unwrap();
        assert_eq!(catalog.len(), 6);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), FILES.len());
        drop(directory);
        assert!(!path.exists());
    }
}
