//! The file of a journal: it is appended to, and replaced as a whole when it has grown.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// How the name of a temporary file ends. It begins with a dot and the name of the journal.
const TEMPORARY: &str = ".kadlet-tmp";

/// Why no other file can take this one's place: the folder is read-only, the new file can't have the same owner, or the
/// file is mounted.
const IN_PLACE: [io::ErrorKind; 4] = [
    io::ErrorKind::PermissionDenied,
    io::ErrorKind::ReadOnlyFilesystem,
    io::ErrorKind::ResourceBusy,
    io::ErrorKind::CrossesDevices,
];

/// A journal, which is written to one file.
#[derive(Debug)]
pub(crate) struct Journal {
    /// The file itself: not a symbolic link to it.
    path: PathBuf,
    /// What is appended to. None before the file was replaced, and after a write failed.
    file: Option<File>,
}

impl Journal {
    /// The journal at `path`. Removes temporary files that a process left there when it was killed.
    ///
    /// # Errors
    ///
    /// There is no such folder, or something else than a file.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        let path = resolved(path);
        if !fs::metadata(folder(&path))?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        if fs::metadata(&path).is_ok_and(|found| !found.is_file()) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
        }
        leftovers(&path).for_each(|leftover| drop(fs::remove_file(leftover)));
        Ok(Self { path, file: None })
    }

    /// Appends these bytes. If that fails, what was written of them is a torn end, and the journal must be replaced.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.file.take().ok_or(io::ErrorKind::NotFound)?;
        file.write_all(bytes)?;
        file.sync_data()?;
        self.file = Some(file);
        Ok(())
    }

    /// Replaces the file by one with these bytes, with the same owner and mode. After a crash there is either the old
    /// file or the new one. Only where no file can take another one's place, it is written in place, and a crash in
    /// that moment damages it.
    pub(crate) fn replace(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file = None;
        let old = fs::metadata(&self.path).ok();
        let file = match (self.replace_by_rename(bytes, old.as_ref()), old) {
            (Err(error), Some(_)) if IN_PLACE.contains(&error.kind()) => self.write_in_place(bytes)?,
            (file, _) => file?,
        };
        self.file = Some(file);
        Ok(())
    }

    fn replace_by_rename(&self, bytes: &[u8], old: Option<&Metadata>) -> io::Result<File> {
        let folder = folder(&self.path);
        let mut file = tempfile::Builder::new().prefix(&prefix(&self.path)).suffix(TEMPORARY).tempfile_in(folder)?;
        if let Some(old) = old {
            keep_owner_and_mode(&file, old)?;
        }
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        let file = file.persist(&self.path)?;
        // The rename is on disk only after its folder is synced. A folder that can't be read can't be synced.
        #[cfg(unix)]
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
        Ok(file)
    }

    /// The bytes go over the old ones before the file gets shorter.
    fn write_in_place(&self, bytes: &[u8]) -> io::Result<File> {
        let mut file = OpenOptions::new().write(true).open(&self.path)?;
        file.write_all(bytes)?;
        file.set_len(bytes.len() as u64)?;
        file.sync_all()?;
        file.seek(SeekFrom::End(0))?;
        Ok(file)
    }
}

/// The file that a symbolic link leads to, if this is one: the link stays one.
fn resolved(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    // As far as Linux follows links.
    for _ in 0..40 {
        let Ok(target) = fs::read_link(&path) else { break };
        path = folder(&path).join(target);
    }
    path
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn prefix(path: &Path) -> String {
    format!(".{}.", path.file_name().unwrap_or_default().to_string_lossy())
}

/// The temporary files of this journal.
fn leftovers(path: &Path) -> impl Iterator<Item = PathBuf> {
    let prefix = prefix(path);
    let names = fs::read_dir(folder(path)).into_iter().flatten().flatten();
    names.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file())).map(|entry| entry.path()).filter(
        move |path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(&prefix) && name.ends_with(TEMPORARY)
        },
    )
}

#[cfg(unix)]
fn keep_owner_and_mode(file: &NamedTempFile, old: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};

    let new = file.as_file().metadata()?;
    if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
        fchown(file, Some(old.uid()), Some(old.gid()))?;
    }
    file.as_file().set_permissions(old.permissions())
}

#[cfg(not(unix))]
fn keep_owner_and_mode(_: &NamedTempFile, _: &Metadata) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    fn names(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn a_journal_is_replaced_and_appended_to_without_leftovers() {
        let folder = folder();
        let path = folder.path().join("state");
        let mut journal = Journal::at(&path).unwrap();
        assert!(journal.append(b"x").is_err());
        journal.replace(b"one").unwrap();
        journal.append(b" two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one two");
        journal.replace(b"three").unwrap();
        journal.append(b" four").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"three four");
        assert_eq!(names(folder.path()), ["state"]);
    }

    #[test]
    fn files_of_the_user_beside_the_journal_are_left_alone_and_leftovers_removed() {
        let folder = folder();
        let path = folder.path().join("state");
        for name in ["state.tmp", ".state.tmp", ".state.abcdef.kadlet-tmp", ".other.abcdef.kadlet-tmp"] {
            fs::write(folder.path().join(name), b"mine").unwrap();
        }
        Journal::at(&path).unwrap().replace(b"one").unwrap();
        assert_eq!(names(folder.path()), [".other.abcdef.kadlet-tmp", ".state.tmp", "state", "state.tmp"]);
        assert_eq!(fs::read(folder.path().join("state.tmp")).unwrap(), b"mine");
    }

    #[test]
    #[cfg(unix)]
    fn a_symbolic_link_stays_one_and_a_mode_stays_as_it_is() {
        use std::os::unix::fs::{PermissionsExt, symlink};

        let folder = folder();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        symlink("second", &link).unwrap();
        symlink("real", folder.path().join("second")).unwrap();
        // A link that leads nowhere yet is followed too.
        Journal::at(&link).unwrap().replace(b"one").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        Journal::at(&link).unwrap().replace(b"two").unwrap();
        assert_eq!(fs::read(&real).unwrap(), b"two");
        assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(names(folder.path()), ["link", "real", "second"]);
    }

    #[test]
    fn a_journal_is_written_in_place_where_no_file_can_take_its_place() {
        let folder = folder();
        let path = folder.path().join("state");
        fs::write(&path, b"something longer").unwrap();
        let mut journal = Journal::at(&path).unwrap();
        journal.file = Some(journal.write_in_place(b"one").unwrap());
        journal.append(b" two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one two");
    }
}
