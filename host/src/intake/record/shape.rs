//! What lines of CSV look like, before a column means anything.

use std::io::BufRead;

use super::super::{LineError, identifiers::trimmed, lines::Lines};

/// Returns the next line that is not blank.
pub(super) fn first_line<R: BufRead>(lines: &mut Lines<R>) -> Option<Result<String, LineError>> {
    loop {
        match lines.next()? {
            Ok(line) if is_blank(line) => {}
            line => return Some(line.map(str::to_owned)),
        }
    }
}

/// True if a separator or the end follows the closing quote of each field of a record.
pub(super) fn is_closed_well(record: &str, delimiter: u8) -> bool {
    let mut rest = record.as_bytes();
    loop {
        if let Some(quoted) = rest.strip_prefix(b"\"") {
            let mut at = 0;
            loop {
                match quoted[at..].iter().position(|byte| *byte == b'"') {
                    None => return false,
                    // Two quotes stand for one.
                    Some(quote) if quoted.get(at + quote + 1) == Some(&b'"') => at += quote + 2,
                    Some(quote) => {
                        rest = &quoted[at + quote + 1..];
                        break;
                    }
                }
            }
            if rest.first().is_some_and(|byte| *byte != delimiter) {
                return false;
            }
        }
        match rest.iter().position(|byte| *byte == delimiter) {
            Some(end) => rest = &rest[end + 1..],
            None => return true,
        }
    }
}

/// True for a blank line, and for the Ctrl-Z that ends files of DOS.
pub(in crate::intake) fn is_blank(line: &str) -> bool {
    matches!(trimmed(line), "" | "\u{1A}")
}

/// True if a record has no values.
pub(in crate::intake) fn is_empty(record: &str, delimiter: u8) -> bool {
    let begins =
        record.as_bytes().first().is_some_and(|byte| *byte == delimiter || matches!(byte, b'"' | b' ' | b'\t'));
    begins && record.split(char::from(delimiter)).all(|cell| matches!(trimmed(cell), "" | "\"\""))
}

/// Describes a header with another separator, and the options that read it.
pub(super) fn otherwise_divided(heading: &str, delimiter: u8, has_options: bool) -> Option<String> {
    let count = |mark: char| heading.matches(mark).count();
    let marks = [
        (';', "semicolons", "';'", ", with --decimal comma if numbers are like 258,1"),
        ('\t', "tabs", "tab", ""),
        ('|', "vertical bars", "'|'", ""),
        (',', "commas", "','", ""),
    ];
    let others = marks.into_iter().filter(|(mark, ..)| *mark != char::from(delimiter));
    let (mark, name, option, comma) = others.max_by_key(|(mark, ..)| count(*mark))?;
    if count(mark) == 0 || count(mark) < count(char::from(delimiter)) {
        return None;
    }
    let expected = if delimiter == b',' { "commas are needed" } else { "--delimiter says otherwise" };
    let way_out = if has_options { format!(": --delimiter {option} reads them{comma}") } else { String::new() };
    Some(format!("{name} between columns, where {expected}{way_out}"))
}
