//! The name that somebody who mistyped one is likely to have meant.
//!
//! It must not know what the names are of, nor who may be told of which: it is given those that may be. Invariant: a name
//! is proposed only where it is nearer to what was typed than a third of its length, and at least one change is allowed.

use crate::domain::Eui64;

/// Names longer than this are mistyped in other ways than these.
const NAME_CHARS_MAX: usize = 64;

/// Hex digits of an EUI-64.
const EUI_DIGITS: u32 = 16;

/// The nearest of these names, if one is near: letters added, left out, changed, or two that changed places.
pub fn nearest<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = typed.chars().count();
    if length > NAME_CHARS_MAX {
        return None;
    }
    let typed = typed.to_lowercase();
    let changes_max = (length / 3).max(1);
    let measured = names.into_iter().filter(|name| name.len() <= NAME_CHARS_MAX);
    let measured = measured.map(|name| (strsim::osa_distance(&typed, &name.to_lowercase()), name));
    // At least one letter of it must be as it was typed.
    let near = measured.filter(|(changes, name)| *changes <= changes_max && *changes < name.chars().count());
    near.min_by_key(|(changes, _)| *changes).map(|(_, name)| name)
}

/// What is said of a near name, after what was typed; nothing where none is near.
pub fn did_you_mean(near: Option<&str>) -> String {
    near.map_or_else(String::new, |name| format!("; did you mean {name:?}?"))
}

/// Says that no device has a label, with the keys there are and the near one.
pub fn no_such_label<'a>(key: &str, keys: impl IntoIterator<Item = &'a str>) -> String {
    let keys: Vec<&str> = keys.into_iter().collect();
    let others = match keys.as_slice() {
        [] => "no device has any; weir device load --label gives them".to_owned(),
        keys => format!("there are: {}", keys.join(", ")),
    };
    format!("no device has the label {key}; {others}{}", did_you_mean(nearest(key, keys)))
}

/// What would be hex, were letters that look like digits those digits. `None` where it is no better then.
pub fn as_hex(typed: &str) -> Option<String> {
    let alike = |letter: char| match letter {
        'O' | 'o' | 'Q' => '0',
        'I' | 'i' | 'l' | 'L' => '1',
        'Z' | 'z' => '2',
        'S' | 's' => '5',
        'G' => '6',
        'g' | 'q' => '9',
        other => other,
    };
    let changed: String = typed.chars().map(alike).collect();
    (changed != typed).then_some(changed)
}

/// Devices whose EUI-64 is one changed digit, or two that changed places, away.
pub fn euis(typed: Eui64) -> impl Iterator<Item = Eui64> {
    let digit = move |at: u32| typed.0 >> (4 * at) & 0xF;
    let changed = (0..EUI_DIGITS).flat_map(move |at| (1..16).map(move |by| typed.0 ^ by << (4 * at)));
    let swapped = (1..EUI_DIGITS).map(move |at| {
        let both = digit(at) ^ digit(at - 1);
        typed.0 ^ both << (4 * at) ^ both << (4 * (at - 1))
    });
    swapped.chain(changed).filter(move |near| *near != typed.0 && *near != 0).map(Eui64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_near_by_few_changes_and_never_by_nothing_in_common() {
        let names = ["voltage", "power-factor", "storm", "12-volts", "ab"];
        for (typed, near) in [
            ("voltge", Some("voltage")),
            ("votlage", Some("voltage")),
            ("Voltage", Some("voltage")),
            ("power_factor", Some("power-factor")),
            ("12-vots", Some("12-volts")),
            ("strm", Some("storm")),
            ("ac", Some("ab")),
            ("x", None),
            ("nothing-like-it", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, names), near, "{typed}");
        }
        assert_eq!(nearest(&"voltage".repeat(10), ["voltage"]), None);
        assert_eq!(did_you_mean(Some("a\"b")) + &did_you_mean(None), "; did you mean \"a\\\"b\"?");
    }

    #[test]
    fn letters_that_look_like_digits_are_taken_for_them() {
        assert_eq!(as_hex("8F4O").as_deref(), Some("8F40"));
        assert_eq!(as_hex("OO-DB-I2-34-56-7B-9O-AO").as_deref(), Some("00-DB-12-34-56-7B-90-A0"));
        assert_eq!(as_hex("8F40"), None);
    }

    #[test]
    fn euis_near_one_are_each_one_slip_away() {
        let typed = Eui64(0x00DB_1234_5678_90A0);
        let near: Vec<Eui64> = euis(typed).collect();
        assert!(near.contains(&Eui64(0x00DB_1234_5678_90A1)) && near.contains(&Eui64(0x00DB_1324_5678_90A0)));
        assert!(near.len() <= 16 * 15 + 15 && !near.contains(&typed));
        assert!(euis(Eui64(1)).all(|near| near.0 != 0));
    }
}
