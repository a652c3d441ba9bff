//! A binary as Lambda wants it: a zip with one executable file `bootstrap`.

use std::fs;
use std::io::{Cursor, Write as _};
use std::path::Path;

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// A zip, and the hash of what is in it.
#[derive(Debug)]
pub struct Package {
    /// The zip.
    pub bytes: Vec<u8>,
    /// Hexadecimal SHA-256 of the binary.
    pub digest: String,
}

/// Packs a binary. Stored, not compressed: it travels no further than this machine.
///
/// # Errors
/// When there is no such file.
pub fn package(binary: &Path) -> anyhow::Result<Package> {
    let content = fs::read(binary).with_context(|| format!("{} is not built", binary.display()))?;
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .unix_permissions(0o755)
        .large_file(false);
    let mut zip = ZipWriter::new(Cursor::new(Vec::with_capacity(content.len() + 1024)));
    zip.start_file("bootstrap", options)?;
    zip.write_all(&content)?;
    let bytes = zip.finish()?.into_inner();
    Ok(Package { bytes, digest: hex::encode(Sha256::digest(&content)) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn the_zip_has_one_executable_file() {
        let path = std::env::temp_dir().join(format!("package-{}", std::process::id()));
        fs::write(&path, b"\x7fELF and more").expect("writable");
        let package = package(&path).expect("packed");
        fs::remove_file(&path).expect("removable");
        assert_eq!(package.digest, hex::encode(Sha256::digest(b"\x7fELF and more")));
        let mut archive = zip::ZipArchive::new(Cursor::new(package.bytes)).expect("a zip");
        assert_eq!(archive.len(), 1);
        let mut file = archive.by_name("bootstrap").expect("bootstrap");
        assert_eq!(file.unix_mode().expect("unix") & 0o777, 0o755);
        let mut content = Vec::new();
        file.read_to_end(&mut content).expect("readable");
        assert_eq!(content, b"\x7fELF and more");
    }

    #[test]
    fn a_missing_binary_is_named() {
        let error = package(Path::new("/nowhere/api-auth")).expect_err("missing");
        assert!(format!("{error:#}").contains("/nowhere/api-auth"));
    }
}
