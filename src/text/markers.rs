//! What a comment holds that allows a finding.

/// What such a comment holds: keyspill's own marker first, then those of gitleaks and detect-secrets.
pub const MARKERS: [&str; 3] = ["keyspill:allow", "gitleaks:allow", "pragma: allowlist"];
