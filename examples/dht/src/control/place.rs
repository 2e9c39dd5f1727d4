//! Where the control sockets of this user's nodes are, and who may use them.

use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::path::{Path, PathBuf};

use interprocess::ConnectWaitMode;
use interprocess::local_socket::prelude::*;
use interprocess::local_socket::{ConnectOptions, GenericFilePath, Listener, ListenerOptions, Stream};

/// How long to wait for a node whose connections wait in a queue.
const WAIT: Duration = Duration::from_secs(2);
/// From which age on a socket to which nobody listens is removed.
#[cfg(unix)]
const OLD: Duration = Duration::from_secs(60);

/// Where the node at this address has its control socket, if it is not told another place.
#[cfg(unix)]
pub(super) fn default(address: SocketAddr) -> io::Result<PathBuf> {
    let own = folder()?.join(format!("{address}.sock"));
    // Nodes that were killed left their sockets. One that is just being made looks the same.
    let is_old = |path: &PathBuf| {
        let modified = std::fs::symlink_metadata(path).and_then(|found| found.modified());
        modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > OLD))
    };
    all().iter().filter(|path| is_old(path) && is_left(path)).for_each(|path| remove(path));
    Ok(own)
}

/// All places at which a node of this user may have its control socket.
#[cfg(unix)]
pub(super) fn all() -> Vec<PathBuf> {
    let entries = folder().and_then(std::fs::read_dir);
    let paths = entries.into_iter().flatten().flatten().map(|entry| entry.path());
    let mut sockets: Vec<_> = paths.filter(|path| path.extension().is_some_and(|end| end == "sock")).collect();
    sockets.sort();
    sockets
}

/// The folder of this user's control sockets: in the user's runtime folder if there is one, or else in that of
/// temporary files. It is made if it is not there.
///
/// # Errors
///
/// It can't be made, or is not this user's alone: anybody could have put it there.
#[cfg(unix)]
fn folder() -> io::Result<PathBuf> {
    use std::fs::{self, DirBuilder};
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};

    let user = nix::unistd::geteuid().as_raw();
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = runtime.map(|path| path.join("kadlet"));
    let folder = folder.unwrap_or_else(|| std::env::temp_dir().join(format!("kadlet-{user}")));
    match DirBuilder::new().mode(0o700).create(&folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(named(&folder, &error.to_string())),
        _ => {}
    }
    let found = fs::symlink_metadata(&folder)?;
    match found.is_dir() && found.uid() == user && found.mode() & 0o077 == 0 {
        true => Ok(folder),
        false => Err(named(&folder, "it must be a folder of this user alone, with mode 700")),
    }
}

#[cfg(unix)]
fn named(path: &Path, what: &str) -> io::Error {
    io::Error::other(format!("{}: {what}", path.display()))
}

/// Where Windows has named pipes.
#[cfg(windows)]
const PIPES: &str = r"\\.\pipe\";

#[cfg(windows)]
fn prefix() -> String {
    format!("kadlet-{}-", std::env::var("USERNAME").unwrap_or_default())
}

/// The named pipe of the node at this address, if it is not told another.
#[cfg(windows)]
pub(super) fn default(address: SocketAddr) -> io::Result<PathBuf> {
    Ok(format!("{PIPES}{}{address}", prefix()).into())
}

/// All named pipes that nodes of this user may have.
#[cfg(windows)]
pub(super) fn all() -> Vec<PathBuf> {
    let prefix = prefix();
    let names = std::fs::read_dir(PIPES).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let own = names.filter(|name| name.to_str().is_some_and(|name| name.starts_with(&prefix)));
    let mut pipes: Vec<_> = own.map(|name| Path::new(PIPES).join(name)).collect();
    pipes.sort();
    pipes
}

/// Connects to a node.
pub(super) fn connect(path: &Path) -> io::Result<Stream> {
    let name = path.to_fs_name::<GenericFilePath>()?;
    ConnectOptions::new().name(name).wait_mode(ConnectWaitMode::Timeout(WAIT)).connect_sync()
}

/// Listens at a path. What a node left there that was killed is replaced; the socket of one that runs is not.
pub(super) fn listen(path: &Path) -> io::Result<Listener> {
    match create(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_left(path) => {
            std::fs::remove_file(path)?;
            create(path)
        }
        listener => listener,
    }
}

/// Removes the socket of a node that has ended. Windows removes pipes itself.
pub(super) fn remove(path: &Path) {
    if cfg!(unix) {
        let _ = std::fs::remove_file(path);
    }
}

fn options(path: &Path) -> io::Result<ListenerOptions<'_>> {
    // The thread that listens has no end before that of the process: the name is removed by `remove`.
    Ok(ListenerOptions::new().name(path.to_fs_name::<GenericFilePath>()?).reclaim_name(false))
}

/// Whether a socket is at this path to which nobody listens.
#[cfg(unix)]
fn is_left(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;

    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    is_socket && connect(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

#[cfg(windows)]
fn is_left(_: &Path) -> bool {
    false
}

/// Makes a socket with mode 600.
#[cfg(unix)]
fn create(path: &Path) -> io::Result<Listener> {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt;

    use interprocess::os::unix::local_socket::ListenerOptionsExt;

    match options(path)?.mode(0o600).create_sync() {
        // As on macOS. In the default folder no other user reaches the socket before it has its mode.
        Err(error) if error.kind() == io::ErrorKind::Unsupported => {
            let listener = options(path)?.create_sync()?;
            set_permissions(path, Permissions::from_mode(0o600))?;
            Ok(listener)
        }
        listener => listener,
    }
}

/// Makes a pipe for its owner and the system alone.
#[cfg(windows)]
fn create(path: &Path) -> io::Result<Listener> {
    use interprocess::os::windows::local_socket::ListenerOptionsExt;
    use interprocess::os::windows::security_descriptor::SecurityDescriptor;

    let descriptor = widestring::u16cstr!("D:P(A;;GA;;;OW)(A;;GA;;;SY)");
    options(path)?.security_descriptor(SecurityDescriptor::deserialize(descriptor)?).create_sync()
}
