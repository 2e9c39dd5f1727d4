//! Which host has which address.

use std::collections::{HashMap, HashSet};

use kadlet::address::Prefix;
use kadlet::{Address, Contact, Id};

use crate::address::HostAddress;

/// The addresses of all hosts.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    /// The address of each host, by its number.
    addresses: Vec<HostAddress>,
    /// The hosts whose address is not the one that follows from their number.
    placed: HashMap<HostAddress, u32>,
    /// The hosts that receive at all addresses in a prefix at which no other host is.
    owners: HashMap<Prefix, u32>,
    /// The nodes that were at an address and are there no more.
    former: HashSet<Contact<HostAddress>>,
}

impl Directory {
    /// Gives the next host an address. Returns the host's number.
    ///
    /// # Panics
    ///
    /// If another host has the address.
    pub(super) fn add(&mut self, address: HostAddress) -> u32 {
        let host = self.addresses.len() as u32;
        self.place(host, address);
        self.addresses.push(address);
        host
    }

    /// Makes room for this many more hosts.
    pub(super) fn reserve(&mut self, hosts: usize) {
        self.addresses.reserve_exact(hosts);
    }

    /// Gives a host another address. Its node had this identifier at the old one.
    ///
    /// # Panics
    ///
    /// If another host has the address.
    pub(super) fn renumber(&mut self, host: u32, id: Id, address: HostAddress) {
        self.place(host, address);
        let old = core::mem::replace(&mut self.addresses[host as usize], address);
        self.placed.remove(&old);
        self.former.insert(Contact::new(id, old));
    }

    /// From now on, a host receives what is sent to any address in the prefix of its own. Without a prefix, nothing
    /// changes.
    pub(super) fn own_prefix(&mut self, host: u32) {
        if let Some(prefix) = self.address(host).prefix() {
            self.owners.insert(prefix, host);
        }
    }

    /// The node with this identifier is no longer at a host.
    pub(super) fn remember(&mut self, host: u32, id: Id) {
        self.former.insert(Contact::new(id, self.address(host)));
    }

    /// Whether a node once was at this address.
    pub(super) fn was_there(&self, contact: &Contact<HostAddress>) -> bool {
        self.former.contains(contact)
    }

    /// The address of a host.
    ///
    /// # Panics
    ///
    /// If there is no such host.
    pub(super) fn address(&self, host: u32) -> HostAddress {
        self.addresses[host as usize]
    }

    /// The host at an address.
    pub(super) fn host_at(&self, address: HostAddress) -> Option<u32> {
        let default = address.default_host().filter(|host| self.addresses.get(*host as usize) == Some(&address));
        let placed = default.or_else(|| self.placed.get(&address).copied());
        if placed.is_some() || self.owners.is_empty() {
            return placed;
        }
        address.prefix().and_then(|prefix| self.owners.get(&prefix).copied())
    }

    fn place(&mut self, host: u32, address: HostAddress) {
        assert!(
            self.host_at(address).is_none_or(|other| self.addresses[other as usize] != address),
            "{address} is taken"
        );
        if address.default_host() != Some(host) {
            self.placed.insert(address, host);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_found_at_its_address_and_after_it_moved_at_the_new_one() {
        let mut directory = Directory::default();
        assert_eq!(directory.add(HostAddress::spread(0)), 0);
        assert_eq!(directory.add(HostAddress::private(9)), 1);
        assert_eq!(directory.add(HostAddress::spread(7)), 2);
        let hosts = [HostAddress::spread(0), HostAddress::private(9), HostAddress::spread(7), HostAddress::spread(1)];
        assert_eq!(hosts.map(|address| directory.host_at(address)), [Some(0), Some(1), Some(2), None]);
        let moved = HostAddress::shared(1, 1);
        directory.renumber(2, Id::ZERO, moved);
        assert_eq!((directory.host_at(moved), directory.host_at(HostAddress::spread(7))), (Some(2), None));
        directory.renumber(2, Id::ZERO, HostAddress::spread(2));
        assert_eq!((directory.host_at(HostAddress::spread(2)), directory.host_at(moved)), (Some(2), None));
        assert!(directory.was_there(&Contact::new(Id::ZERO, moved)));
    }
}
