//! Recognises the format of a blob by its first bytes.

use super::{ar, cpio, rpm, sqlite, zip};
use crate::source::SkipCause;
use crate::source::unpack::mail::mime::Recognition;
use crate::source::unpack::mail::{calendar, mbox, mime};

/// The number of leading bytes that suffice for recognition.
pub const HEAD: usize = 4096;

/// Container formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// RFC 1952.
    Gzip,
    /// RFC 1950.
    Zlib,
    /// <https://sourceware.org/bzip2/>.
    Bzip2,
    /// <https://tukaani.org/xz/xz-file-format.txt>.
    Xz,
    /// RFC 8878.
    Zstd,
    /// The format of `lzma`, before xz.
    Lzma,
    /// <https://www.nongnu.org/lzip/manual/lzip_manual.html>.
    Lzip,
    /// <https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md>.
    Lz4,
    /// RFC 7932, told by the name of a file alone.
    Brotli,
    /// Debian packages and static libraries.
    Ar,
    /// What is in RPM packages, and initial file systems.
    Cpio,
    /// RPM packages.
    Rpm,
    /// POSIX ustar and related formats.
    Tar,
    /// Including formats based on it: jar, wheel, office documents.
    Zip,
    /// <https://www.7-zip.org/7z.html>.
    SevenZip,
    /// ISO 32000.
    Pdf,
    /// <https://www.sqlite.org/fileformat2.html>, and its write-ahead log.
    Sqlite,
    /// A compound file ([MS-CFB]), such as an Outlook message.
    Compound,
    /// Outlook's store ([MS-PST]).
    Pst,
    /// Messages that follow `From ` lines, RFC 4155.
    Mbox,
    /// One message, RFC 5322.
    Mail,
    /// `winmail.dat`, [MS-OXTNEF].
    Tnef,
    /// Events or cards, RFC 5545 and RFC 6350.
    Calendar,
}

