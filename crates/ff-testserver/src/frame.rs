//! Finds where one protocol message ends, in RESP2 and RESP3, without decoding it.

/// The largest string a message may announce; the server's own default limit.
const STRING_BYTES_MAX: usize = 512 * 1024 * 1024;
/// The most elements one aggregate may announce.
const ELEMENTS_MAX: usize = 1024 * 1024;
/// The longest line before its end is given up on; the server's own limit for inline requests.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// Says why bytes are not the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("a message cannot begin with byte {0:#04x}")]
    UnknownType(u8),
    #[error("{0:?} is not a length within the limits")]
    BadLength(String),
    #[error("a line is longer than {LINE_BYTES_MAX} bytes")]
    LongLine,
}

/// Returns the length of the whole message that `bytes` begin with, `None` while part is missing.
pub(crate) fn message_len(bytes: &[u8]) -> Result<Option<usize>, FrameError> {
    let mut position = 0;
    // Values still to come: one aggregate adds its elements, so no recursion is needed.
    let mut pending = 1_usize;
    while pending > 0 {
        let Some(line) = line_at(bytes, position)? else {
            return Ok(None);
        };
        position += line.len() + 2;
        let Some((&kind, rest)) = line.split_first() else {
            return Err(FrameError::UnknownType(b'\r'));
        };
        pending -= 1;
        match kind {
            b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(' => {}
            b'$' | b'=' | b'!' => {
                if let Some(length) = announced(rest, STRING_BYTES_MAX)? {
                    position += length + 2;
                }
            }
            b'*' | b'~' | b'>' => pending += announced(rest, ELEMENTS_MAX)?.unwrap_or(0),
            b'%' => pending += 2 * announced(rest, ELEMENTS_MAX)?.unwrap_or(0),
            // An attribute stands before the value that it describes.
            b'|' => pending += 2 * announced(rest, ELEMENTS_MAX)?.unwrap_or(0) + 1,
            other => return Err(FrameError::UnknownType(other)),
        }
        if position > bytes.len() {
            return Ok(None);
        }
    }
    Ok(Some(position))
}

/// Returns the length of the whole request that `bytes` begin with; a plain line is one, too.
pub(crate) fn request_len(bytes: &[u8]) -> Result<Option<usize>, FrameError> {
    match bytes.first() {
        None | Some(b'*') => message_len(bytes),
        Some(_) => match bytes.iter().position(|&byte| byte == b'\n') {
            Some(end) => Ok(Some(end + 1)),
            None if bytes.len() > LINE_BYTES_MAX => Err(FrameError::LongLine),
            None => Ok(None),
        },
    }
}

/// Returns the line that starts at `position`, without its line end.
pub(crate) fn line_at(bytes: &[u8], position: usize) -> Result<Option<&[u8]>, FrameError> {
    let rest = bytes.get(position..).unwrap_or_default();
    let searched = &rest[..rest.len().min(LINE_BYTES_MAX)];
    match searched.windows(2).position(|pair| pair == b"\r\n") {
        Some(end) => Ok(Some(&rest[..end])),
        None if rest.len() >= LINE_BYTES_MAX => Err(FrameError::LongLine),
        None => Ok(None),
    }
}

/// Reads an announced length; `None` is the null of RESP2, written -1.
pub(crate) fn announced(digits: &[u8], max: usize) -> Result<Option<usize>, FrameError> {
    let bad = || FrameError::BadLength(String::from_utf8_lossy(digits).into_owned());
    let text = std::str::from_utf8(digits).map_err(|_| bad())?;
    if text == "-1" {
        return Ok(None);
    }
    let length: usize = text.parse().map_err(|_| bad())?;
    if length > max {
        return Err(bad());
    }
    Ok(Some(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: [&[u8]; 12] = [
        b"+OK\r\n",
        b"-ERR no\r\n",
        b":-7\r\n",
        b"$-1\r\n",
        b"$5\r\na\r\n\xff\x00\r\n",
        b"*-1\r\n",
        b"*0\r\n",
        b"*2\r\n$1\r\na\r\n*1\r\n:1\r\n",
        b"%1\r\n+key\r\n:1\r\n",
        b"|1\r\n+key\r\n:1\r\n$2\r\nok\r\n",
        b">2\r\n+message\r\n_\r\n",
        b"~2\r\n#t\r\n,1.5\r\n",
    ];

    #[test]
    fn message_len_ends_at_the_end_of_the_first_message() {
        for whole in WHOLE {
            let two = [whole, b"+next\r\n"].concat();
            assert_eq!(message_len(&two), Ok(Some(whole.len())), "{whole:?}");
        }
    }

    #[test]
    fn message_len_waits_for_every_missing_byte() {
        for whole in WHOLE {
            for cut in 0..whole.len() {
                assert_eq!(message_len(&whole[..cut]), Ok(None), "{whole:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn message_len_refuses_what_is_not_the_protocol() {
        assert_eq!(message_len(b"?1\r\n"), Err(FrameError::UnknownType(b'?')));
        assert!(matches!(message_len(b"$x\r\n"), Err(FrameError::BadLength(_))));
        assert!(matches!(message_len(b"*99999999\r\n"), Err(FrameError::BadLength(_))));
        let long = vec![b'+'; LINE_BYTES_MAX];
        assert_eq!(message_len(&long), Err(FrameError::LongLine));
    }

    #[test]
    fn request_len_knows_plain_lines() {
        assert_eq!(request_len(b"PING\r\nPING\r\n"), Ok(Some(6)));
        assert_eq!(request_len(b"PIN"), Ok(None));
        assert_eq!(request_len(b"*1\r\n$4\r\nPING\r\n"), Ok(Some(14)));
        assert_eq!(request_len(b""), Ok(None));
    }
}
