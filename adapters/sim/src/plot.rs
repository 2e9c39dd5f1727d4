//! The curves: hops and traffic against size, success against dead nodes, cost against churn, load per node. Each geometry has a colour;
//! iterative lookups are drawn through, recursive ones dashed.

use core::error::Error;
use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::path::Path;
use std::sync::Mutex;

use epaint_default_fonts::UBUNTU_LIGHT;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::element::DashedPathElement;
use plotters::prelude::*;

use crate::gates::grouped;
use crate::progress::Progress;
use crate::scenario::{self, Figures, Geometry, Lifetime, Mode, Scenario, Spec};

/// One picture.
struct Picture {
    file: &'static str,
    title: &'static str,
    across: &'static str,
    up: &'static str,
    /// Whether what goes across doubles from point to point, or goes on evenly.
    doubles: bool,
    /// The ends of the axis that goes up.
    range: Range<f64>,
    curves: Vec<Curve>,
}

/// A figure of several histories.
struct Curve {
    name: &'static str,
    colour: RGBColor,
    dashed: bool,
    /// What goes across, and the history.
    points: Vec<(f64, Spec)>,
    figure: fn(&Figures) -> f64,
}

/// Twice the size at which a README shows them, so that they are sharp there.
const SIZE: (u32, u32) = (1_400, 840);
/// Of a dashed line, and of a line in the legend.
const DASH: u32 = 12;
const LEGEND: u32 = 36;
const BLUE: RGBColor = RGBColor(31, 119, 180);
const ORANGE: RGBColor = RGBColor(214, 96, 36);
const GREEN: RGBColor = RGBColor(44, 140, 60);
/// Each kind of lookup: its name, geometry, mode and colour.
const LOOKUPS: [(&str, Geometry, Mode, RGBColor); 6] = [
    ("Kademlia, iterative", Geometry::Kademlia, Mode::Iterative, BLUE),
    ("Kademlia, recursive", Geometry::Kademlia, Mode::Recursive, BLUE),
    ("Chord, iterative", Geometry::Chord, Mode::Iterative, ORANGE),
    ("Chord, recursive", Geometry::Chord, Mode::Recursive, ORANGE),
    ("Pastry, iterative", Geometry::Pastry, Mode::Iterative, GREEN),
    ("Pastry, recursive", Geometry::Pastry, Mode::Recursive, GREEN),
];

/// Draws all pictures into a directory, each as SVG and as PNG. The histories are played on so many threads.
///
/// # Errors
///
/// What stands in the way of writing them.
pub fn draw(out: &Path, seed: u64, threads: usize, progress: Progress) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(out)?;
    plotters::style::register_font("sans-serif", FontStyle::Normal, UBUNTU_LIGHT)
        .map_err(|_| "the font can't be read")?;
    let pictures = pictures();
    let figures = measure(&pictures, seed, threads, progress);
    let mut figures = figures.iter();
    for picture in pictures {
        let curves: Vec<_> = picture.curves.iter().map(|curve| curve.measured(&mut figures)).collect();
        let [svg, png] = ["svg", "png"].map(|kind| out.join(picture.file).with_extension(kind));
        picture.draw(&curves, SVGBackend::new(&svg, SIZE).into_drawing_area())?;
        picture.draw(&curves, BitMapBackend::new(&png, SIZE).into_drawing_area())?;
    }
    Ok(())
}

/// The figures of all histories, in order.
fn measure(pictures: &[Picture], seed: u64, threads: usize, progress: Progress) -> Vec<Figures> {
    let specs =
        || pictures.iter().flat_map(|picture| &picture.curves).flat_map(|curve| &curve.points).map(|(_, spec)| spec);
    let specs: Vec<Spec> = specs().map(|spec| Spec { seed, ..spec.clone() }).collect();
    progress.begin(format!("{} histories", specs.len()));
    let total: f64 = specs.iter().map(effort).sum();
    let next = AtomicUsize::new(0);
    let shared = Mutex::new((progress, 0.0, vec![Figures::default(); specs.len()]));
    let work = || {
        while let Some((index, spec)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|index| Some((index, specs.get(index)?)))
        {
            // All of them can be: see the test.
            let measured = scenario::run(spec, &mut Progress::silent()).unwrap_or_default();
            if let Ok(mut shared) = shared.lock() {
                let (progress, done, figures) = &mut *shared;
                figures[index] = measured;
                *done += effort(spec);
                progress.at(*done / total);
            }
        }
    };
    std::thread::scope(|scope| (0..threads.max(1)).for_each(|_| drop(scope.spawn(work))));
    let Ok((mut progress, _, figures)) = shared.into_inner() else {
        return Vec::new();
    };
    progress.end();
    figures
}

/// About how long a history takes, in milliseconds, for the time left.
fn effort(spec: &Spec) -> f64 {
    let nodes = f64::from(spec.nodes);
    let maintenance = match spec.scenario {
        Scenario::Churn => spec.measured().as_secs_f64() / 60.0 * (0.05 + 80.0 / spec.session.as_secs_f64()),
        Scenario::Join => 1.0 + nodes / 3_000.0,
        _ => 0.0,
    };
    nodes * (0.1 + maintenance) + f64::from(spec.lookups) * 0.15
}

fn pictures() -> [Picture; 6] {
    [hops(), traffic(), success(), cost(), load(), join()]
}

/// A curve for each kind of lookup.
fn of_lookups(points: &[u32], figure: fn(&Figures) -> f64, spec: impl Fn(u32) -> Spec) -> Vec<Curve> {
    let curve = |(name, geometry, lookup, colour)| {
        let point = |at: &u32| (f64::from(*at), Spec { geometry, lookup, ..spec(*at) });
        Curve { name, colour, dashed: lookup == Mode::Recursive, points: points.iter().map(point).collect(), figure }
    };
    LOOKUPS.map(curve).into()
}

