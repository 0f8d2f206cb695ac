//! Draws curves as SVG: readable in light and dark, with nothing but text.

use std::fmt::Write as _;

/// How an axis is spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// From zero, even.
    Linear,
    /// By its logarithm.
    Log,
}

/// One axis.
#[derive(Debug, Clone, Copy)]
pub struct Axis {
    /// What it shows, with its unit.
    pub label: &'static str,
    /// How it is spread.
    pub scale: Scale,
}

/// One curve: its name and its points, from left to right.
pub type Curve = (String, Vec<(f64, f64)>);

/// Plain rules: not every program that shows SVG knows variables.
const STYLE: &str = "\
.paper{fill:#fff}.ink{fill:#1f2328}.soft{fill:#59636e}.grid{stroke:#d1d9e0}.axis{stroke:#59636e}\
.line{fill:none;stroke-width:2}\
.c0 .line{stroke:#0969da}.c0 .dot,.c0 .name{fill:#0969da}.c1 .line{stroke:#bc4c00}.c1 .dot,.c1 .name{fill:#bc4c00}\
.c2 .line{stroke:#1a7f37}.c2 .dot,.c2 .name{fill:#1a7f37}.c3 .line{stroke:#8250df}.c3 .dot,.c3 .name{fill:#8250df}\
@media(prefers-color-scheme:dark){.paper{fill:#0d1117}.ink{fill:#f0f6fc}.soft{fill:#9198a1}.grid{stroke:#3d444d}\
.axis{stroke:#9198a1}\
.c0 .line{stroke:#4493f8}.c0 .dot,.c0 .name{fill:#4493f8}.c1 .line{stroke:#f0883e}.c1 .dot,.c1 .name{fill:#f0883e}\
.c2 .line{stroke:#3fb950}.c2 .dot,.c2 .name{fill:#3fb950}.c3 .line{stroke:#ab7df8}.c3 .dot,.c3 .name{fill:#ab7df8}}";

const WIDE: f64 = 680.0;
const HIGH: f64 = 360.0;
/// Where the curves are drawn; the room to the right is for their names.
const LEFT: f64 = 72.0;
const RIGHT: f64 = WIDE - 92.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = HIGH - 52.0;
/// What two labels keep between them.
const GAP: f64 = 15.0;

/// Draws curves over common axes.
pub fn draw(title: &str, x: Axis, y: Axis, curves: &[Curve]) -> String {
    let points = || curves.iter().flat_map(|(_, points)| points);
    let across = Spread::over(x.scale, points().map(|point| point.0), LEFT, RIGHT);
    let up = Spread::over(y.scale, points().map(|point| point.1), BOTTOM, TOP);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDE} {HIGH}\" role=\"img\" \
         font-family=\"system-ui,sans-serif\" font-size=\"12\">\n<title>{title}</title>\n<style>{STYLE}</style>\n\
         <rect class=\"paper\" width=\"{WIDE}\" height=\"{HIGH}\" rx=\"6\"/>\n\
         <text class=\"ink\" x=\"{LEFT}\" y=\"24\" font-size=\"14\" font-weight=\"600\">{title}</text>\n"
    );
    let mut add = |line: String| svg.push_str(&(line + "\n"));
    for tick in up.ticks() {
        let at = up.at(tick);
        add(format!("<line class=\"grid\" x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{RIGHT}\" y2=\"{at:.1}\"/>"));
        let text = short(tick);
        add(format!(
            "<text class=\"soft\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
            LEFT - 8.0,
            at + 4.0
        ));
    }
    // What was measured is what the axis names, as far as there is room.
    let mut measured: Vec<f64> = points().map(|point| point.0).collect();
    measured.sort_by(f64::total_cmp);
    let mut free = f64::MIN;
    for tick in measured {
        let at = across.at(tick);
        if at < free {
            continue;
        }
        free = at + 2.4 * GAP;
        add(format!("<line class=\"axis\" x1=\"{at:.1}\" y1=\"{BOTTOM}\" x2=\"{at:.1}\" y2=\"{}\"/>", BOTTOM + 5.0));
        let text = short(tick);
        add(format!("<text class=\"soft\" x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{text}</text>", BOTTOM + 19.0));
    }
    add(format!("<line class=\"axis\" x1=\"{LEFT}\" y1=\"{BOTTOM}\" x2=\"{RIGHT}\" y2=\"{BOTTOM}\"/>"));
    let middle = f64::midpoint(LEFT, RIGHT);
    add(format!("<text class=\"soft\" x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{}</text>", HIGH - 12.0, x.label));
    add(format!("<text class=\"soft\" x=\"{WIDE}\" dx=\"-16\" y=\"24\" text-anchor=\"end\">{}</text>", y.label));
    for (index, (name, points)) in curves.iter().enumerate() {
        let colour = index % 4;
        let mut path = String::new();
        for (px, py) in points {
            let _ = write!(path, "{:.1},{:.1} ", across.at(*px), up.at(*py));
        }
        add(format!("<g class=\"c{colour}\"><polyline class=\"line\" points=\"{}\"/>", path.trim_end()));
        for (px, py) in points {
            add(format!("<circle class=\"dot\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.5\"/>", across.at(*px), up.at(*py)));
        }
        if let Some((px, py)) = points.last() {
            let (at, height) = (across.at(*px) + 9.0, up.at(*py) + 4.0);
            add(format!("<text class=\"name\" x=\"{at:.1}\" y=\"{height:.1}\" font-weight=\"600\">{name}</text>"));
        }
        add("</g>".to_owned());
    }
    svg + "</svg>\n"
}

