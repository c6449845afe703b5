//! `/certs`: the certificates of TLS contexts, as `envoy.admin.v3.Certificates`.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::{Reply, Request};
use crate::transport::tls::shown::{Shown, ShownCertificate};

/// Seconds of a day.
const DAY: u64 = 24 * 60 * 60;

/// An entry for each context in force.
pub(super) fn certs(request: &Request<'_>) -> Reply {
    let now = SystemTime::now();
    let entry = |context: &Shown| {
        let shown = |certificates: &mut dyn Iterator<Item = &ShownCertificate>| {
            certificates.map(|certificate| details(certificate, now)).collect::<Value>()
        };
        json!({
            "ca_cert": shown(&mut context.trusted.iter()),
            "cert_chain": shown(&mut context.own.iter()),
        })
    };
    let certificates: Value = request.admin.program.certificates().iter().map(entry).collect();
    Reply::json(&json!({ "certificates": certificates }))
}

/// `envoy.admin.v3.CertificateDetails`
fn details(certificate: &ShownCertificate, now: SystemTime) -> Value {
    let ShownCertificate { path, info, answer } = certificate;
    let dns = info.dns_names.iter().map(|name| json!({ "dns": name }));
    let uris = info.uris.iter().map(|uri| json!({ "uri": uri }));
    let addresses = info.ip_addresses.iter().map(|address| json!({ "ip_address": address }));
    let days = info.not_after.duration_since(now).map_or(0, |left| left.as_secs() / DAY);
    let mut details = json!({
        "path": path,
        "serial_number": info.serial,
        "subject_alt_names": dns.chain(uris).chain(addresses).collect::<Value>(),
        "days_until_expiration": days.to_string(),
        "valid_from": time(info.not_before),
        "expiration_time": time(info.not_after),
    });
    if let Some((from, until)) = answer {
        details["ocsp_details"] = json!({ "valid_from": time(*from), "expiration": time(*until) });
    }
    details
}

/// A `google.protobuf.Timestamp` to the second.
fn time(time: SystemTime) -> String {
    // What is beyond the calendar is no date of a certificate.
    jiff::Timestamp::try_from(time).unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
