//! The body of the fuzz target `sealed`: a node of a sealed network takes what was sealed with its key, and nothing
//! else.

#[path = "input.rs"]
#[allow(clippy::duplicate_mod, dead_code, reason = "each target's body brings what it uses")]
mod input;

use input::Input;
use kadlet::wire::sealed::{NetworkKey, open, seal};
use kadlet::wire::{Kadlet, MAX_DATAGRAM, SEAL};
use kadlet::{Config, Dht, FixedStore, Id, Instant, Kademlia, Node};

const KEY: NetworkKey = NetworkKey::new([7; 32]);
const NOW: Instant = Instant::from_secs(1_000);

type Small = Node<Kademlia<u16, 64, 8>, FixedStore<8, 1024>, 1, 24, 1, 8, 8, 2>;

/// What becomes of a datagram before it arrives.
#[derive(Clone, Copy)]
enum Fate {
    /// It arrives as it is.
    Whole,
    /// Its message was never sealed.
    Bare,
    /// One byte is changed.
    Changed,
    /// Bytes are cut off at its end.
    Cut,
    /// It was sealed with another key.
    OtherKey,
}

/// Gives a node datagrams with messages from `data`: the fate of each, its length, then its bytes.
///
/// # Panics
///
/// If a property doesn't hold.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let config = Config { plain: true, bind_ids: false, seal: Some(KEY), ..Config::default() };
    let mut node = Small::new(NOW, config, Id::from_bytes([9; 20]), [42; 32]).unwrap();
    let mut twin = Small::new(NOW, Config { seal: None, ..config }, Id::from_bytes([9; 20]), [42; 32]).unwrap();
    let (mut number, mut numbers) = (0, Vec::new());
    while !input.is_empty() {
        let fate = input.pick(&[Fate::Whole, Fate::Bare, Fate::Changed, Fate::Cut, Fate::OtherKey]);
        let (at, by) = (usize::from(input.byte()), input.byte().max(1));
        let len = usize::from(u16::from_be_bytes([input.byte() % 5, input.byte()]));
        let message = input.bytes(len);
        number += 1;

        let mut buf = [0; MAX_DATAGRAM + SEAL];
        buf[..message.len()].copy_from_slice(message);
        let key = if matches!(fate, Fate::OtherKey) { NetworkKey::new([8; 32]) } else { KEY };
        let sealed = seal::<Kadlet>(&key, number, message.len(), &mut buf);
        assert_eq!(sealed.is_some(), message.len() >= 33);
        let Some(len) = sealed else { continue };
        let mut datagram = buf[..len].to_vec();
        match fate {
            Fate::Whole | Fate::OtherKey => {}
            Fate::Bare => datagram = message.to_vec(),
            Fate::Changed => datagram[at % len] ^= by,
            Fate::Cut => datagram.truncate(len.saturating_sub(usize::from(by))),
        }
        let mut room = [0; MAX_DATAGRAM];
        let opened = open::<Kadlet>(&KEY, &datagram, &mut room);
        assert_eq!(opened, matches!(fate, Fate::Whole).then_some(message));

        let (before, twin_before) = (*node.stats(), *twin.stats());
        let mut out = [0; MAX_DATAGRAM];
        let sent = node.handle_datagram(NOW, 5, &datagram, &mut out);
        assert_eq!(node.stats().unopened - before.unopened, u64::from(opened.is_none()));
        if opened.is_none() {
            assert!(sent.is_none());
            continue;
        }
        let mut bare = [0; MAX_DATAGRAM];
        let twin_sent = twin.handle_datagram(NOW, 5, message, &mut bare);
        assert_eq!(node.stats().malformed - before.malformed, twin.stats().malformed - twin_before.malformed);
        // More bytes came in, so more may go out.
        assert!(sent.is_some() >= twin_sent.is_some());
        if let Some(sent) = sent {
            assert!(sent.len <= 3 * datagram.len());
            numbers.push(out[sent.len - SEAL..][..8].to_vec());
            assert!(open::<Kadlet>(&KEY, &out[..sent.len], &mut room).is_some());
        }
    }
    numbers.sort();
    assert!(numbers.windows(2).all(|two| two[0] != two[1]), "no number is used twice");
}
