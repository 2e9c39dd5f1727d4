//! The file of a secret key: 32 bytes in hex, the key of an owner of signed records or of a sealed network.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use crate::error::{Error, Exit};

/// Reads a secret key, which the command `make` made.
pub(crate) fn read(file: &Path, make: &str) -> Result<[u8; 32], Error> {
    let mut text = Vec::new();
    // A key file has 65 bytes, and a device has no end.
    File::open(file).and_then(|file| file.take(1_000).read_to_end(&mut text)).map_err(|error| {
        let what = format!("can't read the key file {}: {error}", file.display());
        Error::new(Exit::Usage, what).tip(format!("make one with `{make} {}`", file.display()))
    })?;
    let mut secret = [0; 32];
    hex::decode_to_slice(text.trim_ascii(), &mut secret).map_err(|_| {
        let what = format!("{} is not a key file: it should contain 64 hexadecimal digits", file.display());
        Error::new(Exit::Usage, what).tip(format!("make one with `{make} FILE`"))
    })?;
    Ok(secret)
}

/// Writes a secret key to a new file, which only its owner can read.
pub(crate) fn write(path: &Path, secret: &[u8; 32]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    let written = file.write_all(format!("{}\n", hex::encode(secret)).as_bytes()).and_then(|()| file.sync_all());
    if written.is_err() {
        // A file without a whole key would only be in the way of the next attempt.
        let _ = fs::remove_file(path);
    }
    written
}
