//! A network under attack: what gets find while some of its hosts are hostile.
//!
//! | file | what it has |
//! |---|---|
//! | `run` | one attack: records are put, then got, while it lasts |
//! | `placing` | where the attackers are, and what they do |
//! | `refusals` | an attack on publishers |
//! | `crowds` | honest nodes in hard places |
//! | `records` | the records of three kinds, and what gets of them find |
//! | `spec`, `figures` | the input, and the output |

mod crowds;
mod figures;
pub(super) mod placing;
pub(super) mod records;
mod refusals;
mod run;
mod spec;

pub use figures::AttackFigures;
pub use run::attack;
pub use spec::{Attack, AttackSpec};
