//! The `dragoman-xds` command.

fn main() {}
