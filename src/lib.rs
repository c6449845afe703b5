//! An Envoy-compatible xDS proxy.
