//! The application: it publishes a value under the board's name again and again, and gets the values that the arguments
//! name.

use core::fmt::Write;
use core::time::Duration;

use board::host::line;
use board::identity::{Arguments, MAX_LISTED, Number};
use heapless::{String, Vec};
use kadlet::{Dht, Event, Instant, Key, Mode, Options, Outcome, QueryId, Record};

/// A command to the node.
#[derive(Clone, Copy)]
enum Command<'a> {
    Join,
    Publish,
    Get(&'a str),
}

pub(crate) struct Sensor<'a> {
    number: Number,
    arguments: &'a Arguments<'a>,
    options: Options,
    /// The name that the value is published under.
    name: String<16>,
    running: Option<(QueryId, Command<'a>)>,
    /// The commands of this round that have not begun.
    left: Vec<Command<'a>, { MAX_LISTED + 1 }>,
    /// When the next round begins, in microseconds.
    next: u64,
    joined: bool,
    samples: u32,
}

impl<'a> Sensor<'a> {
    pub(crate) fn new(number: Number, arguments: &'a Arguments<'a>) -> Self {
        let mut name = String::new();
        let _ = write!(name, "board-{}", number.0);
        let mode = if arguments.recursive { Mode::Recursive } else { Mode::Iterative };
        let options = Options { lifetime: Duration::from_secs(3_600), mode, ..Options::DEFAULT };
        Self { number, arguments, options, name, running: None, left: Vec::new(), next: 0, joined: false, samples: 0 }
    }

    /// Begins the next command if none is running. Returns when to call this again, in microseconds; `None` means after
    /// the next event.
    pub(crate) fn begin_next(
        &mut self,
        now: u64,
        node: &mut impl Dht<Address = core::net::SocketAddrV4>,
    ) -> Option<u64> {
        let rests = self.arguments.quiet != 0 && now / 1_000_000 >= u64::from(self.arguments.quiet);
        if self.joined && (self.arguments.every == 0 || rests) {
            return None;
        }
        if self.running.is_some() {
            return None;
        }
        if now >= self.next && self.left.is_empty() {
            self.next = now + 1_000_000 * u64::from(self.arguments.every.max(1));
            for name in self.arguments.get.iter().filter(|_| self.joined) {
                let _ = self.left.push(Command::Get(name));
            }
            let _ = self.left.push(if self.joined { Command::Publish } else { Command::Join });
        }
        let Some(command) = self.left.pop() else { return Some(self.next) };
        let time = Instant::from_micros(now);
        let query = match command {
            Command::Join => {
                let all: Vec<_, MAX_LISTED> = self.arguments.bootstrap.iter().collect();
                let joining = node.bootstrap(time, &all).map_err(|error| line!("not joined: {}", error));
                joining.map(|joining| joining.query)
            }
            Command::Publish => {
                let mut value = String::<64>::new();
                self.samples += 1;
                let _ = write!(value, "{} boot {} sample {}", self.name, self.arguments.boot, self.samples);
                let record = Record::plain(self.name.as_bytes(), value.as_bytes());
                node.put(time, &record, &self.options).map_err(|error| line!("not published: {}", error))
            }
            Command::Get(name) => node
                .get(time, Key::plain(name.as_bytes()), &self.options)
                .map_err(|error| line!("missed {}: {}", name, error)),
        };
        self.running = query.ok().map(|query| (query, command));
        Some(now)
    }

    /// Prints the results of commands.
    pub(crate) fn read_events(&mut self, node: &mut impl Dht) {
        while let Some(event) = node.poll_event() {
            let Event::Finished(result) = event else { continue };
            let Some((_, command)) = self.running.take_if(|running| running.0 == result.query) else { continue };
            match (command, result.outcome) {
                (Command::Join, Outcome::Joined { neighbours }) => {
                    self.joined = true;
                    // The first round begins as soon as the board has joined, so that boards that start together don't
                    // all send together.
                    self.next = 0;
                    line!("joined board-{} with {} neighbours", self.number.0, neighbours.len());
                }
                (Command::Publish, Outcome::Stored { holders, wanted, .. }) => {
                    line!("published {} sample {} at {} of {}", self.name, self.samples, holders.len(), wanted);
                }
                (Command::Get(name), Outcome::Value { record, holders, .. }) => {
                    let value = core::str::from_utf8(record.value).unwrap_or("(bytes)");
                    line!(
                        "got {} = {} from {}{}",
                        name,
                        value,
                        holders.len(),
                        if result.stats.relayed { ", relayed" } else { "" }
                    );
                }
                (Command::Get(name), Outcome::NotFound { .. }) => line!("missed {}: no node has it", name),
                (_, Outcome::Failed(failure)) => line!("failed: {}", failure),
                _ => line!("unexpected outcome"),
            }
        }
    }
}
