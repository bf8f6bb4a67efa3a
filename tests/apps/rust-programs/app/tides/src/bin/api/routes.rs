pub fn answer() -> String {
    let (place, high) = tides::HIGH[0];
    format!("{place} {high}")
}
