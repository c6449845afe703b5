//! Checks that speak what a host agrees to over TLS: `HttpHealthCheck.use_alpn_protocol`.

use super::asking::{Asking, Connection, is_usable};
use crate::codec::StreamError;
use crate::config::cluster::Codec;

impl Asking {
    /// What the host agrees to speak: on the connection that is kept, if it may serve again, or on one that is kept from
    /// now on.
    pub(super) async fn agree(&mut self, otherwise: Codec) -> Result<Codec, StreamError> {
        let kept = match &mut self.connection {
            Some(Connection::Http1(kept)) => is_usable(kept).then_some(Codec::Http1),
            Some(Connection::Http2(kept)) => (!kept.goes_away()).then_some(Codec::Http2),
            _ => None,
        };
        if let Some(codec) = kept {
            return Ok(codec);
        }
        let (io, info) = self.greeted().await.map_err(|_| StreamError::Closed)?;
        let codec = match info.as_ref().map(|info| &*info.alpn) {
            Some(b"h2") => Codec::Http2,
            Some(b"http/1.1") => Codec::Http1,
            _ => otherwise,
        };
        self.connection = Some(match codec {
            Codec::Http1 => Connection::Http1(self.http1_on(io)),
            Codec::Http2 => Connection::Http2(self.http2_on(io).await?),
        });
        Ok(codec)
    }
}
