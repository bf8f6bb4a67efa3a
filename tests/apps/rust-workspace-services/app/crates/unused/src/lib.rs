/// Bytes as hexadecimal digits.
pub fn shown(bytes: &[u8]) -> String {
    hex::encode(bytes)
}
