//! How a value is written where it was found.

/// How a value is encoded in the blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// Base64, standard or URL-safe, perhaps over several lines.
    Base64,
    /// Hexadecimal digits.
    Hex,
    /// Compressed with gzip, then base64.
    Gzip,
    /// Compressed in another way, then base64.
    Compressed,
    /// Written as a list of bytes in source code.
    ByteArray,
    /// UTF-16, low byte first.
    Utf16Le,
    /// UTF-16, high byte first.
    Utf16Be,
    /// UTF-32, low byte first.
    Utf32Le,
    /// UTF-32, high byte first.
    Utf32Be,
    /// Some characters are escaped (percent-encoding, `\/`, `\u002f`), or a soft line break splits it.
    Escaped,
}
