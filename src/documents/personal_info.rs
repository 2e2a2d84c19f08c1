//! `personal_info`: age, height and weight; the e-mail address stays unread.

use serde::Deserialize;

use super::{Dated, Document, Pace, Query, values::GRAMS_PER_KILOGRAM};
use crate::{
    metric::{Metric, help},
    observation::{Date, Moment},
};

/// What the wearer told Oura of themselves.
#[derive(Debug, Deserialize)]
pub(super) struct PersonalInfo {
    age: Option<f64>,
    height: Option<f64>,
    weight: Option<f64>,
}

impl Document for PersonalInfo {
    type View = Self;
    const NAME: &'static str = "personal_info";
    const SCOPE: &'static str = "personal";
    const QUERY: Query = Query::Single;
    const PACE: Pace = Pace::QuarterDay;
    const KEEP_DAYS: Option<i64> = None;
    const REACH_DAYS: i64 = 0;
    const SELECTS_FIELDS: bool = false;
    const METRICS: &'static [Metric<Self>] = &[
        help("Age as the wearer told Oura, from personal_info.age.")
            .page_only()
            .gauge("oura_personal_age_years", |d| d.age),
        help("Height as the wearer told Oura, from personal_info.height.")
            .page_only()
            .gauge("oura_personal_height_meters", |d| d.height),
        help("Weight as the wearer told Oura, from personal_info.weight.")
            .page_only()
            .gauge("oura_personal_weight_grams", |d| d.weight.map(|kilograms| kilograms * GRAMS_PER_KILOGRAM)),
    ];

    fn views(documents: Vec<Self>, _: &Moment) -> Vec<Dated<Self>> {
        documents.into_iter().map(|d| Dated { date: Date::Standing, view: d }).collect()
    }
}
