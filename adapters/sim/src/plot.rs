//! The curves: hops against size, success against dead nodes, cost against churn, load per node.

use core::error::Error;
use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::path::Path;
use std::sync::Mutex;

use epaint_default_fonts::UBUNTU_LIGHT;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;

use crate::gates::grouped;
use crate::progress::Progress;
use crate::scenario::{self, Figures, Lifetime, Scenario, Spec};

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
    /// What goes across, and the history.
    points: Vec<(f64, Spec)>,
    figure: fn(&Figures) -> f64,
}

/// Twice the size at which a README shows them, so that they are sharp there.
const SIZE: (u32, u32) = (1_400, 840);
const COLOURS: [RGBColor; 3] = [RGBColor(31, 119, 180), RGBColor(214, 96, 36), RGBColor(44, 140, 60)];

/// Draws all pictures into a directory, each as SVG and as PNG. The histories are played on so many threads.
///
/// # Errors
///
/// What stands in the way of writing them.
pub fn draw(out: &Path, seed: u64, threads: usize, progress: Progress) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(out)?;
    plotters::style::register_font("sans-serif", FontStyle::Normal, UBUNTU_LIGHT).map_err(|_| "the font can't be read")?;
    let pictures = [hops(), success(), cost(), load()];
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
    let specs = || pictures.iter().flat_map(|picture| &picture.curves).flat_map(|curve| &curve.points).map(|(_, spec)| spec);
    let specs: Vec<Spec> = specs().map(|spec| Spec { seed, ..spec.clone() }).collect();
    progress.begin(format!("{} histories", specs.len()));
    let total: f64 = specs.iter().map(effort).sum();
    let next = AtomicUsize::new(0);
    let shared = Mutex::new((progress, 0.0, vec![Figures::default(); specs.len()]));
    let work = || {
        while let Some((index, spec)) = Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|index| Some((index, specs.get(index)?))) {
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
    let upkeep = match spec.scenario {
        Scenario::Churn => spec.measured().as_secs_f64() / 60.0 * (0.05 + 80.0 / spec.session.as_secs_f64()),
        Scenario::Join => 1.0 + nodes / 3_000.0,
        _ => 0.0,
    };
    nodes * (0.1 + upkeep) + f64::from(spec.lookups) * 0.15
}

fn hops() -> Picture {
    let points = || [100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600];
    let spec = |nodes| (f64::from(nodes), Spec { nodes, ..Spec::new(Scenario::Static) });
    let curve = |name, figure| Curve { name, points: points().map(spec).into(), figure };
    Picture {
        file: "hops",
        title: "A lookup's length in ideal tables (k = 8, alpha = 3)",
        across: "nodes",
        up: "mean of 1,000 lookups",
        doubles: true,
        range: 0.0..16.0,
        curves: vec![curve("requests", |figures| figures.rpcs_mean), curve("hops: depth of the closest", |figures| figures.depth_mean)],
    }
}

fn success() -> Picture {
    let spec = |dead: u32| {
        let spec = Spec { nodes: 5_000, lookups: 2_000, dead: f64::from(dead) / 100.0, ..Spec::new(Scenario::Stale) };
        (f64::from(dead), spec)
    };
    let points = [0, 10, 20, 30, 40, 50, 60, 70, 80].map(spec).into();
    Picture {
        file: "success",
        title: "5,000 nodes, of which a part dies at once, nothing repaired yet",
        across: "dead nodes, %",
        up: "lookups that end at the right node, %",
        doubles: false,
        range: 0.0..105.0,
        curves: vec![Curve { name: "iterative", points, figure: |figures| figures.success * 100.0 }],
    }
}

fn cost() -> Picture {
    let curve = |name, lifetime| {
        let spec = |mean: u64| {
            let session = Spec::median(lifetime, Duration::from_secs(mean));
            (mean as f64, Spec { session, lifetime, minutes: Some(10.0), nodes: 500, ..Spec::new(Scenario::Churn) })
        };
        let points = [200, 400, 800, 1_600, 3_200, 6_400].map(spec).into();
        Curve { name, points, figure: |figures| figures.upkeep_bytes_per_node_second }
    };
    Picture {
        file: "cost",
        title: "Upkeep of 500 nodes that come and go, without records",
        across: "mean lifetime of a node, seconds",
        up: "bytes sent a second by each node",
        doubles: true,
        range: 0.0..600.0,
        curves: vec![curve("exponential lifetimes", Lifetime::Exponential), curve("Weibull lifetimes", Lifetime::Weibull)],
    }
}

fn load() -> Picture {
    let curve = |name, scenario, burst| {
        let spec = |nodes| (f64::from(nodes), Spec { nodes, burst, lookups: 5_000, ..Spec::new(scenario) });
        let points = [125, 250, 500, 1_000, 2_000].map(spec).into();
        Curve { name, points, figure: |figures| figures.load_max_over_mean }
    };
    Picture {
        file: "load",
        title: "The busiest node",
        across: "nodes",
        up: "requests it gets, over the mean of all nodes",
        doubles: true,
        range: 0.0..25.0,
        curves: vec![
            curve("joined through one, one after another", Scenario::Join, false),
            curve("joined through one, in one burst", Scenario::Join, true),
            curve("ideal tables", Scenario::Static, false),
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
        let (left, right) = points().fold((f64::INFINITY, 0.0_f64), |(left, right), (x, _)| (left.min(*x), right.max(*x)));
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
        for ((curve, points), colour) in self.curves.iter().zip(curves).zip(COLOURS) {
            let line = chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(4)))?;
            line.label(curve.name).legend(move |(x, y)| PathElement::new([(x, y), (x + 36, y)], colour.stroke_width(4)));
            chart.draw_series(points.iter().map(|point| Circle::new(*point, 7, colour.filled())))?;
        }
        let mut legend = chart.configure_series_labels();
        legend.background_style(WHITE.mix(0.9)).border_style(BLACK.mix(0.3)).label_font(text(28)).margin(16).legend_area_size(50);
        legend.position(if self.doubles { SeriesLabelPosition::UpperLeft } else { SeriesLabelPosition::LowerLeft }).draw()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_history_is_possible() {
        for picture in [hops(), success(), cost(), load()] {
            for (_, spec) in picture.curves.iter().flat_map(|curve| &curve.points) {
                assert_eq!(spec.check(), Ok(()), "{}", picture.file);
            }
        }
    }
}
