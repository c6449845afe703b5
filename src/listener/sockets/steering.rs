//! Connections given to the worker that stays at the CPU on which they came:
//! `Listener.connection_balance_config.cpu_locality_balance`.

use nix::errno::Errno;
use nix::libc::{
    BPF_ABS, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, SKF_AD_CPU, SKF_AD_OFF, sock_filter, sock_fprog,
};
use nix::sys::socket::{setsockopt, sockopt};
use socket2::Socket;

/// A place that no socket has: the system decides then.
const NOWHERE: u32 = u32::MAX;

/// Has the system choose among the sockets that share the address of this one, the first, by these CPUs: each socket gets
/// what comes on the CPU in its place, and what comes on another is spread as it would be otherwise.
///
/// # Errors
/// The system does not take the program.
pub(super) fn steer(first: &Socket, cpus: &[usize]) -> Result<(), Errno> {
    let mut program = program(cpus);
    let len = u16::try_from(program.len()).map_err(|_| Errno::E2BIG)?;
    setsockopt(first, sockopt::AttachReusePortCbpf, &sock_fprog { len, filter: program.as_mut_ptr() })
}

/// The program in classic BPF: it compares the CPU with each in turn, and returns the place of its socket.
fn program(cpus: &[usize]) -> Vec<sock_filter> {
    let cpu_of_packet = (SKF_AD_OFF + SKF_AD_CPU) as u32;
    let mut program = vec![step(BPF_LD | BPF_W | BPF_ABS, 0, cpu_of_packet)];
    for (place, cpu) in (0..).zip(cpus) {
        // Over the next step unless it is this one.
        program.push(step(BPF_JMP | BPF_JEQ | BPF_K, 1, u32::try_from(*cpu).unwrap_or(NOWHERE)));
        program.push(step(BPF_RET | BPF_K, 0, place));
    }
    program.push(step(BPF_RET | BPF_K, 0, NOWHERE));
    program
}

/// A step of the program, and how many to leave out where what it asks is not so.
fn step(code: u32, otherwise: u8, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: otherwise, k }
}
