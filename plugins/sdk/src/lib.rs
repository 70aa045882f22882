//! Write a Weir rule: a pure function over smart-meter alerts.
//!
//! A rule is a type that implements [`Rule`], and one line, [`export!`], that turns its crate into a plugin:
//!
//! ```
//! use weir::{Alert, AlertCode, Columns, Description, Rule, StateKey, Verdict};
//!
//! weir::reasons! {
//!     /// Why an alert is held back.
//!     pub enum Reason { Low = "low-voltage" }
//! }
//!
//! /// Holds back 8F40 below 258.0 V.
//! struct Low;
//!
//! impl Rule for Low {
//!     type State = (); // or a few words for each device: see `weir::state!`
//!     type Reason = Reason;
//!     const DESCRIPTION: Description = Description {
//!         name: "low",
//!         version: "1.0.0",
//!         summary: "Holds back 8F40 below 258.0 V",
//!         parameters_schema: r#"{"type": "object", "additionalProperties": false}"#,
//!         state_key: StateKey::Device,
//!         state_version: 0,
//!         reads: Columns { measurement: true, ..Columns::NONE },
//!     };
//!
//!     fn new(_parameters: &str) -> Result<Self, String> {
//!         Ok(Self)
//!     }
//!
//!     fn evaluate(&self, alert: &Alert, _state: &mut ()) -> Verdict<Reason> {
//!         match alert.measurement {
//!             Some(decivolts) if alert.code == AlertCode(0x8F40) && decivolts < 2580 => Verdict::Suppress(Reason::Low),
//!             _ => Verdict::Forward,
//!         }
//!     }
//! }
//!
//! weir::export!(Low);
//!
//! let alert = Alert { measurement: Some(2541), ..weir::testing::alert(1, AlertCode(0x8F40)) };
//! assert_eq!(weir::testing::run(&Low, &[alert]), [Verdict::Suppress(Reason::Low)]);
//! ```
//!
//! The crate is a `cdylib` (add `rlib` to unit-test it as above); `weir plugin new` makes such a crate, and
//! `weir plugin build` makes the component of it. A rule sees no clock, no random number, no file: what it decides
//! follows from the alerts, the parameters and the state.
//!
//! This crate must not know any particular rule, nor the host. Invariant: the native path and the sandboxed one run
//! the same [`evaluate_columns`]; only how the columns arrive differs.

#![deny(unsafe_code)]

mod alert;
mod columns;
mod parameters;
mod rule;
mod state;
pub mod testing;

#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod guest;

pub use alert::{Alert, AlertCode, Generation, ModelId};
pub use columns::{Batch, Columns, Outcome, evaluate_columns};
pub use parameters::{CodeSet, parameters};
pub use rule::{Description, Reason, Rule, StateKey, Verdict, is_name};
pub use state::{State, Word};

/// Makes the crate a plugin: exports the rule under the contract of `wit/rule.wit`. Once in a crate.
///
/// Natively nothing is exported, so that a rule can be unit-tested; that the plugin's name has the right form is
/// checked by the compiler either way.
#[macro_export]
macro_rules! export {
    ($rule:ty) => {
        const _: () = assert!(
            $crate::is_name(<$rule as $crate::Rule>::DESCRIPTION.name),
            "the name of a plugin has lower-case letters, digits and single hyphens"
        );

        // The bindings mark what they export as unsafe, since two crates could export the same name. The rule's own
        // code stays without.
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code)]
        const _: () = {
            type Exported = $crate::guest::Exported<$rule>;
    $crate::guest::bindings::export_rule!(Exported with_types_in $crate::guest::bindings);
        };
    };
}
