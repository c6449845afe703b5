//! Families of addresses that this machine has a way to: `filter_unroutable_families` of c-ares.

use std::net::{IpAddr, SocketAddr};

use nix::ifaddrs::getifaddrs;
use nix::sys::socket::SockaddrStorage;

use crate::config::cluster::DnsFamily;

/// Whether there is a way to each family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Routes {
    v4: bool,
    v6: bool,
}

impl Routes {
    /// To both.
    pub(super) const ALL: Routes = Routes { v4: true, v6: true };

    /// To the families of which an interface has an address that is none of the loopback's, as Envoy tells it. To both
    /// where that cannot be known.
    pub(super) fn of_system() -> Self {
        let Ok(interfaces) = getifaddrs() else { return Routes::ALL };
        Self::of(interfaces.filter_map(|interface| ip(&interface.address?)))
    }

    fn of(addresses: impl Iterator<Item = IpAddr>) -> Self {
        let none = Routes { v4: false, v6: false };
        addresses.filter(|address| !address.is_loopback()).fold(none, |routes, address| Routes {
            v4: routes.v4 || address.is_ipv4(),
            v6: routes.v6 || address.is_ipv6(),
        })
    }

    /// Whether there is a way to the family of this address.
    pub(super) fn lead_to(self, address: IpAddr) -> bool {
        if address.is_ipv4() { self.v4 } else { self.v6 }
    }

    /// The families to ask for: of two of which one leads nowhere the other alone, as if the one had no addresses.
    pub(super) fn narrow(self, family: DnsFamily) -> DnsFamily {
        match (family, self.v4, self.v6) {
            (DnsFamily::Auto | DnsFamily::V4Preferred | DnsFamily::All, true, false) => DnsFamily::V4Only,
            (DnsFamily::Auto | DnsFamily::V4Preferred | DnsFamily::All, false, true) => DnsFamily::V6Only,
            (family, ..) => family,
        }
    }
}

fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|address| SocketAddr::V6((*address).into()).ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(addresses: &[&str]) -> Routes {
        Routes::of(addresses.iter().map(|address| address.parse().expect("an address")))
    }

    #[test]
    fn a_family_counts_of_which_an_interface_has_an_address_beyond_the_loopback() {
        assert_eq!(routes(&["127.0.0.1", "::1"]), Routes { v4: false, v6: false });
        assert_eq!(routes(&["127.0.0.1", "192.0.2.1", "::1"]), Routes { v4: true, v6: false });
        assert_eq!(routes(&["2001:db8::1"]), Routes { v4: false, v6: true });
        assert_eq!(routes(&["192.0.2.1", "2001:db8::1"]), Routes::ALL);
    }

    #[test]
    fn a_family_that_leads_nowhere_gives_way_to_the_other() {
        let (v4, v6) = (routes(&["192.0.2.1"]), routes(&["2001:db8::1"]));
        for family in [DnsFamily::Auto, DnsFamily::V4Preferred, DnsFamily::All] {
            assert_eq!([v4.narrow(family), v6.narrow(family)], [DnsFamily::V4Only, DnsFamily::V6Only]);
            assert_eq!(Routes::ALL.narrow(family), family);
        }
        assert_eq!(v4.narrow(DnsFamily::V6Only), DnsFamily::V6Only);
        assert!(!v4.lead_to("2001:db8::1".parse().expect("an address")));
    }
}
