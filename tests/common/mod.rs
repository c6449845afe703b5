//! What the tests of the running program share: a process on ports of its own choice, and reading HTTP/1.1.

pub(crate) mod http1;
pub(crate) mod text;

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The longest wait for a process to be ready, or to end.
const PATIENCE: Duration = Duration::from_secs(20);
/// The pause between two looks at something that gives no notice.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// The Envoy to compare with: `ENVOY_BIN`, or `envoy` on the `PATH`.
pub(crate) fn envoy() -> Option<PathBuf> {
    if let Some(path) = env::var_os("ENVOY_BIN") {
        return Some(path.into());
    }
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|directory| directory.join("envoy")).find(|file| is_program(file))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// A running proxy, dragoman or Envoy; killed when dropped.
pub(crate) struct Proxy {
    pub(crate) child: Child,
    log: PathBuf,
    /// Where the admin interface listens.
    pub(crate) admin: SocketAddr,
}

impl Proxy {
    /// Starts `program -c config` with more `args` and waits until `/ready` says LIVE. Its files go to `directory`.
    ///
    /// The admin address in the configuration should have port 0. The error is a sentence and the log.
    #[allow(dead_code, reason = "not every test starts one in the usual environment")]
    pub(crate) fn start(
        program: &Path,
        config: &Path,
        args: &[&str],
        directory: &Path,
    ) -> Result<Self, String> {
        Self::start_within(program, config, args, &[], directory)
    }

    /// The same with these variables in its environment.
    #[allow(dead_code, reason = "not every test that starts a program has any")]
    pub(crate) fn start_within(
        program: &Path,
        config: &Path,
        args: &[&str],
        environment: &[(String, String)],
        directory: &Path,
    ) -> Result<Self, String> {
        let log = directory.join("log");
        let admin_address_path = directory.join("admin_address");
        let output = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        let errors = output.try_clone().map_err(|error| error.to_string())?;
        let child = Command::new(program)
            .arg("-c")
            .arg(config)
            .arg("--admin-address-path")
            .arg(&admin_address_path)
            .args(args)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        let mut proxy = Self { child, log, admin: SocketAddr::from(([127, 0, 0, 1], 0)) };
        let admin = proxy.once(|_| fs::read_to_string(&admin_address_path).ok()?.trim().parse().ok())?;
        proxy.admin = admin;
        proxy.once(|proxy| (proxy.get("/ready").ok()?.status == 200).then_some(()))?;
        Ok(proxy)
    }

    /// Waits until `look` finds what it looks for.
    fn once<T>(&mut self, look: impl Fn(&Self) -> Option<T>) -> Result<T, String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look(self) {
                return Ok(found);
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("it ended with {status}\n{}", self.log()));
            }
            if Instant::now() > deadline {
                return Err(format!("it is not ready after {PATIENCE:?}\n{}", self.log()));
            }
            thread::sleep(LOOK_AGAIN);
        }
    }

    /// Asks the admin interface.
    pub(crate) fn get(&self, path: &str) -> Result<http1::Message, String> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n");
        let mut stream =
            TcpStream::connect_timeout(&self.admin, PATIENCE).map_err(|error| error.to_string())?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(|error| error.to_string())?;
        stream.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).map_err(|error| error.to_string())?;
        http1::read(&answer, http1::Kind::Response, true).ok_or_else(|| format!("no answer to {path}"))
    }

    /// The addresses of the listeners by name.
    pub(crate) fn listeners(&self) -> Result<BTreeMap<String, SocketAddr>, String> {
        let text = String::from_utf8_lossy(&self.get("/listeners")?.body).into_owned();
        Ok(text
            .lines()
            .filter_map(|line| line.split_once("::"))
            .filter_map(|(name, address)| Some((name.to_owned(), address.parse().ok()?)))
            .collect())
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Runs `command` to its end: the status and everything it printed, or an error when it does not end.
pub(crate) fn run_to_end(command: &mut Command, directory: &Path) -> Result<(ExitStatus, String), String> {
    let path = directory.join("output");
    let output = File::create(&path).map_err(|error| error.to_string())?;
    let errors = output.try_clone().map_err(|error| error.to_string())?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn()
        .map_err(|error| error.to_string())?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            return Ok((status, fs::read_to_string(&path).unwrap_or_default()));
        }
        if Instant::now() > deadline {
            child.kill().map_err(|error| error.to_string())?;
            child.wait().map_err(|error| error.to_string())?;
            return Err(format!("it did not end\n{}", fs::read_to_string(&path).unwrap_or_default()));
        }
        thread::sleep(LOOK_AGAIN);
    }
}
