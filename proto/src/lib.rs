//! Descriptors of the Envoy API, and the conversions that they drive.