impl Format {
    /// The format of a blob that starts with `head`: its first [`HEAD`] bytes, or all if there are fewer; or more if
    /// [`Self::needs_more`].
    pub fn from_head(head: &[u8]) -> Option<Self> {
        match head {
            [0x1f, 0x8b, 8, flags, ..] if flags & 0xe0 == 0 => Some(Self::Gzip),
            [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..] if is_zlib(head) => Some(Self::Zlib),
            // A block of data, or the end of an empty file.
            [b'B', b'Z', b'h', b'1'..=b'9', rest @ ..]
                if rest.starts_with(b"\x31\x41\x59\x26\x53\x59") || rest.starts_with(b"\x17\x72\x45\x38\x50\x90") =>
            {
                Some(Self::Bzip2)
            }
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Self::Xz),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            // The usual properties, a dictionary of at most 128 MiB, a length that is unknown or not absurd, and the byte
            // with which the data always starts.
            [0x5d, 0, 0, _, 0..=8, length @ ..]
                if length.get(8) == Some(&0)
                    && (length.starts_with(&[0xff; 8]) || length.get(5..8) == Some(&[0; 3])) =>
            {
                Some(Self::Lzma)
            }
            [b'L', b'Z', b'I', b'P', 0 | 1, ..] => Some(Self::Lzip),
            [0x04, 0x22, 0x4d, 0x18, ..] => Some(Self::Lz4),
            _ if head.starts_with(ar::MAGIC) => Some(Self::Ar),
            _ if head.starts_with(rpm::MAGIC) => Some(Self::Rpm),
            _ if cpio::is_archive(head) => Some(Self::Cpio),
            [b'P', b'K', 3, 4, ..] => Some(Self::Zip),
            [b'7', b'z', 0xbc, 0xaf, 0x27, 0x1c, ..] => Some(Self::SevenZip),
            [b'%', b'P', b'D', b'F', b'-', ..] => Some(Self::Pdf),
            _ if sqlite::is_database(head) => Some(Self::Sqlite),
            [a, b, c, 0x82 | 0x83, ..] if [*a, *b, *c] == sqlite::LOG_MAGIC => Some(Self::Sqlite),
            [0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1, ..] => Some(Self::Compound),
            [b'!', b'B', b'D', b'N', ..] => Some(Self::Pst),
            [0x78, 0x9f, 0x3e, 0x22, ..] => Some(Self::Tnef),
            _ if is_tar(head) => Some(Self::Tar),
            _ if calendar::is_calendar(head) => Some(Self::Calendar),
            _ if mbox::starts_message(first_line(mime::without_prefix(head))) => Some(Self::Mbox),
            _ if mime::recognize(head) == Recognition::Message => Some(Self::Mail),
            _ => None,
        }
    }

    /// True if more than [`HEAD`] bytes are needed, up to `mime::MAX_FIELDS`.
    pub fn needs_more(head: &[u8]) -> bool {
        mime::recognize(head) == Recognition::Open
    }

    /// The format of a complete `blob`: a zip archive may also be recognised by its end.
    pub fn from_blob(blob: &[u8]) -> Option<Self> {
        Self::from_head(&blob[..blob.len().min(mime::MAX_FIELDS)])
            .or_else(|| is_zip_after_something(blob).then_some(Self::Zip))
    }

    /// The same, which also tells by its `name` what has no mark of its own.
    pub fn from_named_blob(name: &[u8], blob: &[u8]) -> Option<Self> {
        let is_brotli = || name.to_ascii_lowercase().ends_with(b".br") && is_binary(blob);
        Self::from_blob(blob).or_else(|| is_brotli().then_some(Self::Brotli))
    }

    /// The problem with a blob of no known format: its name suggests a known one, so that its start must be damaged; or it
    /// is a container that is not opened.
    pub fn problem(name: &[u8], blob: &[u8]) -> Option<SkipCause> {
        Self::problem_by_name(name, blob).or_else(|| not_opened(blob).map(SkipCause::NoText))
    }

    fn problem_by_name(name: &[u8], blob: &[u8]) -> Option<SkipCause> {
        let dot = memchr::memrchr(b'.', name)?;
        let extension = std::str::from_utf8(&name[dot + 1..]).ok().filter(|extension| extension.len() <= 7)?;
        match extension.to_ascii_lowercase().as_str() {
            "gz" | "tgz" | "bz2" | "tbz2" | "xz" | "txz" | "zst" | "tzst" | "lz" | "lz4" | "lzma" | "deb" | "rpm"
            | "tar" | "zip" | "jar" | "war" | "ear" | "whl" | "apk" | "docx" | "xlsx" | "pptx" | "odt" | "ods"
            | "odp" | "7z" | "pdf" | "msg" | "pst" | "ost" | "sqlite" | "sqlite3" => {
                const WORDS: &str = "its first bytes do not match its name";
                // A git LFS pointer, which takes the place of a file, is text.
                let is_text = !is_binary(blob);
                let cause = if is_text { SkipCause::NoText(WORDS) } else { SkipCause::Damaged(WORDS) };
                (!blob.is_empty()).then_some(cause)
            }
            "db" | "db3" | "db-wal" | "sqlite-wal" if is_binary(blob) => {
                Some(SkipCause::NoText("it does not start like an SQLite database"))
            }
            "eml" | "mbox" if !blob.is_empty() => Some(SkipCause::NoText("it does not start like mail")),
            _ => None,
        }
    }

    /// True for formats that only compress a single blob.
    pub fn is_compression(self) -> bool {
        matches!(
            self,
            Self::Gzip
                | Self::Zlib
                | Self::Bzip2
                | Self::Xz
                | Self::Zstd
                | Self::Lzma
                | Self::Lzip
                | Self::Lz4
                | Self::Brotli
        )
    }

    /// True for mail, which is opened even if archives are not.
    pub fn is_mail(self) -> bool {
        matches!(self, Self::Compound | Self::Pst | Self::Tnef | Self::Mbox | Self::Mail | Self::Calendar)
    }

    /// True for formats that can be read as a stream in little memory, or from a file in pieces.
    pub fn streams(self) -> bool {
        !matches!(self, Self::Pdf | Self::Sqlite | Self::Compound | Self::Tnef | Self::Mail | Self::Calendar)
    }
}

/// True if a blob is not text, judging by its start. A file that only has the name of an archive, such as a git LFS
/// pointer, is text.
pub(super) fn is_binary(blob: &[u8]) -> bool {
    let head = &blob[..blob.len().min(HEAD)];
    let is_cut = |error: &std::str::Utf8Error| error.error_len().is_none();
    head.contains(&0) || std::str::from_utf8(head).is_err_and(|error| !is_cut(&error))
}

/// What a container of another format is, by its first bytes: compressed or packed, so that keys in it are not seen.
fn not_opened(blob: &[u8]) -> Option<&'static str> {
    const FORMATS: [(&[u8], &str); 11] = [
        (b"PAR1", "a Parquet table is not opened"),
        (b"Obj\x01", "an Avro file is not opened"),
        (b"ORC", "an ORC table is not opened"),
        (b"ARROW1\0\0", "an Arrow table is not opened"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file is not opened"),
        (b"hsqs", "a SquashFS image is not opened"),
        (b"\x1f\x9d", "a compress file is not opened"),
        (b"Rar!\x1a\x07", "a RAR archive is not opened"),
        (b"MSCF\0\0\0\0", "a cabinet is not opened"),
        (b"xar!", "a xar archive is not opened"),
        (b"\xff\x06\0\0sNaPpY", "a Snappy file is not opened"),
    ];
    let words = FORMATS.iter().find(|(start, _)| blob.starts_with(start))?.1;
    is_binary(blob).then_some(words)
}

