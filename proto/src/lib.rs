//! Descriptors of Envoy's API, and the conversions that they drive.
//!
//! A configuration text becomes a [`tree`] of values that know their line and column, and the tree becomes
//! the wire form of a message, which prost decodes:
//!
//! ```
//! use dragoman_proto::{encode, tree};
//!
//! let document = tree::parse_yaml("name: web\nconnect_timeout: 0.25s\n")?;
//! let cluster = encode(&document.root, "envoy.config.cluster.v3.Cluster", &encode::Options::default());
//! assert_eq!(cluster.expect("a valid cluster").bytes, b"\x0a\x03web\x22\x05\x10\x80\xe5\x9a\x77");
//!
//! let document = tree::parse_yaml("name: web\nconnect_timeout: 250ms\n")?;
//! let errors = encode(&document.root, "envoy.config.cluster.v3.Cluster", &encode::Options::default());
//! assert_eq!(
//!     errors.expect_err("no such unit")[0].to_string(),
//!     "2:18: connect_timeout: a duration must end with a single `s`; a duration is written like `1.5s`"
//! );
//! # Ok::<(), dragoman_proto::Diagnostic>(())
//! ```
//!
//! Two messages are laid over each other, as `--config-yaml` over `--config-path`, by appending one encoding to
//! the other: that is how protobuf merges. [`encode_text()`] reads protobuf's text format, [`print()`] makes
//! JSON of a message, and [`inspect()`] finds unknown fields and violated constraints in it.
//!
//! All of it is driven by [`descriptor`]s that are part of the program and parsed when first used.

mod base64;
pub mod descriptor;
mod diagnostic;
pub mod encode;
mod hint;
mod inspect;
mod kind;
mod mentions;
mod parts;
mod path;
mod position;
mod print;
pub mod rejected;
mod text;
mod time;
pub mod tree;
mod typed_struct;
mod wire;

pub use diagnostic::{Diagnostic, MessageError};
pub use encode::encode;
pub use hint::{nearest, nearest_type};
pub use inspect::{Deprecated, Findings, Newer, UNSERVED, UnknownField, UnknownType, Violation, inspect};
pub use mentions::{FieldName, Mention, mentions};
pub use parts::{elements, numbers};
pub use print::{PrintOptions, print, print_at};
pub use text::encode_text;
pub use typed_struct::{is_typed_struct, typed_struct_to_any};
pub use wire::WireError;
