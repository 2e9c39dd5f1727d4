//! Lines of text: a word, then pairs of a name and a value, then bytes as they are.
//!
//! ```text
//! text/1 store tx=0badcafe from=1234567890123456789012345678901234567890 can=1 record=immutable
//! value=5:world
//! ```
//!
//! Bytes that a message borrows from its datagram, such as a record's value, travel as they are, each on a line with
//! its length. All others are hexadecimal digits.

use core::fmt::{self, Write};
use core::str::FromStr;

/// Why a datagram is not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextError {
    /// It begins in another way.
    NotText,
    /// It is of another version.
    Version,
    /// A field is missing or malformed. It holds the field's name.
    Field(&'static str),
    /// Bytes that are not in lines.
    Lines,
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotText => f.write_str("the datagram is not a message in text"),
            Self::Version => f.write_str("the datagram is of another version of the text format"),
            Self::Field(name) => write!(f, "the field `{name}` is missing or malformed"),
            Self::Lines => f.write_str("the datagram's lines are malformed"),
        }
    }
}

impl core::error::Error for TextError {}

/// A datagram that is being written.
#[derive(Debug)]
pub struct Writer<'b> {
    buf: &'b mut [u8],
    /// `None` after something didn't fit.
    len: Option<usize>,
}

impl<'b> Writer<'b> {
    pub fn new(buf: &'b mut [u8], word: &str) -> Self {
        let mut writer = Self { buf, len: Some(0) };
        writer.text(format_args!("text/1 {word}"));
        writer
    }

    /// Writes a pair.
    pub fn pair(&mut self, name: &str, value: impl fmt::Display) {
        self.text(format_args!(" {name}={value}"));
    }

    /// Writes bytes as they are, on a line of their own.
    pub fn raw(&mut self, name: &str, bytes: &[u8]) {
        self.text(format_args!("\n{name}={}:", bytes.len()));
        self.bytes(bytes);
    }

    /// Ends the message, and fills it with spaces up to `least` bytes if the buffer has as many. `None` if it didn't
    /// fit.
    pub fn end(mut self, padding: usize, least: usize) -> Option<usize> {
        self.bytes(b"\n");
        (0..padding).for_each(|_| self.bytes(b" "));
        let len = self.len?;
        match self.buf.get_mut(len..least) {
            Some(spaces) => {
                spaces.fill(b' ');
                Some(least)
            }
            None => Some(len),
        }
    }

    fn text(&mut self, text: fmt::Arguments<'_>) {
        // What doesn't fit is noted in `len`.
        let _ = self.write_fmt(text);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let end = self.len.map(|len| (len, len + bytes.len()));
        self.len = end.and_then(|(len, end)| {
            self.buf.get_mut(len..end)?.copy_from_slice(bytes);
            Some(end)
        });
    }
}

impl Write for Writer<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes(text.as_bytes());
        Ok(())
    }
}

/// Bytes in hexadecimal digits.
#[derive(Debug)]
pub struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The bytes that hexadecimal digits stand for.
pub fn unhex(digits: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| char::from(digit).to_digit(16).map(|digit| digit as u8);
    let (pairs, rest) = digits.as_bytes().as_chunks();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

/// A datagram's fields, in their order.
#[derive(Debug)]
pub struct Fields<'a> {
    pub word: &'a str,
    fields: Vec<(&'a str, &'a [u8])>,
    /// How many spaces follow.
    pub padding: usize,
}

impl<'a> Fields<'a> {
    pub fn of(datagram: &'a [u8]) -> Result<Self, TextError> {
        let rest = datagram.strip_prefix(b"text/").ok_or(TextError::NotText)?;
        let rest = rest.strip_prefix(b"1 ").ok_or(TextError::Version)?;
        let (first, mut rest) = split(rest, b'\n').ok_or(TextError::Lines)?;
        let mut words = core::str::from_utf8(first).map_err(|_| TextError::Lines)?.split(' ');
        let word = words.next().unwrap_or_default();
        let mut fields = Vec::new();
        for pair in words {
            let (name, value) = pair.split_once('=').ok_or(TextError::Lines)?;
            fields.push((name, value.as_bytes()));
        }
        while rest.first().is_some_and(|byte| *byte != b' ') {
            let (name, after) = split(rest, b'=').ok_or(TextError::Lines)?;
            let (len, after) = split(after, b':').ok_or(TextError::Lines)?;
            let len = core::str::from_utf8(len).ok().and_then(|len| len.parse().ok()).ok_or(TextError::Lines)?;
            let (value, after) = after.split_at_checked(len).ok_or(TextError::Lines)?;
            fields.push((core::str::from_utf8(name).map_err(|_| TextError::Lines)?, value));
            rest = after.strip_prefix(b"\n").ok_or(TextError::Lines)?;
        }
        if rest.iter().any(|byte| *byte != b' ') {
            return Err(TextError::Lines);
        }
        Ok(Self { word, fields, padding: rest.len() })
    }

    /// The bytes of a field.
    pub fn raw(&self, name: &'static str) -> Result<&'a [u8], TextError> {
        let field = self.fields.iter().find(|(other, _)| *other == name);
        field.map(|(_, value)| *value).ok_or(TextError::Field(name))
    }

    /// Whether there is such a field.
    pub fn has(&self, name: &'static str) -> bool {
        self.raw(name).is_ok()
    }

    /// The text of a field.
    pub fn text(&self, name: &'static str) -> Result<&'a str, TextError> {
        core::str::from_utf8(self.raw(name)?).map_err(|_| TextError::Field(name))
    }

    /// A field as `read` understands it.
    pub fn read<T>(&self, name: &'static str, read: impl FnOnce(&'a str) -> Option<T>) -> Result<T, TextError> {
        read(self.text(name)?).ok_or(TextError::Field(name))
    }

    /// The same for a field that may be missing.
    pub fn optional<T>(
        &self,
        name: &'static str,
        read: impl FnOnce(&'a str) -> Option<T>,
    ) -> Result<Option<T>, TextError> {
        if self.has(name) { self.read(name, read).map(Some) } else { Ok(None) }
    }

    /// A number.
    pub fn number<T: FromStr>(&self, name: &'static str) -> Result<T, TextError> {
        self.read(name, |text| text.parse().ok())
    }
}

/// What comes before and after the first of these bytes.
fn split(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = bytes.iter().position(|byte| *byte == at)?;
    Some((&bytes[..place], &bytes[place + 1..]))
}
