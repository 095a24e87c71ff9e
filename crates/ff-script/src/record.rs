//! The record of an execution, as a claim answers it: the one text that its key holds.
//! `docs/keys.md` has the layout.

use bytes::Bytes;

/// Bytes of the head: numbers, and the lengths of the texts behind it.
const HEAD_BYTES: usize = 49;
/// The one layout that this program reads.
const LAYOUT: u8 = 2;
/// The flag of an input that has a key of its own.
const LONG_INPUT: u64 = 1;
/// What an active record has as its state.
const ACTIVE: u8 = b'a';

/// What a claim needs of the record of an active execution. Texts share the record's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// `<namespace>:<lane>:<kind>:<policy>:<route>`.
    pub definition: Bytes,
    /// The extras, as submitted.
    pub extras: Bytes,
    /// The input; its length in decimal digits when it has a key of its own.
    pub input: Bytes,
    /// Whether the input has a key of its own.
    pub has_long_input: bool,
    /// Attempts begun.
    pub attempts: u32,
    /// The epoch of the lease.
    pub lease_epoch: u64,
    /// The attempt's id.
    pub attempt_id: Bytes,
    /// The lease.
    pub lease: Lease,
}

/// The lease of an active execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Whether the attempt goes on, instead of beginning.
    pub is_resumed: bool,
    /// When it ends, in milliseconds since the epoch.
    pub expires_at: u64,
    /// Its id; empty when it is the attempt's.
    pub id: Bytes,
}

/// Bytes that are read from the front.
struct Reader(Bytes);

impl Reader {
    fn bytes(&mut self, length: usize) -> Option<Bytes> {
        (self.0.len() >= length).then(|| self.0.split_to(length))
    }

    /// Reads a big-endian number.
    fn number(&mut self, length: usize) -> Option<u64> {
        let bytes = self.bytes(length)?;
        Some(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn size(&mut self, length: usize) -> Option<usize> {
        self.number(length).and_then(|number| usize::try_from(number).ok())
    }
}

impl Record {
    /// Reads the record of an active execution; `None` when the text is none.
    pub fn decode(text: &Bytes) -> Option<Self> {
        let mut head = Reader(text.get(..HEAD_BYTES).map(|_| text.slice(..HEAD_BYTES))?);
        let mut texts = Reader(text.slice(HEAD_BYTES..));
        if head.number(1)? != u64::from(LAYOUT) || head.number(1)? != u64::from(ACTIVE) {
            return None;
        }
        let flags = head.number(1)?;
        // The times of the change, of the owner index and of the due entry.
        head.bytes(3 * 6)?;
        let lease_epoch = head.number(6)?;
        let attempts = u32::try_from(head.number(4)?).ok()?;
        let definition = texts.bytes(head.size(2)?)?;
        texts.bytes(head.size(2)?)?;
        let extras = texts.bytes(head.size(4)?)?;
        let input = texts.bytes(head.size(2)?)?;
        let attempt_id = texts.bytes(head.size(1)?)?;
        texts.bytes(head.size(1)?)?;
        let parts = texts.bytes(head.size(4)?)?;
        texts.bytes(head.size(2)?)?;
        let lease = Lease::find(parts)?;
        let whole = texts.0.is_empty() && attempts > 0;
        whole.then_some(Self {
            definition,
            extras,
            input,
            has_long_input: flags & LONG_INPUT != 0,
            attempts,
            lease_epoch,
            attempt_id,
            lease,
        })
    }
}

impl Lease {
    /// Finds the lease among the parts of a record.
    fn find(parts: Bytes) -> Option<Self> {
        let mut parts = Reader(parts);
        while !parts.0.is_empty() {
            let what = parts.number(1)?;
            let length = parts.size(4)?;
            let mut part = Reader(parts.bytes(length)?);
            if what == u64::from(b'L') {
                let is_resumed = match u8::try_from(part.number(1)?).ok()? {
                    b'f' => false,
                    b'r' => true,
                    _ => return None,
                };
                return Some(Self { is_resumed, expires_at: part.number(6)?, id: part.0 });
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(state: u8, lease: &[u8]) -> Vec<u8> {
        let texts: [&[u8]; 4] = [b"n:l:k:p:", b"birth", b"", b"input"];
        let part = [
            b"T\0\0\0\x01x".as_slice(),
            b"L\0\0\0",
            &[u8::try_from(lease.len()).expect("short")],
            lease,
        ]
        .concat();
        let mut head = vec![LAYOUT, state, 0];
        head.extend([0; 18]);
        head.extend([0, 0, 0, 0, 1, 2]);
        head.extend([0, 0, 0, 3]);
        head.extend([0, 8, 0, 5, 0, 0, 0, 0, 0, 5]);
        head.extend([7, 3, 0, 0, 0, u8::try_from(part.len()).expect("short"), 0, 0]);
        assert_eq!(head.len(), HEAD_BYTES);
        [head, texts.concat(), b"attempt".to_vec(), b"w:i".to_vec(), part].concat()
    }

    #[test]
    fn the_record_of_a_claim_is_read() {
        let text = Bytes::from(written(b'a', b"r\0\0\0\0\x01\0lease"));
        let record = Record::decode(&text).expect("well formed");
        assert_eq!(record.definition, "n:l:k:p:");
        assert_eq!(record.input, "input");
        assert_eq!(record.extras, "");
        assert_eq!(record.attempt_id, "attempt");
        assert_eq!((record.attempts, record.lease_epoch), (3, 258));
        let lease = Lease { is_resumed: true, expires_at: 256, id: "lease".into() };
        assert_eq!(record.lease, lease);
    }

    #[test]
    fn what_is_no_active_record_is_none() {
        let text = written(b'a', b"f\0\0\0\0\x01\0");
        assert!(Record::decode(&Bytes::from(text.clone())).is_some());
        for length in 0..text.len() {
            assert_eq!(Record::decode(&Bytes::copy_from_slice(&text[..length])), None, "{length}");
        }
        let longer = [&text[..], b"x"].concat();
        assert_eq!(Record::decode(&Bytes::from(longer)), None);
        assert_eq!(Record::decode(&Bytes::from(written(b'r', b"f\0\0\0\0\x01\0"))), None);
        assert_eq!(Record::decode(&Bytes::from(written(b'a', b"x\0\0\0\0\x01\0"))), None);
    }
}
