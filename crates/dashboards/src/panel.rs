//! Panels as short code: each kind with the looks that fit it.

use crate::{
    expression::Expression,
    model::{
        CellOptions, Color, Custom, DataLink, DataSource, Defaults, DrawStyle, FieldConfig, Format, GridPos, HideFrom,
        Interpolation, Legend, LineStyle, Mapping, Matcher, Options, Override, Panel, PanelKind, PointSize, Property,
        Reduce, ShowPoints, Stacking, Step, Target, Text, TextSizes, Thresholds, Tooltip, Transformation, XySeries,
    },
};

/// Points of Oura's scores: 85 and up is optimal, 70 to 84 good, below 70 needs attention.
pub const SCORE_STEPS: &[(f64, &str)] = &[(70.0, "blue"), (85.0, "green")];
/// What is said of them.
pub const SCORE_COLORS: &str = "85 and up is optimal (green), 70 to 84 good (blue), below 70 needs attention (orange).";

/// From a day that is drawn to its night: 23 hours before and after its 00:00 UTC hold the night of any wearer on earth.
const NIGHT: DataLink = DataLink {
    title: "This night",
    url: "/d/oura-today?time=${__value.time}&time.window=165600000&var-account=${__field.labels.account}&${datasource:queryparam}",
    target_blank: false,
    one_click: true,
};

/// How wide and high a panel is, of 24 columns.
pub type Size = (u32, u32);

fn empty(kind: PanelKind, title: &str, size: Size) -> Panel {
    Panel {
        id: 0,
        kind,
        title: title.to_owned(),
        description: None,
        datasource: None,
        grid_pos: GridPos { w: size.0, h: size.1, ..GridPos::default() },
        collapsed: None,
        panels: None,
        repeat: None,
        time_from: None,
        interval: None,
        max_data_points: None,
        targets: None,
        transformations: vec![],
        field_config: None,
        options: None,
    }
}

/// A heading, repeated for each value of a variable if one is named.
pub fn row(title: &str, repeat: Option<&'static str>) -> Panel {
    Panel { collapsed: Some(false), panels: Some(vec![]), repeat, ..empty(PanelKind::Row, title, (24, 1)) }
}

/// A panel that can be shaped further.
fn shown(kind: PanelKind, title: &str, size: Size, description: &str) -> Panel {
    let defaults = Defaults {
        unit: "none".into(),
        color: Color::THRESHOLDS,
        thresholds: thresholds("text", &[]),
        no_value: "no data".into(),
        decimals: None,
        min: None,
        max: None,
        mappings: vec![],
        links: vec![],
        custom: None,
    };
    Panel {
        description: Some(description.to_owned()),
        datasource: Some(DataSource::CHOSEN),
        targets: Some(vec![]),
        field_config: Some(FieldConfig { defaults, overrides: vec![] }),
        options: Some(Options::default()),
        ..empty(kind, title, size)
    }
}

/// Colours by value.
pub fn thresholds(floor: &'static str, steps: &[(f64, &'static str)]) -> Thresholds {
    let first = Step { value: None, color: floor };
    let others = steps.iter().map(|(value, color)| Step { value: Some(*value), color });
    Thresholds { mode: "absolute", steps: [first].into_iter().chain(others).collect() }
}

fn legend(placement: &'static str, calcs: &[&'static str]) -> Legend {
    let display_mode = if calcs.is_empty() { "list" } else { "table" };
    Legend { display_mode, placement, show_legend: true, calcs: calcs.to_vec() }
}

const ALL_AT_ONCE: Tooltip = Tooltip { mode: "multi", sort: "none" };

/// Lines over time.
pub fn lines(title: &str, size: Size, description: &str) -> Panel {
    let mut panel = shown(PanelKind::TimeSeries, title, size, description);
    let custom = Custom {
        draw_style: Some(DrawStyle::Line),
        line_interpolation: Some(Interpolation::Linear),
        line_width: Some(1),
        fill_opacity: Some(0),
        show_points: Some(ShowPoints::Auto),
        point_size: Some(PointSize::Pixels(5)),
        span_nulls: Some(false),
        stacking: Some(Stacking { mode: "none", group: "A" }),
        ..Custom::default()
    };
    let options = Options { legend: Some(legend("bottom", &[])), tooltip: Some(ALL_AT_ONCE), ..Options::default() };
    panel.options = Some(options);
    panel.defaults(|defaults| {
        defaults.color = Color::PALETTE;
        defaults.custom = Some(custom);
    })
}

