//! The partitions of AWS: keys of one are unknown in the others.
//!
//! Source: AWS General Reference, "Amazon Resource Names" and "Regional endpoints".

/// A partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Partition {
    /// The regions that everybody uses.
    Commercial,
    /// The regions in China.
    China,
    /// The regions of the government of the United States.
    GovCloud,
}

impl Partition {
    /// The partition that a region is in, or that an ARN begins with.
    #[cfg(feature = "verify")]
    pub fn of(region_or_arn: &str) -> Self {
        let name = region_or_arn.strip_prefix("arn:aws-").unwrap_or(region_or_arn);
        match name.get(..3) {
            Some("cn-" | "cn:") => Self::China,
            Some("us-") if name.starts_with("us-gov-") || name.starts_with("us-gov:") => Self::GovCloud,
            _ => Self::Commercial,
        }
    }
}

/// Words that only China's, and only the government's, are called by.
const CHINA: [&[u8]; 4] = [b"arn:aws-cn:", b"cn-north-1", b"cn-northwest-1", b"amazonaws.com.cn"];
const GOV_CLOUD: [&[u8]; 3] = [b"arn:aws-us-gov:", b"us-gov-west-1", b"us-gov-east-1"];

/// The special partitions that a text speaks of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpecialPartitions {
    china: bool,
    gov_cloud: bool,
}

impl SpecialPartitions {
    /// Those that `text` speaks of.
    pub fn in_text(text: &[u8]) -> Self {
        let has = |words: &[&[u8]]| words.iter().any(|word| memchr::memmem::find(text, word).is_some());
        Self { china: has(&CHINA), gov_cloud: has(&GOV_CLOUD) }
    }

    /// Both.
    pub fn or(self, other: Self) -> Self {
        Self { china: self.china || other.china, gov_cloud: self.gov_cloud || other.gov_cloud }
    }

    /// Where a key may be known, the likeliest first. A text may speak of a region where the key is not of use.
    pub fn and_commercial(self) -> Vec<Partition> {
        let special = [(self.china, Partition::China), (self.gov_cloud, Partition::GovCloud)];
        let special = special.into_iter().filter_map(|(is_named, partition)| is_named.then_some(partition));
        special.chain([Partition::Commercial]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(feature = "verify")]
    fn regions_and_arns_are_of_partitions() {
        for (text, expected) in [
            ("us-east-1", Partition::Commercial),
            ("us-gov-east-1", Partition::GovCloud),
            ("cn-northwest-1", Partition::China),
            ("arn:aws:iam::{account}:role/audit", Partition::Commercial),
            ("arn:aws-cn:iam::{account}:role/audit", Partition::China),
            ("arn:aws-us-gov:iam::{account}:role/audit", Partition::GovCloud),
            ("", Partition::Commercial),
        ] {
            assert_eq!(Partition::of(text), expected, "{text}");
        }
    }

    #[test]
    fn a_text_names_partitions() {
        use Partition::{China, Commercial, GovCloud};
        for (text, expected) in [
            ("region = us-east-1", &[Commercial][..]),
            ("region = us-gov-west-1", &[GovCloud, Commercial]),
            ("https://sts.cn-north-1.amazonaws.com.cn", &[China, Commercial]),
            ("arn:aws-cn:iam::1:x arn:aws-us-gov:iam::1:x", &[China, GovCloud, Commercial]),
        ] {
            assert_eq!(SpecialPartitions::in_text(text.as_bytes()).and_commercial(), expected, "{text}");
        }
    }
}