const SIZES: [u32; 8] = [100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800];

fn hops() -> Picture {
    Picture {
        file: "hops",
        title: "A lookup's length in ideal tables (k = 8, alpha = 3)",
        across: "nodes",
        up: "steps to the closest, mean of 1,000 lookups",
        doubles: true,
        range: 0.0..9.0,
        curves: of_lookups(&SIZES, |figures| figures.depth_mean, |nodes| Spec { nodes, ..Spec::new(Scenario::Static) }),
    }
}

fn traffic() -> Picture {
    Picture {
        file: "traffic",
        title: "What a get costs in ideal tables (k = 8, alpha = 3)",
        across: "nodes",
        up: "datagrams of all nodes, mean of 1,000 gets",
        doubles: true,
        range: 0.0..60.0,
        curves: of_lookups(
            &SIZES,
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
        title: "5,000 nodes, of which a part dies at once, nothing repaired yet",
        across: "dead nodes, %",
        up: "lookups that end at the right node, %",
        doubles: false,
        range: 0.0..105.0,
        curves: of_lookups(&[0, 10, 20, 30, 40, 50, 60, 70, 80], |figures| figures.success * 100.0, spec),
    }
}

fn cost() -> Picture {
    let curve = |name, geometry, lifetime, colour| {
        let spec = |mean: u64| {
            let session = Spec::median(lifetime, Duration::from_secs(mean));
            (
                mean as f64,
                Spec { geometry, session, lifetime, minutes: Some(10.0), nodes: 500, ..Spec::new(Scenario::Churn) },
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
        title: "Upkeep of 500 nodes that come and go, without records",
        across: "mean lifetime of a node, seconds",
        up: "bytes sent a second by each node",
        doubles: true,
        range: 0.0..600.0,
        curves: vec![
            curve("Kademlia", Geometry::Kademlia, Lifetime::Exponential, BLUE),
            curve("Kademlia, Weibull lifetimes", Geometry::Kademlia, Lifetime::Weibull, BLUE),
            curve("Chord", Geometry::Chord, Lifetime::Exponential, ORANGE),
            curve("Pastry", Geometry::Pastry, Lifetime::Exponential, GREEN),
        ],
    }
}

/// The sizes at which nodes join.
const SMALL: [u32; 5] = [125, 250, 500, 1_000, 2_000];

fn load() -> Picture {
    Picture {
        file: "load",
        title: "The busiest node in ideal tables",
        across: "nodes",
        up: "requests it gets, over the mean of all nodes",
        doubles: true,
        range: 0.0..10.0,
        curves: of_lookups(
            &SMALL,
            |figures| figures.load_max_over_mean,
            |nodes| Spec { nodes, lookups: 5_000, ..Spec::new(Scenario::Static) },
        ),
    }
}

fn join() -> Picture {
    let curve = |name, geometry, burst, colour| {
        let spec =
            |nodes| (f64::from(nodes), Spec { nodes, geometry, burst, lookups: 5_000, ..Spec::new(Scenario::Join) });
        Curve {
            name,
            colour,
            dashed: burst,
            points: SMALL.map(spec).into(),
            figure: |figures| figures.load_max_over_mean,
        }
    };
    Picture {
        file: "join",
        title: "The busiest node of a network that joined through one",
        across: "nodes",
        up: "requests it gets, over the mean of all nodes",
        doubles: true,
        range: 0.0..25.0,
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

impl Curve {
    /// Its points, of which it takes the figures.
    fn measured<'a>(&self, figures: &mut impl Iterator<Item = &'a Figures>) -> Vec<(f64, f64)> {
        self.points.iter().zip(figures).map(|((across, _), figures)| (*across, (self.figure)(figures))).collect()
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
        // What rises above the range must be seen all the same.
        let top = points().fold(self.range.end, |top, (_, y)| top.max(*y * 1.05));
        let marks = curves[0].iter().map(|(across, _)| *across).collect::<Vec<_>>();
        area.fill(&WHITE)?;
        if self.doubles {
            self.chart(curves, &area, (left..right).log_scale().with_key_points(marks), self.range.start..top)?;
        } else {
            self.chart(curves, &area, left..right, self.range.start..top)?;
        }
        area.present()?;
        Ok(())
    }

    fn chart<B: DrawingBackend<ErrorType: 'static>, X>(
        &self,
        curves: &[Vec<(f64, f64)>],
        area: &DrawingArea<B, Shift>,
        across: X,
        up: Range<f64>,
    ) -> Result<(), Box<dyn Error>>
    where
        X: AsRangedCoord<Value = f64, CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>>,
    {
        let text = |size| ("sans-serif", size);
        let mut builder = ChartBuilder::on(area);
        builder.caption(self.title, text(38)).margin(24).margin_right(60).x_label_area_size(90).y_label_area_size(110);
        let mut chart = builder.build_cartesian_2d(across, up)?;
        let mut mesh = chart.configure_mesh();
        mesh.x_desc(self.across).y_desc(self.up).label_style(text(28)).axis_desc_style(text(30));
        mesh.light_line_style(TRANSPARENT)
            .x_label_formatter(&|x| grouped(x.round() as u64))
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
        legend
            .position(if self.doubles { SeriesLabelPosition::UpperLeft } else { SeriesLabelPosition::LowerLeft })
            .draw()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_history_is_possible() {
        for picture in pictures() {
            for (_, spec) in picture.curves.iter().flat_map(|curve| &curve.points) {
                assert_eq!(spec.check(), Ok(()), "{}", picture.file);
            }
        }
    }
}
