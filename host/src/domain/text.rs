//! Which characters of somebody else's text may be shown.
//!
//! It must not know who wrote it or where it goes. Invariant: what is let through can neither give a terminal an order
//! nor make text read as another than it is, nor end a line.

/// Whether a character is obeyed rather than shown: control characters, those that turn the direction of what follows,
/// and those that end a line or a paragraph.
pub fn is_unsafe(character: char) -> bool {
    let turns_direction = matches!(
        character,
        '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}'
    );
    character.is_control() || turns_direction || matches!(character, '\u{2028}' | '\u{2029}')
}

/// The first `chars_max` characters, those that are obeyed rather than shown replaced by U+FFFD.
pub fn shown(text: &str, chars_max: usize) -> String {
    text.chars().take(chars_max).map(|c| if is_unsafe(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_obeyed_is_replaced_and_what_is_written_in_any_script_stays() {
        let orders = ['\0', '\u{1b}', '\u{7f}', '\u{9b}', '\u{61c}', '\u{200f}', '\u{202e}', '\u{2066}', '\u{2028}'];
        for order in orders {
            assert!(is_unsafe(order), "{order:?}");
            assert_eq!(shown(&format!("a{order}b"), 10), "a\u{FFFD}b");
        }
        let plain = "Z\u{e4}hler \u{5d0}\u{5d1} \u{0645} \u{4e2d} \u{1F50C}";
        assert_eq!(shown(plain, 100), plain);
        assert_eq!(shown(plain, 2), "Z\u{e4}");
    }
}
