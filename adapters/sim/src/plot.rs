//! The curves: hops and traffic against size, success against dead nodes and against liars, cost against churn, load
//! per node. Each geometry has a colour; iterative lookups have solid lines, recursive ones dashed lines.

use core::error::Error;
use core::ops::Range;
use core::time::Duration;
use std::path::Path;

use epaint_default_fonts::UBUNTU_LIGHT;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::element::DashedPathElement;
use plotters::prelude::*;

use crate::parallel::run_all;
use crate::progress::Progress;
use crate::scenario::{self, Attack, AttackSpec, Figures, Geometry, Lifetime, LookupMode, Scenario, Spec};
use crate::thousands::thousands;

/// The size of a picture in pixels: twice that in a README, so that it is sharp there.
const SIZE: (u32, u32) = (1_400, 840);
/// The lengths of a dash, and of a line in the legend, in pixels.
const DASH: u32 = 12;
const LEGEND: u32 = 36;
const BLUE: RGBColor = RGBColor(31, 119, 180);
const ORANGE: RGBColor = RGBColor(214, 96, 36);
const GREEN: RGBColor = RGBColor(44, 140, 60);
/// The curves that compare lookups: name, geometry, mode and colour.
const LOOKUPS: [(&str, Geometry, LookupMode, RGBColor); 6] = [
    ("Kademlia, iterative", Geometry::Kademlia, LookupMode::Iterative, BLUE),
    ("Kademlia, recursive", Geometry::Kademlia, LookupMode::Recursive, BLUE),
    ("Chord, iterative", Geometry::Chord, LookupMode::Iterative, ORANGE),
    ("Chord, recursive", Geometry::Chord, LookupMode::Recursive, ORANGE),
    ("Pastry, iterative", Geometry::Pastry, LookupMode::Iterative, GREEN),
    ("Pastry, recursive", Geometry::Pastry, LookupMode::Recursive, GREEN),
];
/// Network sizes for ideal tables.
const IDEAL_SIZES: [u32; 8] = [100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800];
/// Network sizes for the load of the busiest node.
const LOAD_SIZES: [u32; 5] = [125, 250, 500, 1_000, 2_000];

/// The percentages of nodes that lie, and those of gets that were right before the defences.
const SHARES: [u32; 5] = [0, 5, 10, 20, 30];
const BEFORE: [[f64; SHARES.len()]; 3] =
    [[100.0, 50.27, 24.0, 3.73, 2.27], [100.0, 85.07, 74.8, 56.0, 41.87], [100.0, 100.0, 100.0, 98.13, 90.67]];

/// One picture.
struct Picture {
    file: &'static str,
    title: &'static str,
    x_label: &'static str,
    y_label: &'static str,
    /// Whether the x axis is logarithmic.
    log_x: bool,
    /// Where the legend is, in pixels from the upper left corner; `None` for a corner on the left.
    legend: Option<(i32, i32)>,
    /// The ends of the y axis. It grows if a point is above them.
    y_range: Range<f64>,
    curves: Vec<Curve>,
}

/// One figure of several runs.
struct Curve {
    name: &'static str,
    colour: RGBColor,
    dashed: bool,
    /// The x value of each run, and its specification.
    points: Vec<(f64, Run)>,
    /// The y value of a scenario.
    figure: fn(&Figures) -> f64,
}

/// What a point shows.
#[derive(Clone, Debug)]
enum Run {
    /// A figure of a scenario.
    Scenario(Spec),
    /// The percentage of gets that are right under an attack.
    Attack(AttackSpec),
    /// What was measured before.
    Recorded(f64),
}

/// Draws the pictures whose names contain `only` into a directory, each as SVG and as PNG. The runs are shared among
/// this many threads.
///
/// # Errors
///
/// The directory or a file in it can't be written.
pub fn draw(out: &Path, seed: u64, only: &str, threads: usize, progress: Progress) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(out)?;
    plotters::style::register_font("sans-serif", FontStyle::Normal, UBUNTU_LIGHT)
        .map_err(|_| "the font can't be read")?;
    let pictures: Vec<_> = pictures().into_iter().filter(|picture| picture.file.contains(only)).collect();
    let values = measure(&pictures, seed, threads, progress);
    let mut values = values.into_iter();
    for picture in pictures {
        let curves: Vec<_> = picture.curves.iter().map(|curve| curve.measured(&mut values)).collect();
        let [svg, png] = ["svg", "png"].map(|kind| out.join(picture.file).with_extension(kind));
        picture.draw(&curves, SVGBackend::new(&svg, SIZE).into_drawing_area())?;
        picture.draw(&curves, BitMapBackend::new(&png, SIZE).into_drawing_area())?;
    }
    Ok(())
}

