//! What a comment holds that allows a finding.

/// The markers of such comments: keyspill's own first, then those of gitleaks and detect-secrets.
pub const MARKERS: [&str; 3] = ["keyspill:allow", "gitleaks:allow", "pragma: allowlist"];
