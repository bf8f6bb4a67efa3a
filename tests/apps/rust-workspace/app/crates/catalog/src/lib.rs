use semver::Version;

/// The newest of some versions, by semantic versioning's order.
pub fn newest<const N: usize>(texts: [&str; N]) -> String {
    let versions = texts.iter().filter_map(|text| Version::parse(text).ok());
    versions.max().map(|version| version.to_string()).unwrap_or_default()
}