/// The y values of all runs, in the order of the points.
fn measure(pictures: &[Picture], seed: u64, threads: usize, progress: Progress) -> Vec<f64> {
    let curves = pictures.iter().flat_map(|picture| &picture.curves);
    let jobs: Vec<_> = curves.flat_map(|curve| curve.points.iter().map(|(_, run)| (run, curve.figure))).collect();
    progress.begin(format!("{} runs", jobs.len()));
    run_all(&jobs, threads, progress, |(run, _)| run.estimated_cost(), |(run, figure)| run.value(seed, *figure))
}

impl Run {
    /// The y value. All specifications are valid: see the test.
    fn value(&self, seed: u64, figure: fn(&Figures) -> f64) -> f64 {
        let mut progress = Progress::silent();
        match self {
            Self::Scenario(spec) => {
                let spec = Spec { seed, ..spec.clone() };
                figure(&scenario::run(&spec, &mut progress).unwrap_or_default())
            }
            Self::Attack(spec) => {
                let spec = AttackSpec { network: Spec { seed, ..spec.network.clone() }, ..spec.clone() };
                100.0 * scenario::attack(&spec, &mut progress).unwrap_or_default().right
            }
            Self::Recorded(value) => *value,
        }
    }

    /// About how long it takes, in milliseconds.
    fn estimated_cost(&self) -> f64 {
        let spec = match self {
            Self::Scenario(spec) => spec,
            Self::Attack(_) => return 2_000.0,
            Self::Recorded(_) => return 0.0,
        };
        let nodes = f64::from(spec.nodes);
        let maintenance = match spec.scenario {
            Scenario::Churn => spec.measured().as_secs_f64() / 60.0 * (0.05 + 80.0 / spec.session.as_secs_f64()),
            Scenario::Join => 1.0 + nodes / 3_000.0,
            _ => 0.0,
        };
        nodes * (0.1 + maintenance) + f64::from(spec.lookups) * 0.15
    }
}

fn pictures() -> [Picture; 7] {
    [hops(), traffic(), success(), cost(), load(), join(), liars()]
}

fn hops() -> Picture {
    Picture {
        file: "hops",
        title: "Length of a lookup in ideal tables (k = 8, alpha = 3)",
        x_label: "nodes",
        y_label: "steps to the closest node, mean of 1,000 lookups",
        log_x: true,
        legend: None,
        y_range: 0.0..9.0,
        curves: curves_of_lookups(
            &IDEAL_SIZES,
            |figures| figures.depth_mean,
            |nodes| Spec { nodes, ..Spec::new(Scenario::Static) },
        ),
    }
}

fn traffic() -> Picture {
    Picture {
        file: "traffic",
        title: "Traffic of a get in ideal tables (k = 8, alpha = 3)",
        x_label: "nodes",
        y_label: "datagrams of all nodes, mean of 1,000 gets",
        log_x: true,
        legend: None,
        y_range: 0.0..60.0,
        curves: curves_of_lookups(
            &IDEAL_SIZES,
            |figures| figures.datagrams_mean,
            |nodes| Spec { nodes, ..Spec::new(Scenario::Gets) },
        ),
    }
}

fn success() -> Picture {
    let spec =
        |dead: u32| Spec { nodes: 5_000, lookups: 1_000, dead: f64::from(dead) / 100.0, ..Spec::new(Scenario::Stale) };
    Picture {
        file: "success",
        title: "Some of 5,000 nodes died at once; no table is repaired yet",
        x_label: "dead nodes, %",
        y_label: "lookups that find the right node, %",
        log_x: false,
        legend: None,
        y_range: 0.0..105.0,
        curves: curves_of_lookups(&[0, 10, 20, 30, 40, 50, 60, 70, 80], |figures| figures.success * 100.0, spec),
    }
}

