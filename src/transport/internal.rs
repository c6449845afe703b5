//! Connections within the process: listeners that clusters reach by `envoy_internal_address`.
//!
//! They stay on their worker: the listener that a connection goes to is that of the worker which makes it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use crate::base::io::Loopback;
use crate::observability::stream_info::Notes;

/// Bytes that may wait each way where nothing is configured.
pub const DEFAULT_BUFFER_BYTES: usize = 1 << 20;

/// A connection that comes to a listener.
#[derive(Debug)]
pub struct Arrival {
    /// The listener's end.
    pub stream: Loopback,
    /// Where it goes: `envoy_internal_address.endpoint_id`.
    pub endpoint_id: Arc<str>,
    /// What is told of it beside its bytes.
    pub notes: Option<Box<Notes>>,
}

/// Where connections come to a listener.
pub trait Door: fmt::Debug {
    /// How many bytes may wait each way.
    fn buffer_bytes(&self) -> usize;

    /// A connection has come.
    fn enter(&self, arrival: Arrival);
}

/// The listeners of one worker to which connections can be made within the process, by name.
#[derive(Debug, Default)]
pub struct Doors(RefCell<HashMap<Box<str>, Rc<dyn Door>>>);

impl Doors {
    /// Connections to this listener come here from now on.
    pub fn open(&self, listener: Box<str>, door: Rc<dyn Door>) {
        self.0.borrow_mut().insert(listener, door);
    }

    /// No more connections come here, unless the listener has another door by now.
    pub fn close(&self, listener: &str, door: &Rc<dyn Door>) {
        let mut doors = self.0.borrow_mut();
        if doors.get(listener).is_some_and(|current| Rc::ptr_eq(current, door)) {
            doors.remove(listener);
        }
    }

    /// A connection to this listener; `None` where there is none of the name.
    pub fn connect(&self, listener: &str, endpoint_id: &str, notes: Option<Box<Notes>>) -> Option<Loopback> {
        let door = self.0.borrow().get(listener).cloned()?;
        let (ours, stream) = Loopback::pair(door.buffer_bytes());
        door.enter(Arrival { stream, endpoint_id: endpoint_id.into(), notes });
        Some(ours)
    }
}
