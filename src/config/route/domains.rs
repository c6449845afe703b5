//! Domains of virtual hosts: each may stand once in a route table.

use std::collections::HashSet;

use super::RouteConfiguration;
use crate::config::field::Scope;

/// Notes domains that stand twice; case does not count.
pub(super) fn check(table: &RouteConfiguration, at: &mut Scope<'_>) {
    let mut seen = HashSet::new();
    let mut default_host = false;
    for (host_index, host) in table.virtual_hosts.iter().enumerate() {
        let mut at = at.index("virtual_hosts", host_index);
        for (index, domain) in host.domains.iter().enumerate() {
            let domain = domain.to_ascii_lowercase();
            let mut at = at.index("domains", index);
            if domain == "*" {
                if std::mem::replace(&mut default_host, true) {
                    at.error(format!("Only a single wildcard domain is permitted in route {}", table.name));
                }
            } else if !seen.insert(domain.clone()) {
                at.error(format!(
                    "Only unique values for domains are permitted. Duplicate entry of domain {domain} in route {}",
                    table.name
                ));
            }
        }
    }
}
