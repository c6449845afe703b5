//! Network namespaces of the tests' own, and who speaks in them.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::gettid;

/// The longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Why there cannot be a namespace here; `None` where there can.
pub(crate) fn obstacle() -> Option<String> {
    let tried = thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).map_err(|error| format!("no network namespace: {error}"))?;
        try_run("ip link set lo up")?;
        try_run("iptables -t nat -A OUTPUT -p tcp -d 192.0.2.1 -j REDIRECT --to-ports 1")?;
        try_run("iptables -t mangle -A PREROUTING -p tcp -d 192.0.2.1 -j TPROXY --on-port 1 --tproxy-mark 1")
    });
    tried.join().unwrap().err()
}

/// Does something in a namespace that nobody else is in.
pub(crate) fn in_namespace<T: Send + 'static>(what: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        run("ip link set lo up");
        what()
    });
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Runs a command in the namespace of this thread.
pub(crate) fn run(command: &str) {
    try_run(command).unwrap();
}

fn try_run(command: &str) -> Result<(), String> {
    let mut words = command.split_whitespace();
    let program = words.next().unwrap_or_default();
    let output = Command::new(program).args(words).output().map_err(|error| format!("{program}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    output.status.success().then_some(()).ok_or_else(|| format!("{command}: {said}"))
}

/// A namespace beside that of this thread, from which somebody connects.
pub(crate) struct Beyond {
    ask: Sender<SocketAddr>,
    answers: Receiver<String>,
}

impl Beyond {
    /// A cable leads there; the ends have these addresses.
    pub(crate) fn new(here: &str, there: &'static str) -> Self {
        let (ask, asked) = channel::<SocketAddr>();
        let (answer, answers) = channel();
        thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            answer.send(gettid().to_string()).unwrap();
            // The cable is there once the first question comes.
            for (number, address) in asked.iter().enumerate() {
                if number == 0 {
                    run(&format!("ip addr add {there}/24 dev there"));
                    run("ip link set there up");
                }
                answer.send(get(address)).unwrap();
            }
        });
        let there = answers.recv().unwrap();
        run("ip link add here type veth peer name there");
        run(&format!("ip link set there netns {there}"));
        run(&format!("ip addr add {here}/24 dev here"));
        run("ip link set here up");
        Beyond { ask, answers }
    }

    /// What a request from there is answered.
    pub(crate) fn get(&self, address: SocketAddr) -> String {
        self.ask.send(address).unwrap();
        self.answers.recv_timeout(PATIENCE).unwrap()
    }
}

/// Answers each connection to this address, once it has said something, with this text, in which `{peer}` is the address
/// that it comes from, and closes it.
pub(crate) fn answer(address: &str, text: &str) {
    let listener = TcpListener::bind(address).unwrap();
    let text = text.to_owned();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut bytes = [0; 4096];
            if stream.read(&mut bytes).is_ok_and(|length| length > 0) {
                let peer = stream.peer_addr().map(|peer| peer.ip().to_string()).unwrap_or_default();
                stream.write_all(text.replace("{peer}", &peer).as_bytes()).ok();
            }
        }
    });
}

/// All that comes in answer to a request; what stands in its way where nothing does.
pub(crate) fn get(address: SocketAddr) -> String {
    let asked = TcpStream::connect_timeout(&address, PATIENCE).and_then(|mut stream| {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: service\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    });
    asked.unwrap_or_else(|error| error.kind().to_string())
}
