//! `keygen`, and what it makes: a file with the 32 bytes of an Ed25519 secret key in hex.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use crate::args::Keygen;
use crate::error::{Error, Exit};
use crate::output::Output;

#[derive(Serialize)]
struct Made<'a> {
    public_key: String,
    file: &'a Path,
}

pub(crate) fn run(args: &Keygen, out: &Output) -> Result<(), Error> {
    let secret = kadlet_udp::seed()?;
    write(&args.file, &secret).map_err(|error| {
        let what = format!("the key file {} can't be made: {error}", args.file.display());
        match error.kind() {
            io::ErrorKind::AlreadyExists => {
                Error::new(Exit::Usage, what).tip("another name: a key that is overwritten is lost for ever")
            }
            _ => Error::new(Exit::Usage, what).tip("check that its folder exists and may be written to"),
        }
    })?;
    let public_key = hex::encode(kadlet::ed25519::public_key(&secret));
    if out.json {
        return out.object(&Made { public_key, file: &args.file });
    }
    out.line(&public_key)
}

/// Reads a secret key.
pub(crate) fn read(file: &Path) -> Result<[u8; 32], Error> {
    let text = fs::read_to_string(file).map_err(|error| {
        let what = format!("the key file {} can't be read: {error}", file.display());
        Error::new(Exit::Usage, what).tip(format!("make one with `kadlet keygen {}`", file.display()))
    })?;
    let mut secret = [0; 32];
    hex::decode_to_slice(text.trim(), &mut secret).map_err(|_| {
        let what = format!("{} is no key file: it should hold 64 hexadecimal digits", file.display());
        Error::new(Exit::Usage, what).tip("make one with `kadlet keygen FILE`")
    })?;
    Ok(secret)
}

fn write(file: &Path, secret: &[u8; 32]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut made = options.open(file)?;
    made.write_all(format!("{}\n", hex::encode(secret)).as_bytes())?;
    made.sync_all()
}
