//! Every dashboard can be imported, shows what the exporter has, and says what each panel means.

mod board;
mod effects;
mod empty;
mod import;
mod layout;
mod made;
mod panels;
pub(crate) mod prometheus;
mod queries;
mod together;
mod years;
