//! Why a network filter has closed a connection.

use super::ResponseFlags;

/// What access logs tell of a connection that a network filter has closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why this end closed it: `%DOWNSTREAM_LOCAL_CLOSE_REASON%`; empty if the filter does not say.
    pub local_close_reason: &'static str,
    /// `%CONNECTION_TERMINATION_DETAILS%`, if the filter tells any.
    pub termination_details: Option<String>,
    /// `%RESPONSE_CODE_DETAILS%`; empty if the filter tells none.
    pub response_code_details: &'static str,
    /// The flags that the filter sets.
    pub flags: ResponseFlags,
    /// Bytes that the client has sent and that have not passed.
    pub bytes_withheld: u64,
    /// The alert by which a client that speaks TLS is told (RFC 8446 §6.2); `None` where it is not.
    pub alert: Option<u8>,
}

impl Refusal {
    /// A connection that is closed for a reason, and of which nothing else is told.
    pub fn new(local_close_reason: &'static str) -> Self {
        Refusal {
            local_close_reason,
            termination_details: None,
            response_code_details: "",
            flags: ResponseFlags::default(),
            bytes_withheld: 0,
            alert: None,
        }
    }
}
