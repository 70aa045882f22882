//! What a rule remembers, as the host keeps it: a few 64-bit words an entry.
//!
//! It must not know where the words are kept. Invariant: all words zero is the default state, "never seen".

/// What a rule keeps for one device, or one device and code.
///
/// `()` for nothing, a number for one word, or a struct declared with [`state!`](crate::state). A state that is made
/// by hand must give its default for words that are all zero.
pub trait State: Copy {
    /// How many words it takes. The host has a limit, 16 unless it is set otherwise.
    const WORDS: usize;

    /// Reads it from `WORDS` words.
    fn from_words(words: &[u64]) -> Self;

    /// Writes it to `WORDS` words.
    fn to_words(self, words: &mut [u64]);
}

/// What fits one word of a state, zero being its default.
pub trait Word: Copy {
    /// From a word that `to_word` made, or zero.
    fn from_word(word: u64) -> Self;

    /// As a word.
    fn to_word(self) -> u64;
}

impl State for () {
    const WORDS: usize = 0;

    #[inline]
    fn from_words(_words: &[u64]) -> Self {}

    #[inline]
    fn to_words(self, _words: &mut [u64]) {}
}

impl State for u64 {
    const WORDS: usize = 1;

    #[inline]
    fn from_words(words: &[u64]) -> Self {
        words[0]
    }

    #[inline]
    fn to_words(self, words: &mut [u64]) {
        words[0] = self;
    }
}

/// Integers fit a word as they are: cut off on the way back, where the word holds their own bits.
macro_rules! integer_words {
    ($($integer:ty),+) => {
        $(impl Word for $integer {
            #[inline]
            fn from_word(word: u64) -> Self {
                word as Self
            }

            #[inline]
            fn to_word(self) -> u64 {
                self as u64
            }
        })+
    };
}

integer_words!(u8, u16, u32, u64, i8, i16, i32, i64);

impl Word for bool {
    #[inline]
    fn from_word(word: u64) -> Self {
        word != 0
    }

    #[inline]
    fn to_word(self) -> u64 {
        u64::from(self)
    }
}

/// Two numbers share a word: the first one in the upper half.
impl Word for (u32, u32) {
    #[inline]
    fn from_word(word: u64) -> Self {
        ((word >> 32) as u32, word as u32)
    }

    #[inline]
    fn to_word(self) -> u64 {
        u64::from(self.0) << 32 | u64::from(self.1)
    }
}

/// Declares a state: a struct whose every field takes one word (see [`Word`]).
/// `weir::state! { struct Seen { first_ms: i64, count: u32 } }`
#[macro_export]
macro_rules! state {
    ($(#[$attribute:meta])* $visible:vis struct $state:ident {
        $($(#[$field_attribute:meta])* $field_visible:vis $field:ident: $word:ty),+ $(,)?
    }) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        $visible struct $state {
            $($(#[$field_attribute])* $field_visible $field: $word,)+
        }

        impl $crate::State for $state {
            const WORDS: usize = [$(stringify!($field)),+].len();

            #[inline]
            fn from_words(words: &[u64]) -> Self {
                let mut words = words.iter().copied();
                $(let $field = $crate::Word::from_word(words.next().unwrap_or_default());)+
                Self { $($field),+ }
            }

            #[inline]
            fn to_words(self, words: &mut [u64]) {
                let fields = [$($crate::Word::to_word(self.$field)),+];
                words.copy_from_slice(&fields);
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::state! {
        /// One of each.
        struct Mixed { first_ms: i64, pair: (u32, u32), small: i16, flag: bool, byte: u8 }
    }

    #[test]
    fn all_zero_is_the_default() {
        assert_eq!(Mixed::WORDS, 5);
        assert_eq!(Mixed::from_words(&[0; 5]), Mixed::default());
        let mut words = [7; 5];
        Mixed::default().to_words(&mut words);
        assert_eq!(words, [0; 5]);
    }

    #[test]
    fn extremes_come_back_as_they_went() {
        let extremes = [
            Mixed { first_ms: i64::MIN, pair: (u32::MAX, 0), small: i16::MIN, flag: true, byte: u8::MAX },
            Mixed { first_ms: i64::MAX, pair: (0, u32::MAX), small: -1, flag: false, byte: 1 },
        ];
        for state in extremes {
            let mut words = [0; Mixed::WORDS];
            state.to_words(&mut words);
            assert_eq!(Mixed::from_words(&words), state);
        }
    }
}
