//! Tasks of the repository that are no part of a build.

fn main() {}
