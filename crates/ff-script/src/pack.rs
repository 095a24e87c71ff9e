//! Packed lists: `<length>:<bytes>`, repeated. How several texts travel in one argument or field.

/// Packs the parts into one value.
pub fn pack<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut packed = Vec::new();
    for part in parts {
        packed.extend_from_slice(part.len().to_string().as_bytes());
        packed.push(b':');
        packed.extend_from_slice(part);
    }
    packed
}

/// Takes a packed value apart; `None` when it is malformed.
pub fn unpack(mut packed: &[u8]) -> Option<Vec<&[u8]>> {
    let mut parts = Vec::new();
    while !packed.is_empty() {
        let colon = packed.iter().position(|byte| *byte == b':')?;
        let digits = &packed[..colon];
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let length: usize = std::str::from_utf8(digits).ok()?.parse().ok()?;
        let rest = &packed[colon + 1..];
        if rest.len() < length {
            return None;
        }
        let (part, left) = rest.split_at(length);
        parts.push(part);
        packed = left;
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_parts_come_back_whatever_they_hold() {
        let parts: [&[u8]; 5] = [b"", b"a", b"3:abc", b"\xff\x00", b"x:y"];
        let packed = pack(parts);
        assert_eq!(unpack(&packed).as_deref(), Some(&parts[..]));
        assert_eq!(unpack(b"").as_deref(), Some(&[][..]));
    }

    #[test]
    fn a_malformed_value_is_refused() {
        for bad in ["a", "1", ":", "2:a", "+1:a", "1:ab", "99999999999999999999999:a"] {
            assert_eq!(unpack(bad.as_bytes()), None, "{bad:?}");
        }
    }
}