/// A value a day, drawn at the beginning of its day in UTC; a click leads to the night.
pub fn days(title: &str, size: Size, description: &str) -> Panel {
    lines(title, size, description).of_days().defaults(|defaults| {
        if let Some(custom) = &mut defaults.custom {
            custom.show_points = Some(ShowPoints::Always);
        }
    })
}

/// Bars of a day, on each other.
pub fn bars(title: &str, size: Size, description: &str) -> Panel {
    days(title, size, description).defaults(|defaults| {
        defaults.min = Some(0.0);
        if let Some(custom) = &mut defaults.custom {
            custom.draw_style = Some(DrawStyle::Bars);
            custom.line_width = Some(0);
            custom.fill_opacity = Some(70);
            custom.show_points = Some(ShowPoints::Never);
            custom.stacking = Some(Stacking { mode: "normal", group: "A" });
            custom.bar_alignment = Some(1);
            custom.bar_width_factor = Some(0.8);
        }
    })
}

/// States over time, a row each.
pub fn states(title: &str, size: Size, description: &str) -> Panel {
    let mut panel = shown(PanelKind::StateTimeline, title, size, description);
    panel.options = Some(Options {
        legend: Some(Legend { show_legend: false, ..legend("bottom", &[]) }),
        tooltip: Some(Tooltip { mode: "single", sort: "none" }),
        show_value: Some("auto"),
        row_height: Some(0.9),
        merge_values: Some(true),
        align_value: Some("left"),
        ..Options::default()
    });
    let custom = Custom { fill_opacity: Some(80), line_width: Some(0), ..Custom::default() };
    panel.defaults(|defaults| defaults.custom = Some(custom))
}

/// A coloured cell for each day and row; as many days as one likes, which a status grid would refuse.
pub fn cells(title: &str, size: Size, description: &str) -> Panel {
    let mut panel = states(title, size, description).of_days();
    panel.set_options(|options| options.merge_values = Some(false));
    panel
}

/// Numbers.
pub fn numbers(title: &str, size: Size, description: &str) -> Panel {
    let mut panel = shown(PanelKind::Stat, title, size, description);
    panel.options = Some(Options {
        color_mode: Some("value"),
        graph_mode: Some("none"),
        justify_mode: Some("auto"),
        orientation: Some("auto"),
        reduce_options: Some(last()),
        text_mode: Some("auto"),
        wide_layout: Some(true),
        ..Options::default()
    });
    panel
}

/// A bar with a number for each series.
pub fn levels(title: &str, size: Size, description: &str) -> Panel {
    let mut panel = shown(PanelKind::BarGauge, title, size, description);
    panel.options = Some(Options {
        display_mode: Some("gradient"),
        orientation: Some("horizontal"),
        reduce_options: Some(last()),
        show_unfilled: Some(true),
        value_mode: Some("color"),
        ..Options::default()
    });
    panel
}

/// A line a series and nothing else: no number, no axis and no date.
pub fn sparklines(title: &str, size: Size, description: &str) -> Panel {
    numbers(title, size, description).options(|options| {
        options.graph_mode = Some("area");
        options.text_mode = Some("name");
    })
}

fn last() -> Reduce {
    Reduce { calcs: vec!["lastNotNull"], fields: "", values: false }
}

/// A table.
pub fn table(title: &str, size: Size, description: &str) -> Panel {
    let mut panel = shown(PanelKind::Table, title, size, description);
    panel.options = Some(Options { show_header: Some(true), cell_height: Some("sm"), ..Options::default() });
    let custom = Custom {
        align: Some("auto"),
        cell_options: Some(CellOptions { kind: "auto" }),
        inspect: Some(false),
        ..Custom::default()
    };
    panel.defaults(|defaults| defaults.custom = Some(custom))
}

