//! Random numbers of the system.

use std::io;

/// Makes a node's seed: 32 bytes from the system's random number generator. Never use one twice.
///
/// ```
/// assert_ne!(kadlet_udp::seed()?, kadlet_udp::seed()?);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// The system has no random number generator, or it failed.
pub fn seed() -> io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    Ok(seed)
}

/// Makes a node's identifier from the system's random number generator.
///
/// ```
/// println!("{}", kadlet_udp::random_id()?);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// Those of [`seed`].
pub fn random_id() -> io::Result<kadlet::Id> {
    let mut id = [0; kadlet::Id::LEN];
    getrandom::fill(&mut id)?;
    Ok(kadlet::Id::from_bytes(id))
}
