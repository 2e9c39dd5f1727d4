//! A setting outside of its range.

use core::fmt;

/// A setting outside of its range. Nothing was changed, and nothing has begun.
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
    /// The field's name.
    pub field: &'static str,
    /// Its value, or 2^32 - 1 if it is larger.
    pub value: u32,
    /// The least value that it may have.
    pub least: u32,
    /// The greatest value that it may have.
    pub most: u32,
    /// The unit of these three.
    pub unit: Unit,
}

/// The unit of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unit {
    /// It is a number.
    One,
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
}

/// A setting to be checked: a field, its value, and the least and the greatest value that it may have.
pub(crate) type Setting = (&'static str, u32, u32, u32);

impl ConfigError {
    /// Checks settings of one unit.
    pub(crate) fn check(settings: &[Setting], unit: Unit) -> Result<(), Self> {
        for (field, value, least, most) in settings.iter().copied() {
            if value < least || value > most {
                return Err(Self { field, value, least, most, unit });
            }
        }
        Ok(())
    }
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
        assert_eq!(ConfigError::check(&[("k", 8, 1, 8)], Unit::One), Ok(()));
        let error = ConfigError::check(&[("alpha", 1, 1, 1), ("k", 9, 1, 8)], Unit::One).unwrap_err();
        assert_eq!(error.to_string(), "k is 9; it must be 1 to 8");
        let error = ConfigError::check(&[("timeout_min", 0, 1, 60_000)], Unit::Milliseconds).unwrap_err();
        assert_eq!(error.to_string(), "timeout_min is 0 ms; it must be 1 ms to 60000 ms");
    }
}
