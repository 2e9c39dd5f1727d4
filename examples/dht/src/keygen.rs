//! `keygen`, and the key file that it writes: the 32 bytes of an Ed25519 secret key in hex.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use crate::args::Keygen;
use crate::error::{Error, Exit};
use crate::output::Output;

#[derive(Serialize)]
struct KeygenObject<'a> {
    public_key: String,
    file: &'a Path,
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
    if out.json {
        return out.object(&KeygenObject { public_key, file: &args.file });
    }
    out.line(&public_key)
}

/// Reads a secret key.
pub(crate) fn read(file: &Path) -> Result<[u8; 32], Error> {
    let text = fs::read_to_string(file).map_err(|error| {
        let what = format!("can't read the key file {}: {error}", file.display());
        Error::new(Exit::Usage, what).tip(format!("make one with `kadlet keygen {}`", file.display()))
    })?;
    let mut secret = [0; 32];
    hex::decode_to_slice(text.trim(), &mut secret).map_err(|_| {
        let what = format!("{} is not a key file: it should contain 64 hexadecimal digits", file.display());
        Error::new(Exit::Usage, what).tip("make one with `kadlet keygen FILE`")
    })?;
    Ok(secret)
}

fn write(file: &Path, secret: &[u8; 32]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(file)?;
    file.write_all(format!("{}\n", hex::encode(secret)).as_bytes())?;
    file.sync_all()
}
