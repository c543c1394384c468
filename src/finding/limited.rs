//! Lists in files from elsewhere, which are given up while they are read if they are longer than any that was written: some
//! bytes in a file may stand for a hundred times as many in memory.

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// Reads a list of at most `MAX` elements: for `#[serde(deserialize_with = "…")]`.
///
/// # Errors
/// Those of `from`, and a list that is longer.
pub fn at_most<'de, const MAX: usize, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    struct List<const MAX: usize, T>(PhantomData<T>);

    impl<'de, const MAX: usize, T: Deserialize<'de>> Visitor<'de> for List<MAX, T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            write!(f, "at most {MAX} elements")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
            let mut read = Vec::new();
            while let Some(element) = list.next_element()? {
                if read.len() == MAX {
                    return Err(A::Error::invalid_length(MAX + 1, &self));
                }
                read.push(element);
            }
            Ok(read)
        }
    }

    from.deserialize_seq(List::<MAX, T>(PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_lists_are_refused() {
        #[derive(Debug, serde::Deserialize, serde::Serialize, PartialEq)]
        struct Some(#[serde(deserialize_with = "at_most::<3, _, _>")] Vec<u8>);
        for length in 0..6_usize {
            let list = Some(vec![7; length]);
            let bytes = serde_json::to_vec(&list).expect("JSON");
            assert_eq!(serde_json::from_slice::<Some>(&bytes).is_ok(), length <= 3, "{length}");
        }
    }
}
