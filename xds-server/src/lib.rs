//! A small reference xDS management server.