/// True if data can be unpacked: two bytes alone say little. Objects of git are read as such, or left to git.
fn is_zlib(head: &[u8]) -> bool {
    const OBJECTS: [&[u8]; 4] = [b"blob ", b"tree ", b"commit ", b"tag "];
    let mut output = [0; 64];
    let mut decoder = flate2::Decompress::new(true);
    let status = decoder.decompress(head, &mut output, flate2::FlushDecompress::None);
    let is_object = OBJECTS.iter().any(|kind| output.starts_with(kind)) && output.contains(&0);
    status.is_ok() && decoder.total_out() > 0 && !is_object && is_binary(head)
}

fn first_line(head: &[u8]) -> &[u8] {
    memchr::memchr(b'\n', head).map_or(head, |end| &head[..end])
}

/// A tar header is recognised by its checksum, which rarely matches by chance; old ones have no other mark.
fn is_tar(head: &[u8]) -> bool {
    head.get(..512).is_some_and(|header| header[0] != 0 && has_checksum(header))
}

/// True for a block of 512 bytes with a tar header's checksum in its place.
pub(super) fn has_checksum(header: &[u8]) -> bool {
    const CHECKSUM: std::ops::Range<usize> = 148..156;
    // Octal digits, and blanks or zero bytes around them: nearly all text is ruled out by the first two.
    if !header[CHECKSUM].iter().all(|b| matches!(b, b' ' | 0 | b'0'..=b'7')) {
        return false;
    }
    let digits = header[CHECKSUM].iter().filter(|b| matches!(b, b'0'..=b'7'));
    let written = digits.fold(0, |number, digit| number << 3 | u64::from(digit - b'0'));
    let sum = |bytes: &[u8]| bytes.iter().map(|&b| u64::from(b)).sum::<u64>();
    let blanks = CHECKSUM.len() as u64 * u64::from(b' ');
    written == sum(&header[..CHECKSUM.start]) + blanks + sum(&header[CHECKSUM.end..])
}

/// A self-extracting program, or a jar after a script: the directory of a zip archive is at its end.
fn is_zip_after_something(blob: &[u8]) -> bool {
    if zip::is_end(&blob[blob.len().saturating_sub(zip::END)..]) {
        return true;
    }
    // Self-extracting programs are padded and signed, and archives are hidden by appending them to pictures.
    let may_hold_one = matches!(
        blob,
        [b'M', b'Z', ..]
            | [b'#', b'!', ..]
            | [0x7f, b'E', b'L', b'F', ..]
            | [0x89, b'P', b'N', b'G', ..]
            | [0xff, 0xd8, 0xff, ..]
            | [b'G', b'I', b'F', b'8', ..]
    );
    may_hold_one && zip::end_of_last(blob).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_binaries_that_hold_nothing_are_told_apart() {
        for plain in [
            &b"From here on"[..],
            b"From: a story\n\nonce upon a time",
            b"PK",
            b"BZh9 is a word",
            b"",
            b"\x1f\x8b\x08\xff",
            b"name: x\nversion: 1\n",
            &[b'0'; 600],
            &[0; 600],
        ] {
            assert_eq!(Format::from_blob(plain), None, "{plain:?}");
        }
    }

    #[test]
    fn messages_are_told_by_their_headers() {
        for mail in [
            &b"Return-Path: <a@example.com>\r\nReceived: from x\r\n\r\nhello"[..],
            b"From: a@example.com\nTo: b@example.com\nSubject: hi\n\nhello",
            b"X-Spam: no\nX-Long: a\n  b\nDate: x\nMessage-ID: <1@x>\n\n",
        ] {
            assert_eq!(Format::from_blob(mail), Some(Format::Mail));
        }
        let patch = format!("From {} Mon Sep 17 00:00:00 2001\nFrom: a@example.com\n", "0".repeat(40));
        assert_eq!(Format::from_blob(patch.as_bytes()), Some(Format::Mbox));
        assert_eq!(Format::from_blob(b"From a@example.com Thu Jan  1 10:00:00 2026\nx"), Some(Format::Mbox));
    }
}
