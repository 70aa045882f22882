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

/// Rejects a caller's text of one line that is kept and shown: what holds more than `chars_max` characters, or one that is
/// obeyed.
pub fn check_line(text: &str, chars_max: usize) -> Result<(), String> {
    let chars = text.chars().count();
    if chars > chars_max {
        return Err(format!("{chars} characters are more than {chars_max}"));
    }
    let wrong = text.chars().find(|c| is_unsafe(*c));
    wrong.map_or(Ok(()), |c| Err(format!("{}: it must be one plain line", obeyed(c))))
}

/// Rejects a caller's text of many lines that is kept and shown, where it has a character in it that is obeyed and is no
/// end of a line and no tabulator.
pub fn check_block(text: &str) -> Result<(), String> {
    let wrong = text.chars().find(|c| is_unsafe(*c) && !matches!(c, '\n' | '\r' | '\t'));
    wrong.map_or(Ok(()), |c| Err(obeyed(c)))
}

fn obeyed(character: char) -> String {
    format!("has the control character {}", character.escape_default())
}

/// The first `chars_max` characters, those that are obeyed rather than shown replaced by U+FFFD.
pub fn shown(text: &str, chars_max: usize) -> String {
    text.chars().take(chars_max).map(|c| if is_unsafe(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Joins words as a sentence lists them: `a`, `a and b`, `a, b and c`.
pub fn listed<T: AsRef<str>>(words: &[T]) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    match words.as_slice() {
        [first @ .., before, last] => [first, &[&format!("{before} and {last}")]].concat().join(", "),
        words => words.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_listed_as_a_sentence_does() {
        let listed = |words: &[&str]| listed(words);
        assert_eq!([listed(&[]), listed(&["a"]), listed(&["a", "b"])], ["", "a", "a and b"]);
        assert_eq!(listed(&["a", "b", "c", "d"]), "a, b, c and d");
    }

    #[test]
    fn what_would_be_obeyed_is_replaced_and_what_is_written_in_any_script_stays() {
        let orders = ['\0', '\u{1b}', '\u{7f}', '\u{9b}', '\u{61c}', '\u{200f}', '\u{202e}', '\u{2066}', '\u{2028}'];
        for order in orders {
            assert!(is_unsafe(order), "{order:?}");
            assert_eq!(shown(&format!("a{order}b"), 10), "a\u{FFFD}b");
        }
        let refused = check_line("live\u{202e}8F40", 100).unwrap_err();
        assert!(refused.starts_with("has the control character \\u{202e}: "), "{refused}");
        assert_eq!(check_line("abc", 2), Err("3 characters are more than 2".to_owned()));
        assert!(check_block("a\r\n\tb").is_ok() && check_line("a\nb", 9).is_err() && check_block("a\u{2066}").is_err());
        let plain = "Z\u{e4}hler \u{5d0}\u{5d1} \u{0645} \u{4e2d} \u{1F50C}";
        assert_eq!(shown(plain, 100), plain);
        assert_eq!(shown(plain, 2), "Z\u{e4}");
    }
}
