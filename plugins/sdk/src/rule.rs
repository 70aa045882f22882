//! What a rule is: what it says of itself, how it is made from parameters, and how it judges one alert.
//!
//! It must not know columns or the sandbox. Invariant: a verdict names a reason that the description lists, because
//! both come from the same enum.

use crate::{Alert, Columns, State};

/// A rule: made from parameters, then asked about one alert after the other.
///
/// It is made anew for every batch, so that nothing but the state words can pass from one to the next.
pub trait Rule: Sized {
    /// What is kept for each device, or each device and code. `()` for nothing.
    type State: State;
    /// Why an alert may be held back: an enum made by [`reasons!`](crate::reasons).
    type Reason: Reason;
    /// What the rule says of itself.
    const DESCRIPTION: Description;

    /// Reads the parameters, a JSON object. The error is shown to whoever sets the rule.
    ///
    /// [`parameters`](crate::parameters) reads them into a struct. Mark the struct with
    /// `#[serde(deny_unknown_fields)]`, or a misspelt name would go unnoticed.
    fn new(parameters: &str) -> Result<Self, String>;

    /// Judges one alert. `state` is all zero, which is to say its default, for what was never seen.
    fn evaluate(&self, alert: &Alert, state: &mut Self::State) -> Verdict<Self::Reason>;
}

/// What is to become of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict<R> {
    /// Pass it on.
    Forward,
    /// Pass it on; it also stands for alerts that were held back before it.
    ForwardFor {
        /// How many of them.
        withheld: u32,
    },
    /// Hold it back.
    Suppress(R),
}

/// Why an alert is held back. Made by [`reasons!`](crate::reasons), not by hand.
pub trait Reason: Copy + 'static {
    /// Every reason, in the order of their numbers. At most 255.
    const ALL: &'static [Self];

    /// What it is called in the books.
    fn name(self) -> &'static str;

    /// Its number in a verdict, from 1.
    fn number(self) -> u8;
}

/// What a rule says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Description {
    /// Lower-case letters, digits and single hyphens: see [`is_name`].
    pub name: &'static str,
    /// The author's version, for people: the host tells plugins apart by digest.
    pub version: &'static str,
    /// One line: what the rule is for.
    pub summary: &'static str,
    /// JSON Schema (2020-12) of the parameters.
    pub parameters_schema: &'static str,
    /// What one state belongs to.
    pub state_key: StateKey,
    /// Raise it when the state's words change their meaning: the host then starts them from zero.
    pub state_version: u32,
    /// The columns it reads: [`Columns::ALL`] is right, if slower, and shows it more than it may need.
    pub reads: Columns,
}

/// What one state belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateKey {
    /// A device.
    Device,
    /// A device and an alert code.
    DeviceAndCode,
}

/// Whether a text may name a plugin or a reason: a lower-case letter, then lower-case letters and digits, with single
/// hyphens between them.
pub const fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    // As if a hyphen stood before it: a name begins as its parts do, but not with a digit.
    let mut after_hyphen = true;
    let mut i = 0;
    while i < bytes.len() {
        match bytes[i] {
            b'a'..=b'z' => after_hyphen = false,
            b'0'..=b'9' if i > 0 => after_hyphen = false,
            b'-' if !after_hyphen => after_hyphen = true,
            _ => return false,
        }
        i += 1;
    }
    !after_hyphen
}

/// Declares the reasons of a rule, each with its name in the books:
/// `weir::reasons! { pub enum Reason { TooLow = "too-low" } }`.
///
/// Numbers follow the order, from 1. Books name reasons by number and plugin version, so the order may change between
/// versions. There are at most 255, with names as [`is_name`](crate::is_name) has them; the compiler checks both.
#[macro_export]
macro_rules! reasons {
    ($(#[$attribute:meta])* $visible:vis enum $enum:ident {
        $($(#[$reason_attribute:meta])* $reason:ident = $name:literal),+ $(,)?
    }) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        $visible enum $enum {
            $($(#[$reason_attribute])* #[doc = concat!("`", $name, "`")] $reason,)+
        }

        impl $crate::Reason for $enum {
            const ALL: &'static [Self] = &[$(Self::$reason),+];

            fn name(self) -> &'static str {
                match self {
                    $(Self::$reason => $name,)+
                }
            }

            #[inline]
            fn number(self) -> u8 {
                self as u8 + 1
            }
        }

        const _: () = {
            $(assert!($crate::is_name($name), "a reason's name has lower-case letters, digits and single hyphens");)+
            assert!(<$enum as $crate::Reason>::ALL.len() <= 255, "a rule has at most 255 reasons");
        };
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::reasons! {
        /// Two of them.
        enum Two { First = "first", Second = "the-2nd" }
    }

    #[test]
    fn reasons_are_numbered_from_one_in_order() {
        assert_eq!(Two::ALL, [Two::First, Two::Second]);
        assert_eq!(Two::ALL.iter().map(|reason| reason.number()).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(Two::ALL.iter().map(|reason| reason.name()).collect::<Vec<_>>(), ["first", "the-2nd"]);
    }

    #[test]
    fn names_are_lower_case_with_digits_and_single_hyphens() {
        assert!(is_name("below-limit-2") && is_name("a") && is_name("a1-1a"));
        for wrong in ["", "-", "-a", "a-", "a--b", "2nd", "Below", "below limit", "below_limit", "b\n", "\u{e9}"] {
            assert!(!is_name(wrong), "{wrong:?}");
        }
    }
}
