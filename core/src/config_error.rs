//! A setting outside of its range.

use core::fmt;
use core::time::Duration;

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
    /// Its value.
    pub value: Setting,
    /// The least value that it may have.
    pub least: Setting,
    /// The greatest value that it may have.
    pub most: Setting,
}

/// The value of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Setting {
    /// A number.
    Number(u64),
    /// A time.
    Time(Duration),
}

impl ConfigError {
    /// Checks that a number is in its range.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if it isn't.
    pub const fn check_number(field: &'static str, value: usize, least: usize, most: usize) -> Result<(), Self> {
        if value >= least && value <= most {
            return Ok(());
        }
        let [value, least, most] = [value as u64, least as u64, most as u64];
        Err(Self { field, value: Setting::Number(value), least: Setting::Number(least), most: Setting::Number(most) })
    }

    /// Checks that a time is in its range.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if it isn't.
    pub fn check_time(field: &'static str, value: Duration, least: Duration, most: Duration) -> Result<(), Self> {
        if value >= least && value <= most {
            return Ok(());
        }
        Err(Self { field, value: Setting::Time(value), least: Setting::Time(least), most: Setting::Time(most) })
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, value, least, most } = self;
        write!(f, "{field} is {value}; it must be {least} to {most}")
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Time(time) => write!(f, "{time:?}"),
        }
    }
}

impl core::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn an_error_names_the_field_its_value_and_its_range() {
        assert_eq!(ConfigError::check_number("k", 8, 1, 8), Ok(()));
        let error = ConfigError::check_number("k", 9, 1, 8).unwrap_err();
        assert_eq!(error.to_string(), "k is 9; it must be 1 to 8");
        let (short, long) = (Duration::from_millis(1), Duration::from_secs(60));
        let error = ConfigError::check_time("timeout_min", Duration::ZERO, short, long).unwrap_err();
        assert_eq!(error.to_string(), "timeout_min is 0ns; it must be 1ms to 60s");
    }
}
