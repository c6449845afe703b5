//! Makes `proto/descriptors.bin`: the descriptors of Envoy's API in one stripped `FileDescriptorSet`.
//!
//! The bulk comes from `src/generated/types.bin` in the source of the `envoy-types` crate. It is
//! stripped at wire level, since decoding and encoding it with prost-types would drop the extensions of
//! the options (the validation rules among them). What envoy-types lacks is compiled from
//! `proto/definitions`, whole files, and from `proto/newer`, what Envoy has added to files of envoy-types since. Our
//! own file wins where both have one of the same name.

mod newer;
mod wire;

use std::{
    collections::BTreeSet,
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use protox::file::{ChainFileResolver, DescriptorSetFileResolver, GoogleFileResolver, IncludeFileResolver};
use wire::{length_delimited, put, without};

/// `FileDescriptorSet.file`.
const SET_FILE: u32 = 1;
/// `FileDescriptorProto.name`.
const FILE_NAME: u32 = 1;
/// `FileDescriptorProto.source_code_info`: comments and positions, four fifths of the input.
const FILE_SOURCE_CODE_INFO: u32 = 9;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Makes the descriptors and writes them to `proto/descriptors.bin`.
pub fn write() -> Outcome<()> {
    Ok(fs::write(output_path(), make()?)?)
}

/// Makes the descriptors again and fails when the committed file differs.
pub fn check() -> Outcome<()> {
    if make()? == fs::read(output_path())? {
        return Ok(());
    }
    Err("proto/descriptors.bin is out of date: run `cargo run -p xtask -- descriptors`".into())
}

fn make() -> Outcome<Vec<u8>> {
    let envoy = fs::read(envoy_types_path()?)?;
    let own = compile("proto/definitions", "", &envoy)?;
    let mut newer = newer::Files::read(&compile("proto", "newer", &envoy)?)?;
    let mut seen = BTreeSet::new();
    let mut out = Vec::new();
    for set in [&own, &envoy] {
        for file in length_delimited(set, SET_FILE)? {
            let name = wire::text(file, FILE_NAME)?;
            if seen.insert(name) {
                let file = without(file, FILE_SOURCE_CODE_INFO)?;
                put(&mut out, SET_FILE, &newer.added_to(name, file)?);
            }
        }
    }
    newer.others().iter().for_each(|file| put(&mut out, SET_FILE, file));
    Ok(out)
}

/// Compiles every file below a folder of `root`, by which the files are named; they may import what envoy-types has.
fn compile(root: &str, folder: &str, envoy: &[u8]) -> Outcome<Vec<u8>> {
    let root = repository().join(root);
    let mut resolver = ChainFileResolver::new();
    resolver.add(IncludeFileResolver::new(root.clone()));
    resolver.add(DescriptorSetFileResolver::decode(envoy)?);
    resolver.add(GoogleFileResolver::new());
    let mut files = Vec::new();
    proto_files(&root.join(folder), &mut files)?;
    files.sort();
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_source_info(false).include_imports(false);
    for file in files {
        compiler.open_file(file.strip_prefix(&root)?)?;
    }
    Ok(compiler.encode_file_descriptor_set())
}

fn proto_files(directory: &Path, into: &mut Vec<PathBuf>) -> Outcome<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            proto_files(&path, into)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            into.push(path);
        }
    }
    Ok(())
}

/// Asks cargo where the source of envoy-types lies.
fn envoy_types_path() -> Outcome<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--locked", "--offline"])
        .current_dir(repository())
        .output()?;
    if !output.status.success() {
        return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().ok_or("cargo metadata lists no packages")?;
    let package = packages.iter().find(|package| package["name"] == "envoy-types");
    let manifest = package.and_then(|package| package["manifest_path"].as_str());
    let manifest = Path::new(manifest.ok_or("envoy-types is not among the dependencies")?);
    Ok(manifest.with_file_name("src").join("generated/types.bin"))
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn output_path() -> PathBuf {
    repository().join("proto/descriptors.bin")
}

#[cfg(test)]
mod tests {
    #[test]
    fn committed_descriptors_are_what_the_task_makes() {
        if let Err(error) = super::check() {
            panic!("{error}");
        }
    }
}
