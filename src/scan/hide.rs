//! Hiding secrets in what is shown of commits, names and messages.

use crate::detect::Detector;
use crate::text::mask;

/// The text of a commit with everything hidden that a rule calls secret.
pub fn hidden(detector: &Detector, mut text: Vec<u8>, show_secrets: bool) -> Vec<u8> {
    if show_secrets {
        return text;
    }
    let detection = detector.detect(&text, None);
    let secrets = detection.candidates.iter().filter_map(|candidate| Some(candidate.secret.as_ref()?.span.clone()));
    for at in secrets.chain(detection.sensitive).flatten() {
        text[at] = mask::MASK as u8;
    }
    text
}

/// A name with everything hidden that is, or may well be, a secret.
pub fn hidden_name(detector: &Detector, name: &[u8]) -> Vec<u8> {
    let mut name = hidden(detector, name.to_vec(), false);
    mask::hide_secrets_in_name(&mut name);
    name
}

/// The same for a string, unless secrets are shown.
pub fn hidden_text(detector: &Detector, text: &str, show_secrets: bool) -> String {
    if show_secrets {
        text.to_owned()
    } else {
        String::from_utf8_lossy(&hidden_name(detector, text.as_bytes())).into_owned()
    }
}