/// A point for each day, of one series over another.
pub fn scatter(title: &str, size: Size, description: &str, series: XySeries, point: PointSize) -> Panel {
    let mut panel = shown(PanelKind::XyChart, title, size, description);
    panel.interval = Some("1d");
    panel.options = Some(Options {
        legend: Some(Legend { show_legend: false, ..legend("bottom", &[]) }),
        tooltip: Some(Tooltip { mode: "single", sort: "none" }),
        mapping: Some("manual"),
        series: Some(vec![series]),
        ..Options::default()
    });
    let custom = Custom { show: Some("points"), point_size: Some(point), ..Custom::default() };
    let join = Transformation::JoinByField { by_field: "Time", mode: "inner" };
    panel.transform(join).unit("none", 0).defaults(|defaults| {
        defaults.color = Color::fixed("blue");
        defaults.custom = Some(custom);
    })
}

impl Panel {
    /// Changes how values look.
    pub fn defaults(mut self, change: impl FnOnce(&mut Defaults)) -> Self {
        if let Some(config) = &mut self.field_config {
            change(&mut config.defaults);
        }
        self
    }

    /// Changes the options of the kind.
    pub fn set_options(&mut self, change: impl FnOnce(&mut Options)) {
        if let Some(options) = &mut self.options {
            change(options);
        }
    }

    /// Changes the options of the kind.
    pub fn options(mut self, change: impl FnOnce(&mut Options)) -> Self {
        self.set_options(change);
        self
    }

    fn of_days(self) -> Self {
        let panel = Self { interval: Some("1d"), ..self };
        panel.defaults(|defaults| defaults.links = vec![NIGHT])
    }

    /// Names and values of these sizes in pixels, so that numbers side by side are alike.
    pub fn sized(self, title_size: u8, value_size: u8) -> Self {
        self.options(|options| options.text = Some(TextSizes { title_size, value_size }))
    }

    /// In this unit, with so many decimals.
    pub fn unit(self, unit: &str, decimals: u8) -> Self {
        self.defaults(|defaults| {
            defaults.unit = unit.to_owned();
            defaults.decimals = Some(decimals);
        })
    }

    /// Between these.
    pub fn range(self, min: f64, max: f64) -> Self {
        self.defaults(|defaults| {
            defaults.min = Some(min);
            defaults.max = Some(max);
        })
    }

