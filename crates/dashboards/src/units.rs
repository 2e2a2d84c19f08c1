//! Units that the reader chooses on top of a board.

use crate::{board::choice, model::Variable};

/// What has more than one unit in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Differences of temperatures, in °C or °F.
    Temperature,
    /// Distances, in km or miles.
    Distance,
    /// Energy, in kcal or kJ.
    Energy,
}

impl Unit {
    /// The variable by which the reader chooses; the first is chosen at first.
    pub fn variable(self) -> Variable {
        match self {
            Self::Temperature => {
                choice("temperature", "Temperature", "The unit of temperatures.", &[("°C", "1"), ("°F", "1.8")])
            }
            Self::Distance => {
                choice("distance", "Distance", "The unit of distances.", &[("km", "1000"), ("mi", "1609.344")])
            }
            Self::Energy => choice("energy", "Energy", "The unit of energy.", &[("kcal", "4184"), ("kJ", "1000")]),
        }
    }

    /// How PromQL converts from the metric's unit.
    pub(crate) const fn conversion(self) -> &'static str {
        match self {
            Self::Temperature => "* $temperature",
            Self::Distance => "/ $distance",
            Self::Energy => "/ $energy",
        }
    }

    /// By what the metric's unit is multiplied until the reader chooses another.
    pub(crate) const fn factor_at_first(self) -> f64 {
        match self {
            Self::Temperature => 1.0,
            Self::Distance => 1.0 / 1000.0,
            Self::Energy => 1.0 / 4184.0,
        }
    }
}
