//! Makes `proto/descriptors.bin`: the descriptors of Envoy's API in one stripped `FileDescriptorSet`.
//!
//! The bulk comes from `src/generated/types.bin` in the source of the `envoy-types` crate. It is
//! stripped at wire level, since decoding and encoding it with prost-types would drop the extensions of
//! the options (the validation rules among them). What envoy-types lacks is compiled from
//! `proto/definitions`. Our own file wins where both have one of the same name.

use std::{
    collections::BTreeSet,
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use prost::encoding::{WireType, decode_key, decode_varint, encode_key, encode_varint};
use protox::file::{ChainFileResolver, DescriptorSetFileResolver, GoogleFileResolver, IncludeFileResolver};

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
    let own = compile_definitions(&envoy)?;
    let mut seen = BTreeSet::new();
    let mut out = Vec::new();
    for set in [&own, &envoy] {
        for file in length_delimited(set, SET_FILE)? {
            let name = length_delimited(file, FILE_NAME)?.first().copied().unwrap_or_default();
            if seen.insert(name.to_vec()) {
                put(&mut out, SET_FILE, &without(file, FILE_SOURCE_CODE_INFO)?);
            }
        }
    }
    Ok(out)
}

/// Compiles every file below `proto/definitions`; they may import what envoy-types has.
fn compile_definitions(envoy: &[u8]) -> Outcome<Vec<u8>> {
    let root = repository().join("proto/definitions");
    let mut resolver = ChainFileResolver::new();
    resolver.add(IncludeFileResolver::new(root.clone()));
    resolver.add(DescriptorSetFileResolver::decode(envoy)?);
    resolver.add(GoogleFileResolver::new());
    let mut files = Vec::new();
    proto_files(&root, &mut files)?;
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

/// The payloads of all length-delimited occurrences of a field.
fn length_delimited(message: &[u8], wanted: u32) -> Outcome<Vec<&[u8]>> {
    let mut found = Vec::new();
    visit(message, |number, wire_type, _, payload| {
        if number == wanted && wire_type == WireType::LengthDelimited {
            found.push(payload);
        }
    })?;
    Ok(found)
}

/// The message without a field.
fn without(message: &[u8], dropped: u32) -> Outcome<Vec<u8>> {
    let mut kept = Vec::new();
    visit(message, |number, _, whole, _| {
        if number != dropped {
            kept.extend_from_slice(whole);
        }
    })?;
    Ok(kept)
}

/// Calls `each` with number, wire type, whole encoding and payload of every field of a message.
fn visit<'a>(message: &'a [u8], mut each: impl FnMut(u32, WireType, &'a [u8], &'a [u8])) -> Outcome<()> {
    let mut rest = message;
    while !rest.is_empty() {
        let start = rest;
        let (number, wire_type) = decode_key(&mut rest)?;
        let length = match wire_type {
            WireType::LengthDelimited => usize::try_from(decode_varint(&mut rest)?)?,
            WireType::Varint => rest.iter().position(|byte| byte & 0x80 == 0).ok_or("cut off")? + 1,
            WireType::ThirtyTwoBit => 4,
            WireType::SixtyFourBit => 8,
            WireType::StartGroup | WireType::EndGroup => return Err("groups are not expected".into()),
        };
        let (payload, after) = rest.split_at_checked(length).ok_or("cut off")?;
        rest = after;
        each(number, wire_type, &start[..start.len() - rest.len()], payload);
    }
    Ok(())
}

fn put(out: &mut Vec<u8>, number: u32, payload: &[u8]) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(payload.len() as u64, out);
    out.extend_from_slice(payload);
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