    /// Coloured by value.
    pub fn colors(self, floor: &'static str, steps: &[(f64, &'static str)]) -> Self {
        self.defaults(|defaults| {
            defaults.color = Color::THRESHOLDS;
            defaults.thresholds = thresholds(floor, steps);
        })
    }

    /// Coloured as Oura's scores.
    pub fn scores(self) -> Self {
        self.unit("none", 0).colors("orange", SCORE_STEPS)
    }

    /// Words for values.
    pub fn words(self, words: &[(i64, &str, Option<&'static str>)]) -> Self {
        self.defaults(|defaults| defaults.mappings = vec![mapping(words)])
    }

    /// The legend has these of each series.
    pub fn sums(self, calcs: &[&'static str]) -> Self {
        self.options(|options| options.legend = Some(legend("right", calcs)))
    }

    /// What is asked of a day, or over time.
    pub fn ask(self, legend: &str, expression: &Expression) -> Self {
        self.target(legend, expression.promql(), expression, None)
    }

    /// What is asked of a day where points stand within days: on a board in the time of whoever reads it.
    pub fn ask_through_the_day(self, legend: &str, expression: &Expression) -> Self {
        self.ask(legend, &expression.through_the_day())
    }

    /// What is asked for the moment at which the range ends.
    pub fn ask_now(self, legend: &str, expression: &Expression) -> Self {
        self.target(legend, expression.promql_now(), expression, Some(Format::TimeSeries))
    }

    /// A column of a table whose rows are events over time.
    pub fn events(self, expression: &Expression) -> Self {
        let mut panel = self.target("", expression.promql(), expression, None);
        if let Some(target) = panel.targets.as_mut().and_then(|targets| targets.last_mut()) {
            target.format = Some(Format::Table);
        }
        panel
    }

    /// A column of a table, for the moment at which the range ends.
    pub fn column(self, expression: &Expression) -> Self {
        self.target("", expression.promql_now(), expression, Some(Format::Table))
    }

    fn target(mut self, legend: &str, expr: String, expression: &Expression, instant: Option<Format>) -> Self {
        let targets = self.targets.get_or_insert_default();
        targets.push(Target {
            ref_id: reference(targets.len()),
            datasource: DataSource::CHOSEN,
            expr,
            legend_format: legend.to_owned(),
            editor_mode: "code",
            format: instant.filter(|format| *format == Format::Table),
            instant: instant.is_some(),
            range: instant.is_none(),
            meaning: expression.meaning.clone(),
        });
        self
    }

    /// How the series with this legend differs.
    pub fn series(self, legend: &str, properties: Vec<Property>) -> Self {
        self.fields("byName", legend, properties)
    }

    /// How these fields differ.
    pub fn fields(mut self, by: &'static str, which: &str, properties: Vec<Property>) -> Self {
        if let Some(config) = &mut self.field_config {
            let matcher = Matcher { id: by, options: which.to_owned() };
            config.overrides.push(Override { matcher, properties });
        }
        self
    }

    /// The series with this legend in this colour.
    pub fn color(self, legend: &str, color: &'static str) -> Self {
        self.series(legend, vec![Property::Color(Color::fixed(color))])
    }

    /// The last so much, whatever the range of the board is as long as it ends now.
    pub fn last(self, span: &'static str) -> Self {
        Self { time_from: Some(span), ..self }
    }

    /// A point each so often.
    pub fn every(self, interval: &'static str) -> Self {
        Self { interval: Some(interval), ..self }
    }

    /// Not more points than this, however wide it is.
    pub fn at_most(self, points: u32) -> Self {
        Self { max_data_points: Some(points), ..self }
    }

    /// What is done with the answers.
    pub fn transform(mut self, transformation: Transformation) -> Self {
        self.transformations.push(transformation);
        self
    }
}

/// A, B, … Z, AA, …
fn reference(place: usize) -> String {
    let letter = char::from(b'A' + u8::try_from(place % 26).unwrap_or(0));
    match place / 26 {
        0 => letter.to_string(),
        more => format!("{}{letter}", reference(more - 1)),
    }
}

/// Words for values.
pub fn mapping(words: &[(i64, &str, Option<&'static str>)]) -> Mapping {
    let text = |(index, (value, text, color)): (u32, &(i64, &str, Option<&'static str>))| {
        (value.to_string(), Text { text: (*text).to_owned(), color: *color, index })
    };
    Mapping::Value((0..).zip(words).map(text).collect())
}

/// What the legend does not name.
const NOT_IN_LEGEND: HideFrom = HideFrom { legend: true, tooltip: false, viz: false };

/// A day's values beside 7 and 30 days and the wearer's own bands: p10 to p90, and mean ± standard deviation.
pub fn trend(title: &str, size: Size, about: &str, value: &Expression) -> Panel {
    let description = format!(
        "{about} Points: each day's value. Lines: mean of 7 and 30 days. Bands: what is usual for this wearer, from the 30 days \
         before each day, once 7 have a value: 10 to 90 of 100 days (green), and mean ± standard deviation (between the dashes)."
    );
    let (mean, deviation) = (value.clone().usual(), value.clone().usual_deviation());
    let line = |color, width| {
        vec![Property::Color(Color::fixed(color)), Property::LineWidth(width), Property::ShowPoints(ShowPoints::Never)]
    };
    let hidden = |color, width| [line(color, width), vec![Property::HideFrom(NOT_IN_LEGEND)]].concat();
    let dashed = vec![Property::LineStyle(LineStyle { fill: "dash", dash: [4, 4] })];
    let point =
        vec![Property::Color(Color::fixed("blue")), Property::DrawStyle(DrawStyle::Points), Property::PointSize(6)];
    let band = vec![Property::FillBelowTo("p10"), Property::FillOpacity(15)];
    days(title, size, &description)
        .ask("value", value)
        .ask("7 days", &value.clone().mean(7))
        .ask("30 days", &value.clone().mean(30))
        .ask("p10", &value.clone().usual_quantile(0.1))
        .ask("p10 to p90", &value.clone().usual_quantile(0.9))
        .ask("mean - σ", &mean.clone().minus(deviation.clone()))
        .ask("mean ± σ", &mean.plus(deviation))
        .series("value", point)
        .series("7 days", line("orange", 2))
        .series("30 days", line("purple", 1))
        .series("p10", hidden("green", 0))
        .series("p10 to p90", [line("green", 0), band].concat())
        .series("mean - σ", [hidden("semi-dark-green", 1), dashed.clone()].concat())
        .series("mean ± σ", [line("semi-dark-green", 1), dashed].concat())
}
