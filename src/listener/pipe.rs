//! Unix sockets: bound beside their path until they serve.
//!
//! Binding takes a name that does not exist yet, while a listener that is to be replaced may still serve at the path,
//! and goes on doing so if its successor never serves. So a socket is bound under a name beside the path and takes the
//! path once it listens: who connects meets one or the other at every moment.
//!
//! Envoy removes the file first and binds at the path.

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use socket2::{Domain, SockAddr, Socket, Type};

/// The path of a socket that is bound beside it.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    /// `None` once the socket is at its path.
    beside: Mutex<Option<Beside>>,
}

/// A file that is removed with this value.
#[derive(Debug)]
struct Beside(PathBuf);

impl Drop for Beside {
    fn drop(&mut self) {
        // It has another name by now, or what is left of it harms nobody.
        fs::remove_file(&self.0).unwrap_or_default();
    }
}

impl Place {
    /// Gives the socket its path, in place of what is there.
    pub(super) fn take(&self) -> io::Result<()> {
        let mut beside = self.beside.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Beside(from)) = &*beside {
            fs::rename(from, &self.path)?;
        }
        *beside = None;
        Ok(())
    }
}

/// A socket that does not listen yet, and the place that is to be its own. A path that begins with `@` is a name in the
/// abstract namespace, which is taken at once; a `mode` of 0 leaves the file's permissions to the process's mask.
pub(super) fn bind(path: &Path, mode: u32) -> io::Result<(Socket, Option<Place>)> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
    if let Some(name) = path.as_os_str().as_bytes().strip_prefix(b"@") {
        let name = OsString::from_vec([&b"\0"[..], name].concat());
        socket.bind(&SockAddr::unix(PathBuf::from(name))?)?;
        return Ok((socket, None));
    }
    // A longer path than an address may be is one that nobody can connect to.
    SockAddr::unix(path)?;
    if path.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let random = RandomState::new().hash_one(path);
    let beside = path.with_file_name(format!(".dragoman-{random:016x}"));
    bind_at(&socket, &beside)?;
    let beside = Beside(beside);
    if mode != 0 {
        fs::set_permissions(&beside.0, Permissions::from_mode(mode))?;
    }
    Ok((socket, Some(Place { path: path.to_owned(), beside: Mutex::new(Some(beside)) })))
}

/// Binds to a path that may be a little longer than an address can be.
fn bind_at(socket: &Socket, path: &Path) -> io::Result<()> {
    if let Ok(address) = SockAddr::unix(path) {
        return socket.bind(&address);
    }
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let directory = File::open(directory)?;
    let short = Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join(name);
    socket.bind(&SockAddr::unix(short)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    fn listening(path: &Path) -> Socket {
        let (socket, place) = bind(path, 0).expect("a free path");
        socket.listen(8).expect("a bound socket");
        place.expect("a file").take().expect("a free path");
        socket
    }

    fn files(directory: &Path) -> usize {
        fs::read_dir(directory).expect("a directory").count()
    }

    #[test]
    fn a_path_stays_with_the_socket_that_serves_until_the_next_one_takes_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("socket");
        let first = listening(&path);
        let (second, place) = bind(&path, 0).expect("a name beside it");
        let _to_first = UnixStream::connect(&path).expect("the first one listens");
        first.accept().expect("a connection");
        second.listen(8).expect("a bound socket");
        place.expect("a file").take().expect("the path");
        let _to_second = UnixStream::connect(&path).expect("the second one listens");
        second.accept().expect("a connection");
        assert_eq!(files(directory.path()), 1);
    }

    #[test]
    fn a_socket_that_never_serves_leaves_the_path_and_nothing_else() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("socket");
        let _first = listening(&path);
        drop(bind(&path, 0).expect("a name beside it"));
        UnixStream::connect(&path).expect("the first one listens");
        assert_eq!(files(directory.path()), 1);
    }

    #[test]
    fn a_path_may_be_as_long_as_an_address() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut path = directory.path().join("a");
        while path.as_os_str().len() < 107 {
            path = directory.path().join(format!("{}a", path.file_name().expect("a name").display()));
        }
        let _socket = listening(&path);
        UnixStream::connect(&path).expect("it listens");
        assert!(bind(&path.with_extension("a"), 0).is_err(), "nobody could connect to that");
        // With a short name in a long directory, the name beside it is the longer one.
        let deep = directory.path().join("d".repeat(105 - directory.path().as_os_str().len() - 1));
        fs::create_dir(&deep).expect("a directory");
        let _socket = listening(&deep.join("a"));
        UnixStream::connect(deep.join("a")).expect("it listens");
        assert_eq!(files(&deep), 1);
    }

    #[test]
    fn a_directory_is_no_place_for_a_socket() {
        let directory = tempfile::tempdir().expect("a directory");
        assert_eq!(bind(directory.path(), 0).expect_err("a directory").kind(), io::ErrorKind::IsADirectory);
    }
}
