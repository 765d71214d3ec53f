//! The two streams of a package: its bytes as they arrive (counted, digested) and the bytes inside the gzip.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::GzDecoder;

use super::{Limits, UnpackError};
use crate::digest::{Digest, Hasher};

const BUFFER: usize = 64 << 10;
/// Small packages may have any ratio: a few KiB of zeros harm nobody.
const RATIO_FREE: u64 = 1 << 20;

/// The packed bytes: counts and digests what passes, and never reads further than one byte past `limit`.
struct Packed<R> {
    reader: R,
    hasher: Hasher,
    count: u64,
    limit: u64,
    /// The reader's own failure, which must not be taken for a corrupt package.
    failure: Option<io::Error>,
}

impl<R: Read> Read for Packed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = (self.limit + 1).saturating_sub(self.count);
        let wanted = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let got = loop {
            match self.reader.read(&mut buffer[..wanted]) {
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => {
                    let kind = cause.kind();
                    self.failure = Some(cause);
                    return Err(kind.into());
                }
                Ok(got) => break got,
            }
        };
        self.hasher.update(&buffer[..got]);
        self.count += got as u64;
        Ok(got)
    }
}

/// The unpacked bytes, handed out in chunks, within the limits.
pub struct Plain<R> {
    decoder: GzDecoder<BufReader<Packed<R>>>,
    bad_start: Option<UnpackError>,
    buffer: Vec<u8>,
    count: u64,
    limits: Limits,
}

impl<R: Read> Plain<R> {
    /// Begins to read a package of at most `size` bytes.
    pub fn new(reader: R, size: u64, limits: &Limits) -> Self {
        let packed = Packed { reader, hasher: Hasher::default(), count: 0, limit: size, failure: None };
        let mut packed = BufReader::with_capacity(BUFFER, packed);
        // The decoder reads the gzip header as soon as it is made.
        let bad_start = check_start(&mut packed).err();
        let decoder = GzDecoder::new(packed);
        Self { decoder, bad_start, buffer: vec![0; BUFFER], count: 0, limits: *limits }
    }

    /// Refuses what does not begin like gzip, which says more than "corrupt".
    pub fn check_magic(&mut self) -> Result<(), UnpackError> {
        self.bad_start.take().map_or(Ok(()), Err)
    }

    /// The next bytes, at least one and at most `most`, or nothing at the end.
    pub fn chunk(&mut self, most: u64) -> Result<&[u8], UnpackError> {
        let wanted = self.buffer.len().min(usize::try_from(most).unwrap_or(usize::MAX));
        let got = match self.decoder.read(&mut self.buffer[..wanted]) {
            Ok(got) => got,
            Err(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => return Err(UnpackError::Truncated),
            Err(cause) => return Err(UnpackError::Corrupt { cause }),
        };
        self.count += got as u64;
        if self.count > self.limits.unpacked_bytes {
            return Err(UnpackError::TooBig { limit: self.limits.unpacked_bytes });
        }
        let packed = self.decoder.get_ref().get_ref().count;
        if self.count > RATIO_FREE && self.count / self.limits.ratio > packed {
            return Err(UnpackError::Ratio { limit: self.limits.ratio });
        }
        Ok(&self.buffer[..got])
    }

    /// Fills `buffer`; true when the stream had ended instead, before its first byte.
    pub fn fill(&mut self, buffer: &mut [u8]) -> Result<bool, UnpackError> {
        let mut filled = 0;
        while filled < buffer.len() {
            let chunk = self.chunk((buffer.len() - filled) as u64)?;
            if chunk.is_empty() {
                return if filled == 0 { Ok(true) } else { Err(UnpackError::Truncated) };
            }
            buffer[filled..filled + chunk.len()].copy_from_slice(chunk);
            filled += chunk.len();
        }
        Ok(false)
    }

    /// Reads what is behind the archive's end: zeros, the gzip trailer, and then nothing.
    pub fn finish(&mut self) -> Result<(), UnpackError> {
        loop {
            let chunk = self.chunk(u64::MAX)?;
            if chunk.is_empty() {
                break;
            }
            if chunk.iter().any(|byte| *byte != 0) {
                return Err(UnpackError::TrailingData);
            }
        }
        match self.decoder.get_mut().fill_buf() {
            Ok([]) => Ok(()),
            Ok(_) => Err(UnpackError::TrailingData),
            Err(cause) => Err(UnpackError::Corrupt { cause }),
        }
    }

    /// Reads what is left of the packed bytes and says how many there were, and their digest.
    pub fn settle(self) -> Result<(u64, Digest), UnpackError> {
        let mut packed = self.decoder.into_inner().into_inner();
        let mut buffer = self.buffer;
        while packed.failure.is_none() && packed.count <= packed.limit {
            if matches!(packed.read(&mut buffer), Ok(0)) {
                break;
            }
        }
        match packed.failure {
            Some(cause) => Err(UnpackError::Read { cause }),
            None => Ok((packed.count, packed.hasher.finish())),
        }
    }
}

fn check_start(packed: &mut impl BufRead) -> Result<(), UnpackError> {
    match packed.fill_buf() {
        Ok([]) => Err(UnpackError::Empty),
        Ok([0x1f] | [0x1f, 0x8b, ..]) => Ok(()),
        Ok(_) => Err(UnpackError::NotGzip),
        Err(cause) => Err(UnpackError::Corrupt { cause }),
    }
}
