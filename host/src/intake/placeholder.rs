//! What programs write where they have no value, or fill a field up with.
//!
//! Invariant: it is named and never taken for a value.

/// Words for a missing value, as data frames, databases and spreadsheets write them, in small letters.
const WORDS: [&str; 14] = [
    "nat",
    "nan",
    "none",
    "null",
    "nil",
    "na",
    "n/a",
    "#n/a",
    "<na>",
    "#null!",
    "#value!",
    "#ref!",
    "#name?",
    "undefined",
];

/// Returns true for a word that stands for a missing value.
pub(super) fn is_one(text: &str) -> bool {
    WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Explains a value that could not be read, if it is a placeholder or padded. Begins with "; " unless empty.
pub(super) fn hint(text: &str) -> &'static str {
    if is_one(text) {
        "; it is a placeholder for a missing value: leave the cell empty"
    } else if text.contains('\0') {
        "; NUL characters fill it up, as in fields of a fixed width: write it without them"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_and_padding_are_told_from_values() {
        for text in ["NaT", "nan", "None", "NULL", "N/A", "#N/A", "<NA>"] {
            assert!(hint(text).contains("placeholder for a missing value"), "{text}");
        }
        assert!(hint("8F40\0\0").contains("NUL characters"));
        for text in ["", "8F40", "Nancy", "0", "-"] {
            assert_eq!(hint(text), "", "{text}");
        }
    }
}
