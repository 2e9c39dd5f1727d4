//! Signed records: which signatures are accepted, which sequence number wins, and compare-and-swap.

use core::net::SocketAddrV4;
use core::time::Duration;

use kadlet::message::{Contacts, ErrorCode, Request, Response};
use kadlet::record::Proof;
use kadlet::{
    Config, Dht, Failure, GetError, Key, Kind, Options, Outcome, PutError, QueryResult, Record, Store, ed25519,
};

use crate::by_hand::{NOW, Peer, at, deliver, id, node4, request_of, response_of, sent, transaction_of};
use crate::net::{Net, config};
use crate::once;
use crate::records::{by_rank, held};

const SECRET: [u8; 32] = [7; 32];
const SALT: &[u8] = b"profile";
const HOUR: Duration = Duration::from_secs(3_600);

fn verifying() -> Config {
    Config { verify: Some(ed25519::verify), ..config() }
}

fn key() -> Key {
    Key::signed(&ed25519::public_key(&SECRET), SALT)
}

/// Signs a value with its sequence number, and passes the record to `lend`.
fn signed<T>(sequence: u64, value: &[u8], lend: impl FnOnce(&Record<'_>) -> T) -> T {
    let (public_key, signature) = (ed25519::public_key(&SECRET), ed25519::sign(&SECRET, 0, SALT, sequence, value));
    lend(&Record {
        value,
        proof: Proof::Signed { public_key: &public_key, salt: SALT, sequence, signature: &signature },
    })
}

/// Does the same with a signature of another value.
fn forged<T>(value: &[u8], lend: impl FnOnce(&Record<'_>) -> T) -> T {
    signed(9, b"something else", |record| lend(&Record { value, ..*record }))
}

fn put<T>(
    net: &mut Net,
    at: u16,
    sequence: u64,
    value: &[u8],
    options: &Options,
    read: impl Fn(&QueryResult<'_, u16>) -> T,
) -> T {
    let now = net.now;
    let query = signed(sequence, value, |record| net.node(at).put(now, record, options)).unwrap();
    net.wait(at, query, read)
}

fn is_stored(result: &QueryResult<'_, u16>) {
    assert!(
        matches!(&result.outcome, Outcome::Stored { holders, wanted, .. } if holders.len() >= *wanted),
        "{:?}",
        result.outcome
    );
}

fn get(net: &mut Net, at: u16) -> Option<(u64, Vec<u8>)> {
    let now = net.now;
    let query = net.node(at).get(now, key(), &Options::default()).unwrap();
    net.wait(at, query, |result| match &result.outcome {
        Outcome::Value { record: Record { value, proof: Proof::Signed { sequence, .. } }, .. } => {
            Some((*sequence, value.to_vec()))
        }
        Outcome::NotFound { .. } => None,
        other => panic!("{other:?}"),
    })
}

#[test]
fn every_node_gets_a_signed_record_with_its_proof() {
    let mut net = Net::joined(60, 16, verifying());
    put(&mut net, 2, 1, b"one", &once(), is_stored);
    assert_eq!(get(&mut net, 9), Some((1, b"one".to_vec())));
    put(&mut net, 5, 2, &[2; 900], &once(), is_stored);
    for at in 1..=16 {
        assert_eq!(get(&mut net, at), Some((2, vec![2; 900])));
    }
}

#[test]
fn a_lower_sequence_number_never_replaces_a_higher_one() {
    let mut net = Net::joined(61, 16, verifying());
    put(&mut net, 2, 5, b"five", &once(), is_stored);
    let outsider = by_rank(&net, &key())[12];
    put(&mut net, outsider, 4, b"four", &Options::default(), |result| {
        assert!(matches!(result.outcome, Outcome::Conflict { held: 5, .. }), "{:?}", result.outcome);
    });
    assert_eq!(
        get(&mut net, outsider),
        Some((5, b"five".to_vec())),
        "the publisher doesn't keep the version that lost either"
    );
}

#[test]
fn compare_and_swap_replaces_only_the_sequence_number_that_it_names() {
    let mut net = Net::joined(62, 16, verifying());
    let ranked = by_rank(&net, &key());
    let swap = |sequence| Options { compare: Some(sequence), ..once() };
    put(&mut net, ranked[12], 1, b"one", &swap(0), is_stored);
    put(&mut net, ranked[13], 2, b"two", &swap(1), is_stored);
    put(&mut net, ranked[14], 3, b"three", &swap(1), |result| match &result.outcome {
        Outcome::Conflict { holders, held } => assert_eq!((holders.len(), *held), (0, 2)),
        other => panic!("{other:?}"),
    });
    assert_eq!(get(&mut net, ranked[14]), Some((2, b"two".to_vec())));
}

#[test]
fn a_compare_and_swap_refused_by_the_own_store_does_not_win_later() {
    let mut net = Net::joined(63, 16, verifying());
    let ranked = by_rank(&net, &key());
    put(&mut net, ranked[12], 2, b"two", &once(), is_stored);
    let (options, now) = (Options { compare: Some(1), ..Options::default() }, net.now);
    let refused = signed(3, b"three", |record| net.node(ranked[3]).put(now, record, &options));
    assert_eq!(refused, Err(PutError::Conflict(2)));
    net.run(HOUR);
    assert_eq!(get(&mut net, ranked[12]), Some((2, b"two".to_vec())));
}

#[test]
fn of_two_sequence_numbers_get_returns_the_higher_and_all_holders_converge_to_it() {
    let mut net = Net::joined(64, 20, verifying());
    let (ranked, now) = (by_rank(&net, &key()), net.now);
    for (nth, holder) in ranked.iter().take(8).enumerate() {
        let (sequence, value) = if nth % 2 == 0 { (1, b"old") } else { (2, b"new") };
        signed(sequence, value, |record| net.node(*holder).restore_record(now, record, HOUR, false)).unwrap();
    }
    assert_eq!(get(&mut net, ranked[15]), Some((2, b"new".to_vec())));
    net.run(Duration::from_secs(1));
    let holders = held(&mut net, &key());
    assert!(holders.len() >= 8 && holders.iter().all(|(_, value)| value == b"new"), "{holders:?}");
}

#[test]
fn values_of_the_same_sequence_number_converge_to_the_higher_hash() {
    let mut net = Net::joined(65, 20, verifying());
    let (ranked, now) = (by_rank(&net, &key()), net.now);
    for (nth, holder) in ranked.iter().take(8).enumerate() {
        let value = if nth % 2 == 0 { b"this" } else { b"that" };
        signed(1, value, |record| net.node(*holder).restore_record(now, record, HOUR, false)).unwrap();
    }
    let higher =
        [&b"this"[..], b"that"].into_iter().max_by_key(|value| Record::immutable(value).version().digest).unwrap();
    assert_eq!(get(&mut net, ranked[15]), Some((1, higher.to_vec())));
    net.run(Duration::from_secs(1));
    assert!(held(&mut net, &key()).iter().all(|(_, value)| value == higher));
}

#[test]
fn put_store_and_get_refuse_a_wrong_signature() {
    let mut node = node4(verifying());
    let liar = Peer::new(id(&[0x80]), at("192.0.2.1:4000"));
    liar.meet(&mut *node, NOW);
    assert_eq!(forged(b"value", |record| node.put(NOW, record, &Options::default())), Err(PutError::Signature));
    assert!(node.store().is_empty());

    let token = liar.token(&mut *node, NOW);
    let response = forged(b"value", |record| {
        let store = Request::Store { record: *record, lifetime: 60, compare: None, handover: false };
        liar.ask(&mut *node, NOW, store, Some(token))
    });
    assert!(matches!(response_of::<SocketAddrV4>(&response), Response::Error { code: ErrorCode::Invalid, .. }));
    assert!(node.store().is_empty());
    assert_eq!(node.stats().refused_stores, 1);

    let query = node.get(NOW, key(), &Options::default()).unwrap();
    let requests = sent(&mut *node, NOW);
    let request =
        requests.iter().find(|(_, bytes)| matches!(request_of::<SocketAddrV4>(bytes), Request::FindValue { .. }));
    let transaction = transaction_of::<SocketAddrV4>(&request.unwrap().1);
    let response = forged(b"value", |record| {
        liar.response(transaction, Response::Value { record: *record, lifetime: 60, contacts: Contacts::EMPTY })
    });
    deliver(&mut *node, NOW, liar.contact.address, &response);
    let result = node.take_result(query).unwrap();
    assert!(matches!(result.outcome, Outcome::NotFound { .. }), "{:?}", result.outcome);
    assert_eq!(result.stats.refusal, Some(ErrorCode::Invalid));
}

#[test]
fn without_a_verifier_put_get_and_store_of_signed_records_are_unsupported() {
    let mut net = Net::<crate::net::Mote>::grown(66, [verifying(), config(), config()]);
    let now = net.now;
    assert_eq!(
        signed(1, b"one", |record| net.node(2).put(now, record, &once())),
        Err(PutError::Unsupported(Kind::Signed))
    );
    assert_eq!(net.node(2).get(now, key(), &once()), Err(GetError::Unsupported(Kind::Signed)));
    put(&mut net, 1, 1, b"one", &once(), |result| {
        assert!(
            matches!(result.outcome, Outcome::Failed(Failure::Refused(ErrorCode::Unsupported, 0))),
            "{:?}",
            result.outcome
        );
    });
}
