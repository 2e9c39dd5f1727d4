//! `ctl`: inspects a node on this machine, and tells it things.

use serde_json::Value;

use crate::access::call;
use crate::args::{Common, CtlCommand};
use crate::control::{Local, Request};
use crate::error::Error;
use crate::get;
use crate::output::{COUNTERS, Output, cell, note, rows, table};
use crate::put;

pub(crate) fn run(command: &CtlCommand, common: &Common, out: &Output) -> Result<(), Error> {
    let (verbose, limit) = (common.verbose, common.timeout);
    let call = call(limit, false);
    match command {
        CtlCommand::Status => Local::only(common)?.status().show(verbose, out, status),
        CtlCommand::Peers => {
            let columns = [("STATE", "state"), ("ADDRESS", "address"), ("RTT MS", "rtt_ms"), ("ID", "id")];
            list(&mut Local::only(common)?, &Request::Peers {}, "peers", &columns, common, out)
        }
        CtlCommand::Records => {
            let columns = [
                ("KIND", "kind"),
                ("BYTES", "bytes"),
                ("LIFETIME S", "lifetime_seconds"),
                ("PUBLISHED", "published"),
                ("SEQUENCE", "sequence"),
                ("ID", "id"),
            ];
            list(&mut Local::only(common)?, &Request::Records {}, "records", &columns, common, out)
        }
        CtlCommand::Publish(args) => put::publish(args, &mut Local::only(common)?, common, out),
        CtlCommand::Unpublish(args) => {
            let key = get::key(args)?.into();
            Local::only(common)?.ask(&Request::Unpublish { key })?.show(verbose, out, |_, _| Ok(()))
        }
        CtlCommand::Get(args) => {
            let key = get::key(args)?;
            let done = Local::only(common)?.ask_within(&put::get_request(key, call), limit)?;
            done.show(verbose, out, get::value)
        }
        CtlCommand::Find(args) => {
            let request = Request::Find { id: get::target(args).to_string(), call };
            let done = Local::only(common)?.ask_within(&request, limit)?;
            done.show(verbose || !out.json, out, get::nearest)
        }
        CtlCommand::Shutdown => {
            let mut local = Local::only(common)?;
            let done = local.ask(&Request::Shutdown {})?;
            local.ended(limit)?;
            done.show(verbose, out, |object, _| {
                note(format!("the node at {} has ended", cell(object, "address")));
                Ok(())
            })
        }
    }
}

/// Prints a list of objects as a table.
fn list(
    local: &mut Local,
    request: &Request,
    name: &str,
    columns: &[(&str, &str)],
    common: &Common,
    out: &Output,
) -> Result<(), Error> {
    local.ask(request)?.show(common.verbose, out, |object, out| {
        let header = columns.iter().map(|(title, _)| (*title).to_owned()).collect();
        let line = |row| columns.iter().map(|(_, name)| short(row, name)).collect();
        out.bytes(table(&[header].into_iter().chain(rows(object, name).map(line)).collect::<Vec<_>>()).as_bytes())
    })
}

/// A cell, with two decimal places at most.
fn short(row: &Value, name: &str) -> String {
    match &row[name] {
        Value::Number(number) if number.is_f64() => format!("{:.2}", number.as_f64().unwrap_or_default()),
        _ => cell(row, name),
    }
}

/// Prints what a node is, and those of its counters that are not 0.
fn status(object: &Value, out: &Output) -> Result<(), Error> {
    const FACTS: [&str; 12] = [
        "id",
        "address",
        "network",
        "geometry",
        "version",
        "uptime_seconds",
        "contacts",
        "verified_contacts",
        "records",
        "record_bytes",
        "published_records",
        "operations",
    ];
    let counters = COUNTERS.iter().map(|(name, ..)| *name).filter(|name| object[name] != 0);
    let lines: Vec<_> =
        FACTS.into_iter().chain(counters).map(|name| vec![name.to_owned(), cell(object, name)]).collect();
    out.bytes(table(&lines).as_bytes())
}
