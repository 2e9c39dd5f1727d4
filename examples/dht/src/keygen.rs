//! `keygen`: makes the key of an owner of signed records, or of a sealed network.

use std::io;

use serde::Serialize;

use crate::args::Keygen;
use crate::error::{Error, Exit};
use crate::key_file;
use crate::output::Output;

#[derive(Serialize)]
struct KeygenObject {
    /// Of the key of an owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key: Option<String>,
    /// JSON has no other texts than Unicode: what isn't is replaced.
    file: String,
}

pub(crate) fn run(args: &Keygen, out: &Output) -> Result<(), Error> {
    let secret = kadlet_udp::seed()?;
    key_file::write(&args.file, &secret).map_err(|error| {
        let what = format!("can't write the key file {}: {error}", args.file.display());
        match error.kind() {
            io::ErrorKind::AlreadyExists => {
                Error::new(Exit::Usage, what).tip("another name: an overwritten key is lost forever")
            }
            _ => Error::new(Exit::Usage, what).tip("check that its folder exists and is writable"),
        }
    })?;
    let file = args.file.display().to_string();
    if args.makes_network_key() {
        return match out.json {
            true => out.object(&KeygenObject { public_key: None, file }),
            false => out.line(&file),
        };
    }
    let public_key = hex::encode(kadlet::ed25519::public_key(&secret));
    let tip = format!("the key is in {file}; `kadlet put VALUE --sign {file}` prints its public key too");
    match out.json {
        true => out.object(&KeygenObject { public_key: Some(public_key), file }),
        false => out.line(&public_key),
    }
    .map_err(|error| error.tip(tip))
}
