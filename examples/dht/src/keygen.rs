//! `keygen`, and the key file that it writes: the 32 bytes of an Ed25519 secret key in hex.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use serde::Serialize;

use crate::args::Keygen;
use crate::error::{Error, Exit};
use crate::output::Output;

#[derive(Serialize)]
struct KeygenObject {
    public_key: String,
    /// JSON has no other texts than Unicode: what isn't is replaced.
    file: String,
}

pub(crate) fn run(args: &Keygen, out: &Output) -> Result<(), Error> {
    let secret = kadlet_udp::seed()?;
    write(&args.file, &secret).map_err(|error| {
        let what = format!("can't write the key file {}: {error}", args.file.display());
        match error.kind() {
            io::ErrorKind::AlreadyExists => {
                Error::new(Exit::Usage, what).tip("another name: an overwritten key is lost forever")
            }
            _ => Error::new(Exit::Usage, what).tip("check that its folder exists and is writable"),
        }
    })?;
    let public_key = hex::encode(kadlet::ed25519::public_key(&secret));
    let file = args.file.display().to_string();
    let tip = format!("the key is in {file}; `kadlet put VALUE --sign {file}` prints its public key too");
    match out.json {
        true => out.object(&KeygenObject { public_key, file }),
        false => out.line(&public_key),
    }
    .map_err(|error| error.tip(tip))
}

/// Reads a secret key.
pub(crate) fn read(file: &Path) -> Result<[u8; 32], Error> {
    let mut text = Vec::new();
    // A key file has 65 bytes, and a device has no end.
    File::open(file).and_then(|file| file.take(1_000).read_to_end(&mut text)).map_err(|error| {
        let what = format!("can't read the key file {}: {error}", file.display());
        Error::new(Exit::Usage, what).tip(format!("make one with `kadlet keygen {}`", file.display()))
    })?;
    let mut secret = [0; 32];
    hex::decode_to_slice(text.trim_ascii(), &mut secret).map_err(|_| {
        let what = format!("{} is not a key file: it should contain 64 hexadecimal digits", file.display());
        Error::new(Exit::Usage, what).tip("make one with `kadlet keygen FILE`")
    })?;
    Ok(secret)
}

fn write(path: &Path, secret: &[u8; 32]) -> io::Result<()> {
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
