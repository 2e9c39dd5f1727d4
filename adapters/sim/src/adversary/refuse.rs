//! Holders that refuse records without a proof.

use kadlet::message::{ErrorCode, Request, Response};

use super::policy::{Adversary, Arrival, Reaction, request_in, respond};

/// Refuses every store with a claim that it can't prove. It is honest otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Refuse(
    /// What it claims: [`ErrorCode::Outdated`] or [`ErrorCode::Conflict`].
    pub ErrorCode,
);

impl Adversary for Refuse {
    fn handle(&mut self, arrival: &Arrival<'_>) -> Reaction {
        let Some((header, Request::Store { record, .. })) = request_in(arrival.datagram) else {
            return Reaction::Honest;
        };
        let detail = record.number().saturating_add(1);
        respond(arrival, &header, arrival.own.id, Response::Error { code: self.0, detail })
    }
}
