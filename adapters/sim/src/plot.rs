//! The curves: hops against size, success against dead nodes, cost against churn, load per node.

use core::error::Error;
use core::time::Duration;
use std::path::Path;

use epaint_default_fonts::UBUNTU_LIGHT;
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::progress::Progress;
use crate::scenario::{self, Figures, Lifetime, Scenario, Spec};

/// One picture.
struct Picture {
    file: &'static str,
    title: &'static str,
    across: &'static str,
    up: &'static str,
    curves: Vec<(&'static str, Vec<(f64, f64)>)>,
}

const SIZE: (u32, u32) = (800, 480);
const COLOURS: [RGBColor; 3] = [RGBColor(31, 119, 180), RGBColor(214, 96, 36), RGBColor(44, 140, 60)];

/// Draws all pictures into a directory, each as SVG and as PNG.
///
/// # Errors
///
/// What stands in the way of writing them.
pub fn draw(out: &Path, seed: u64, progress: &mut Progress) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(out)?;
    plotters::style::register_font("sans-serif", FontStyle::Normal, UBUNTU_LIGHT).map_err(|_| "the font can't be read")?;
    for picture in [hops, success, cost, load].map(|measure| measure(seed, progress)) {
        picture.draw(SVGBackend::new(&out.join(picture.file).with_extension("svg"), SIZE).into_drawing_area())?;
        picture.draw(BitMapBackend::new(&out.join(picture.file).with_extension("png"), SIZE).into_drawing_area())?;
    }
    Ok(())
}

fn measure(spec: &Spec, progress: &mut Progress) -> Figures {
    // All of them can be: see the test.
    scenario::run(spec, progress).unwrap_or_default()
}

fn hops(seed: u64, progress: &mut Progress) -> Picture {
    let sizes = [100, 300, 1_000, 3_000, 10_000, 30_000];
    let mut measured = Vec::new();
    for nodes in sizes {
        let figures = measure(&Spec { nodes, seed, ..Spec::new(Scenario::Static) }, progress);
        measured.push((f64::from(nodes).log10(), figures));
    }
    let curve = |value: fn(&Figures) -> f64| measured.iter().map(|(size, figures)| (*size, value(figures))).collect();
    let curves = vec![("depth", curve(|figures| figures.depth_mean)), ("requests", curve(|figures| figures.rpcs_mean))];
    Picture { file: "hops", title: "Lookups in ideal tables", across: "nodes (power of ten)", up: "mean", curves }
}

fn success(seed: u64, progress: &mut Progress) -> Picture {
    let mut curve = Vec::new();
    for dead in [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7] {
        let figures = measure(&Spec { nodes: 10_000, dead, seed, ..Spec::new(Scenario::Stale) }, progress);
        curve.push((dead * 100.0, figures.success * 100.0));
    }
    let curves = vec![("iterative", curve)];
    Picture { file: "success", title: "10,000 nodes, nothing repaired", across: "dead nodes, %", up: "lookups right, %", curves }
}

fn cost(seed: u64, progress: &mut Progress) -> Picture {
    let mut curves = Vec::new();
    for (name, lifetime) in [("exponential", Lifetime::Exponential), ("Weibull", Lifetime::Weibull)] {
        let mut curve = Vec::new();
        for mean in [200_u64, 400, 800, 1_600, 3_200, 6_400] {
            let session = Spec::median(lifetime, Duration::from_secs(mean));
            let spec = Spec { session, lifetime, seed, minutes: Some(15.0), nodes: 500, ..Spec::new(Scenario::Churn) };
            curve.push(((mean as f64 / 100.0).log2(), measure(&spec, progress).upkeep_bytes_per_node_second));
        }
        curves.push((name, curve));
    }
    Picture { file: "cost", title: "Upkeep under churn", across: "mean lifetime, 100 s × 2^x", up: "bytes a second a node", curves }
}

fn load(seed: u64, progress: &mut Progress) -> Picture {
    let mut curves = Vec::new();
    for (name, scenario) in [("ideal tables", Scenario::Static), ("joined one after another", Scenario::Join)] {
        let mut curve = Vec::new();
        for nodes in [100, 300, 1_000] {
            let figures = measure(&Spec { nodes, seed, lookups: 5_000, ..Spec::new(scenario) }, progress);
            curve.push((f64::from(nodes).log10(), figures.load_max_over_mean));
        }
        curves.push((name, curve));
    }
    Picture { file: "load", title: "The busiest node", across: "nodes (power of ten)", up: "requests over the mean", curves }
}

impl Picture {
    fn draw<B: DrawingBackend<ErrorType: 'static>>(&self, area: DrawingArea<B, Shift>) -> Result<(), Box<dyn Error>> {
        let points = || self.curves.iter().flat_map(|(_, curve)| curve);
        let (left, right) = points().fold((f64::INFINITY, 0.0_f64), |(left, right), (x, _)| (left.min(*x), right.max(*x)));
        let top = points().fold(0.0_f64, |top, (_, y)| top.max(*y)) * 1.05;
        area.fill(&WHITE)?;
        let mut builder = ChartBuilder::on(&area);
        builder.caption(self.title, ("sans-serif", 22)).margin(12).x_label_area_size(44).y_label_area_size(56);
        let mut chart = builder.build_cartesian_2d(left..right, 0.0..top)?;
        chart.configure_mesh().x_desc(self.across).y_desc(self.up).draw()?;
        for ((name, curve), colour) in self.curves.iter().zip(COLOURS) {
            let line = chart.draw_series(LineSeries::new(curve.iter().copied(), colour.stroke_width(2)))?;
            line.label(*name).legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        }
        chart.configure_series_labels().background_style(WHITE).border_style(BLACK).draw()?;
        area.present()?;
        Ok(())
    }
}
