//! Texts that come from a guest or from wasmtime, made fit to be shown and stored.
//!
//! It must not know what a text says. Invariant: what it returns has no character that a terminal would obey, and at most
//! the bytes asked for.

use crate::domain::is_unsafe;

/// `text` cut to `bytes_max` bytes at a character boundary. Line breaks and tabs become spaces, other characters
/// that a terminal would obey become U+FFFD; the cut, if any, is marked by three dots within the bound.
pub(super) fn clean(text: &str, bytes_max: usize) -> String {
    const DOTS: &str = "...";
    let shown = |c: char| match c {
        '\n' | '\r' | '\t' => ' ',
        c if is_unsafe(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    let mut cleaned = String::new();
    let mut end_with_dots = 0;
    for c in text.chars().map(shown) {
        if cleaned.len() + c.len_utf8() > bytes_max {
            cleaned.truncate(end_with_dots);
            cleaned.extend(DOTS.chars().take(bytes_max - cleaned.len()));
            break;
        }
        cleaned.push(c);
        if cleaned.len() + DOTS.len() <= bytes_max {
            end_with_dots = cleaned.len();
        }
    }
    cleaned
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn control_characters_are_replaced_and_lines_joined() {
        assert_eq!(clean("a\nb\tc\x1b[31m\0", 100), "a b c\u{FFFD}[31m\u{FFFD}");
        assert_eq!(clean("gpj.\u{202E}exe\u{2028}", 100), "gpj.\u{FFFD}exe\u{FFFD}");
    }

    #[test]
    fn a_long_text_is_cut_at_a_character_boundary_and_marked() {
        assert_eq!(clean("abcdefgh", 8), "abcdefgh");
        assert_eq!(clean("abcdefghi", 8), "abcde...");
        assert_eq!(clean("aaaa\u{20AC}\u{20AC}", 8), "aaaa...");
        assert_eq!(clean("abc", 2), "..");
        assert_eq!(clean("abc", 0), "");
    }

    #[test]
    fn replacing_does_not_outgrow_the_bound() {
        for bytes_max in 0..20 {
            assert!(clean(&"\0".repeat(50), bytes_max).len() <= bytes_max);
        }
    }
}