fn cost() -> Picture {
    let curve = |name, geometry, lifetime, colour| {
        let spec = |mean: u64| {
            let session = Spec::median(lifetime, Duration::from_secs(mean));
            (
                mean as f64,
                Run::Scenario(Spec {
                    geometry,
                    session,
                    lifetime,
                    minutes: Some(10.0),
                    nodes: 500,
                    ..Spec::new(Scenario::Churn)
                }),
            )
        };
        let points = [200, 400, 800, 1_600, 3_200, 6_400].map(spec).into();
        Curve {
            name,
            colour,
            dashed: lifetime == Lifetime::Weibull,
            points,
            figure: |figures| figures.maintenance_bytes_per_node_second,
        }
    };
    Picture {
        file: "cost",
        title: "Maintenance traffic of 500 nodes under churn, without records",
        x_label: "mean lifetime of a node, seconds",
        y_label: "bytes per second and node",
        log_x: true,
        legend: None,
        y_range: 0.0..600.0,
        curves: vec![
            curve("Kademlia", Geometry::Kademlia, Lifetime::Exponential, BLUE),
            curve("Kademlia, Weibull lifetimes", Geometry::Kademlia, Lifetime::Weibull, BLUE),
            curve("Chord", Geometry::Chord, Lifetime::Exponential, ORANGE),
            curve("Pastry", Geometry::Pastry, Lifetime::Exponential, GREEN),
        ],
    }
}

fn load() -> Picture {
    Picture {
        file: "load",
        title: "Load of the busiest node with ideal tables",
        x_label: "nodes",
        y_label: "requests it serves, over the mean of all nodes",
        log_x: true,
        legend: None,
        y_range: 0.0..10.0,
        curves: curves_of_lookups(
            &LOAD_SIZES,
            |figures| figures.load_max_over_mean,
            |nodes| Spec { nodes, lookups: 5_000, ..Spec::new(Scenario::Static) },
        ),
    }
}

fn join() -> Picture {
    let curve = |name, geometry, burst, colour| {
        let spec = |nodes| {
            let spec = Spec { nodes, geometry, burst, lookups: 5_000, ..Spec::new(Scenario::Join) };
            (f64::from(nodes), Run::Scenario(spec))
        };
        Curve {
            name,
            colour,
            dashed: burst,
            points: LOAD_SIZES.map(spec).into(),
            figure: |figures| figures.load_max_over_mean,
        }
    };
    Picture {
        file: "join",
        title: "Load of the busiest node after all joined through one",
        x_label: "nodes",
        y_label: "requests it serves, over the mean of all nodes",
        log_x: true,
        legend: None,
        y_range: 0.0..25.0,
        curves: vec![
            curve("Kademlia, one after another", Geometry::Kademlia, false, BLUE),
            curve("Kademlia, in one burst", Geometry::Kademlia, true, BLUE),
            curve("Chord, one after another", Geometry::Chord, false, ORANGE),
            curve("Chord, in one burst", Geometry::Chord, true, ORANGE),
            curve("Pastry, one after another", Geometry::Pastry, false, GREEN),
            curve("Pastry, in one burst", Geometry::Pastry, true, GREEN),
        ],
    }
}

/// The dashed curves are those of the core before its defences: the same attacks at the commit 14e00c6, by
/// `kadlet-sim attack --nodes 1000 --records 50 --gets 250 --seed 1`. There, attackers had any
/// identifiers, but each colluder only one; now each has two.
fn liars() -> Picture {
    let attacks = [
        ("invent ids next to every target", Attack::Invent, BLUE, BEFORE[0]),
        ("name honest ids at their own addresses", Attack::Misname, ORANGE, BEFORE[1]),
        ("name only each other, 8 of the 32 nearest", Attack::ColludeSpread, GREEN, BEFORE[2]),
    ];
    let curve = |(name, attack, colour, before): (_, _, _, [f64; SHARES.len()])| {
        let now = SHARES.map(|share| {
            let network = Spec { lookups: 250, ..Spec::new(Scenario::Gets) };
            let attackers = network.nodes * share / 100;
            let attack = if share == 0 { Attack::None } else { attack };
            (f64::from(share), Run::Attack(AttackSpec { network, attack, attackers, records: 50 }))
        });
        let before = SHARES.into_iter().zip(before).map(|(share, right)| (f64::from(share), Run::Recorded(right)));
        [(false, now.to_vec()), (true, before.collect())].map(|(dashed, points)| Curve {
            name: if dashed { "the same, before the defences" } else { name },
            colour,
            dashed,
            points,
            figure: |_| 0.0,
        })
    };
    Picture {
        file: "liars",
        title: "Some of 1,000 nodes lie: gets of records that were put meanwhile (Kademlia)",
        x_label: "nodes that lie, %",
        y_label: "gets that find the right record, %",
        log_x: false,
        legend: Some((690, 385)),
        y_range: 0.0..105.0,
        curves: attacks.into_iter().flat_map(curve).collect(),
    }
}

