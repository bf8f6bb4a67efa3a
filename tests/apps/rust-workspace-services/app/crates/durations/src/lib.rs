use std::time::Duration;

/// A duration such as `1day 2h`, in hours.
pub fn in_hours(text: &str) -> String {
    let duration = humantime::parse_duration(text).unwrap_or(Duration::ZERO);
    counted::counted(duration.as_secs() / 3600, "hour")
}