/// Figures spread between two places.
struct Spread {
    scale: Scale,
    least: f64,
    most: f64,
    from: f64,
    to: f64,
}

impl Spread {
    fn over(scale: Scale, values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let (mut least, mut most) = values.fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(v), high.max(v)));
        match scale {
            Scale::Linear => (least, most) = (0.0, most.max(f64::MIN_POSITIVE) * 1.08),
            // Never on the very edge, and never of no width.
            Scale::Log => (least, most) = (least.max(1e-6) / 1.2, most.max(1e-6) * 1.2),
        }
        Self { scale, least, most, from, to }
    }

    fn at(&self, value: f64) -> f64 {
        let share = match self.scale {
            Scale::Linear => (value - self.least) / (self.most - self.least),
            Scale::Log => (value.max(1e-6) / self.least).ln() / (self.most / self.least).ln(),
        };
        self.from + share * (self.to - self.from)
    }

    /// Round figures to draw lines at, about five.
    fn ticks(&self) -> Vec<f64> {
        let decade = |value: f64| 10f64.powf(value.log10().floor());
        match self.scale {
            Scale::Linear => {
                let rough = self.most / 5.0;
                let step = [1.0, 2.0, 5.0, 10.0].map(|by| by * decade(rough)).into_iter().find(|step| *step >= rough);
                let step = step.unwrap_or(rough);
                (0..).map(|n| f64::from(n) * step).take_while(|tick| *tick <= self.most).collect()
            }
            Scale::Log => {
                let decades = (self.most / self.least).log10();
                let within: &[f64] = if decades > 2.5 { &[1.0] } else { &[1.0, 2.0, 5.0] };
                let mut ticks = Vec::new();
                let mut base = decade(self.least);
                while base <= self.most {
                    ticks.extend(within.iter().map(|by| by * base));
                    base *= 10.0;
                }
                ticks.retain(|tick| (self.least..=self.most).contains(tick));
                ticks
            }
        }
    }
}

/// A figure in a few characters.
fn short(value: f64) -> String {
    let text = |value: f64, unit: &str| {
        let digits = usize::from(value.fract() != 0.0 && value < 10.0) + usize::from(value < 0.1 && value > 0.0);
        format!("{value:.digits$}{unit}")
    };
    match value {
        v if v >= 1e6 => text(v / 1e6, " M"),
        v if v >= 1e3 => text(v / 1e3, " k"),
        v => text(v, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        let figures = [0.0, 0.05, 0.5, 2.0, 64.0, 1000.0, 2500.0, 15_000.0, 1_048_576.0];
        assert_eq!(figures.map(short), ["0", "0.05", "0.5", "2", "64", "1 k", "2.5 k", "15 k", "1.0 M"]);
    }

    #[test]
    fn axes_are_marked_at_round_figures() {
        let linear = Spread::over(Scale::Linear, [3.0, 11_538.0].into_iter(), 0.0, 1.0);
        assert_eq!(linear.ticks(), [0.0, 5000.0, 10_000.0]);
        let log = Spread::over(Scale::Log, [0.9, 30.0].into_iter(), 0.0, 1.0);
        assert_eq!(log.ticks(), [1.0, 2.0, 5.0, 10.0, 20.0]);
        assert!(log.at(0.9) > 0.0 && log.at(30.0) < 1.0);
    }

    #[test]
    fn every_curve_is_drawn_with_its_name() {
        let axis = Axis { label: "x", scale: Scale::Log };
        let curves = vec![("p50".to_owned(), vec![(1.0, 1.0), (10.0, 2.0)]), ("p99".to_owned(), vec![(1.0, 3.0)])];
        let svg = draw("Times", axis, axis, &curves);
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        assert_eq!((svg.matches("<polyline").count(), svg.matches("<circle").count()), (2, 3));
        assert!(
            svg.contains(">p50</text>") && svg.contains(">p99</text>") && svg.contains("prefers-color-scheme:dark")
        );
    }
}