/// A curve for each kind of lookup.
fn curves_of_lookups(points: &[u32], figure: fn(&Figures) -> f64, spec: impl Fn(u32) -> Spec) -> Vec<Curve> {
    let curve = |(name, geometry, lookup, colour)| {
        let point = |x: &u32| (f64::from(*x), Run::Scenario(Spec { geometry, lookup, ..spec(*x) }));
        let dashed = lookup == LookupMode::Recursive;
        Curve { name, colour, dashed, points: points.iter().map(point).collect(), figure }
    };
    LOOKUPS.map(curve).into()
}

impl Curve {
    /// Its points. Takes as many y values as there are points.
    fn measured(&self, values: &mut impl Iterator<Item = f64>) -> Vec<(f64, f64)> {
        self.points.iter().zip(values).map(|((x, _), y)| (*x, y)).collect()
    }
}

impl Picture {
    fn draw<B: DrawingBackend<ErrorType: 'static>>(
        &self,
        curves: &[Vec<(f64, f64)>],
        area: DrawingArea<B, Shift>,
    ) -> Result<(), Box<dyn Error>> {
        let points = || curves.iter().flatten();
        let (left, right) =
            points().fold((f64::INFINITY, 0.0_f64), |(left, right), (x, _)| (left.min(*x), right.max(*x)));
        // A point above the range must still be visible.
        let top = points().fold(self.y_range.end, |top, (_, y)| top.max(*y * 1.05));
        let marks = curves[0].iter().map(|(x, _)| *x).collect::<Vec<_>>();
        area.fill(&WHITE)?;
        if self.log_x {
            self.chart(curves, &area, (left..right).log_scale().with_key_points(marks), self.y_range.start..top)?;
        } else {
            self.chart(curves, &area, left..right, self.y_range.start..top)?;
        }
        area.present()?;
        Ok(())
    }

    fn chart<B: DrawingBackend<ErrorType: 'static>, X>(
        &self,
        curves: &[Vec<(f64, f64)>],
        area: &DrawingArea<B, Shift>,
        x: X,
        y: Range<f64>,
    ) -> Result<(), Box<dyn Error>>
    where
        X: AsRangedCoord<Value = f64, CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>>,
    {
        let text = |size| ("sans-serif", size);
        let mut builder = ChartBuilder::on(area);
        builder.caption(self.title, text(38)).margin(24).margin_right(60).x_label_area_size(90).y_label_area_size(110);
        let mut chart = builder.build_cartesian_2d(x, y)?;
        let mut mesh = chart.configure_mesh();
        mesh.x_desc(self.x_label).y_desc(self.y_label).label_style(text(28)).axis_desc_style(text(30));
        mesh.light_line_style(TRANSPARENT)
            .x_label_formatter(&|x| thousands(x.round() as u64))
            .y_label_formatter(&|y| format!("{y:.0}"))
            .draw()?;
        for (curve, points) in self.curves.iter().zip(curves) {
            let (colour, points) = (curve.colour, points.iter().copied());
            let line = match curve.dashed {
                true => chart.draw_series(DashedLineSeries::new(points.clone(), DASH, DASH, colour.stroke_width(4)))?,
                false => chart.draw_series(LineSeries::new(points.clone(), colour.stroke_width(4)))?,
            };
            let (dash, gap) = if curve.dashed { (DASH, DASH) } else { (LEGEND, 0) };
            line.label(curve.name).legend(move |(x, y)| {
                DashedPathElement::new([(x, y), (x + LEGEND as i32, y)], dash, gap, colour.stroke_width(4))
            });
            chart.draw_series(points.map(|point| Circle::new(point, 6, colour.filled())))?;
        }
        let mut legend = chart.configure_series_labels();
        legend
            .background_style(WHITE.mix(0.9))
            .border_style(BLACK.mix(0.3))
            .label_font(text(24))
            .margin(16)
            .legend_area_size(50);
        let position = match self.legend {
            Some((x, y)) => SeriesLabelPosition::Coordinate(x, y),
            None if self.log_x => SeriesLabelPosition::UpperLeft,
            None => SeriesLabelPosition::LowerLeft,
        };
        legend.position(position).draw()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_specification_is_valid() {
        for picture in pictures() {
            for (_, run) in picture.curves.iter().flat_map(|curve| &curve.points) {
                let checked = match run {
                    Run::Scenario(spec) => spec.check(),
                    Run::Attack(spec) => spec.check(),
                    Run::Recorded(_) => Ok(()),
                };
                assert_eq!(checked, Ok(()), "{}", picture.file);
            }
        }
    }
}
