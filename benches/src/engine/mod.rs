//! The engines that are compared.
//!
//! Each is used as its documentation says it is to be used for speed: policies are read beforehand, request objects are
//! made beforehand where the engine takes them by reference, and what it offers to switch off is switched off. Inside the
//! measured region is the one call that decides, with whatever that call does by itself.

mod cedar;
mod iam_rs;
mod portcullis;
mod rustfs;
mod s3s;

pub use self::cedar::Cedar;
pub use self::iam_rs::IamRs;
pub use self::portcullis::Portcullis;
pub use self::rustfs::RustFs;
pub use self::s3s::S3s;

use crate::document::{Attached, Document};
use crate::scenario::{Answer, Scenario};

/// Something that reads policies.
pub trait Reader {
    /// As in the table.
    const NAME: &'static str;

    /// What it makes of the text.
    type Policy;

    /// The policy in its own language.
    fn write(document: &Document) -> String;

    /// Reads what [`Reader::write`] wrote, up to what the engine decides with.
    fn read(text: &str, attached: Attached) -> Self::Policy;
}

/// Something that also decides.
pub trait Engine: Reader + Sized {
    /// Does whatever can be done before the question is asked. None of it is measured.
    ///
    /// # Errors
    /// [`CannotExpress`] where the engine's language has no equivalent of the scenario's policies.
    fn prepare(scenario: &Scenario) -> Result<Self, CannotExpress>;

    /// Asks the question. This is what is measured.
    fn decide(&self) -> Answer;
}

/// Why an engine is left out of a scenario.
#[derive(Clone, Copy, Debug)]
pub struct CannotExpress(pub &'static str);
