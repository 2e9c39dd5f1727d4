//! The error for a setting that is out of its range.

use core::fmt;
use core::time::Duration;

/// A setting is out of its range. Nothing was changed, and nothing was started.
///
/// ```
/// use kadlet::{Config, FixedStore, Id, Instant, Kademlia, Node};
///
/// type Mote = Node<Kademlia<core::net::SocketAddrV4, 128>, FixedStore<32, 8192>>;
/// let config = Config { alpha: 0, ..Config::default() };
/// let error = Mote::new(Instant::ZERO, config, Id::ZERO, [7; 32]).unwrap_err();
/// assert_eq!(error.to_string(), "alpha is 0; it must be 1 to 16");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigError {
    /// The name of the setting.
    pub field: &'static str,
    /// The value of the setting. 2^32 - 1 also stands for all larger values.
    pub value: u32,
    /// The least value in the range.
    pub least: u32,
    /// The greatest value in the range.
    pub most: u32,
    /// The unit of the three numbers.
    pub unit: Unit,
}

/// The unit of a setting. Its text is what follows the number: `" ms"`, for example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unit {
    /// No unit: the setting is a plain number.
    One,
    /// Microseconds.
    Microseconds,
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
}

impl ConfigError {
    /// Checks one setting.
    #[inline(always)]
    pub(crate) fn check(field: &'static str, value: u32, least: u32, most: u32, unit: Unit) -> Result<(), Self> {
        if value < least || value > most {
            return Err(Self { field, value, least, most, unit });
        }
        Ok(())
    }
}

/// Whole milliseconds, saturating.
pub(crate) fn millis(time: Duration) -> u32 {
    secs(time).saturating_mul(1_000).saturating_add(time.subsec_millis())
}

/// Whole seconds, saturating.
pub(crate) fn secs(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, value, least, most, unit } = self;
        write!(f, "{field} is {value}{unit}; it must be {least}{unit} to {most}{unit}")
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::One => "",
            Self::Microseconds => " us",
            Self::Milliseconds => " ms",
            Self::Seconds => " s",
        })
    }
}

impl core::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn an_error_names_the_field_its_value_and_its_range() {
        assert_eq!(ConfigError::check("k", 8, 1, 8, Unit::One), Ok(()));
        let error = ConfigError::check("k", 9, 1, 8, Unit::One).unwrap_err();
        assert_eq!(error.to_string(), "k is 9; it must be 1 to 8");
        let error = ConfigError::check("timeout_min", 0, 1, 60_000, Unit::Milliseconds).unwrap_err();
        assert_eq!(error.to_string(), "timeout_min is 0 ms; it must be 1 ms to 60000 ms");
    }
}
