//! Who a request is from where the peer is not taken for it: `original_ip_detection_extensions`.

use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::extensions::http::original_ip_detection::{custom_header, xff};
use envoy_types::pb::envoy::r#type::v3 as type_v3;

use crate::config::extension::{Extension, ExtensionConfig};
use crate::config::field::{Scope, open};
use crate::config::matcher::CidrRange;

/// The status of a refusal when none that is an error is configured.
const DEFAULT_REJECT_STATUS: u16 = 403;

/// A way to find the client.
#[derive(Clone, Debug, PartialEq)]
pub enum OriginalIpDetection {
    /// `envoy.extensions.http.original_ip_detection.xff.v3.XffConfig`: from `x-forwarded-for`.
    ForwardedFor {
        /// Which of its addresses.
        trusted: TrustedProxies,
        /// Do not append the peer; true by default.
        skip_xff_append: bool,
    },
    /// `envoy.extensions.http.original_ip_detection.custom_header.v3.CustomHeaderConfig`: from a header.
    CustomHeader {
        /// The header, in lower case.
        header_name: String,
        /// The address may make the request an internal one.
        allow_trusted_address_checks: bool,
        /// Refuse, with this status, a request whose header is missing or no address.
        reject_with_status: Option<u16>,
    },
}

/// Which addresses of `x-forwarded-for` are proxies that are passed over, from its end.
#[derive(Clone, Debug, PartialEq)]
pub enum TrustedProxies {
    /// So many, whichever they are.
    Hops(u32),
    /// Those of these networks; a peer that is not of them is not believed at all.
    Networks(Vec<CidrRange>),
}

const XFF: Extension = Extension {
    name: "envoy.http.original_ip_detection.xff",
    type_name: "envoy.extensions.http.original_ip_detection.xff.v3.XffConfig",
    terminal: false,
    parse: |bytes, at| {
        let message = at.decode(bytes)?;
        Some(Arc::new(OriginalIpDetection::forwarded_for(message, at)?))
    },
    per_route: None,
};

const CUSTOM_HEADER: Extension = Extension {
    name: "envoy.http.original_ip_detection.custom_header",
    type_name: "envoy.extensions.http.original_ip_detection.custom_header.v3.CustomHeaderConfig",
    terminal: false,
    parse: |bytes, at| {
        let message = at.decode(bytes)?;
        Some(Arc::new(OriginalIpDetection::custom_header(message, at)?))
    },
    per_route: None,
};

impl OriginalIpDetection {
    /// The extensions configured, or else the one that `xff_num_trusted_hops` stands for.
    pub(super) fn list(
        messages: Vec<core::TypedExtensionConfig>,
        xff_num_trusted_hops: u32,
        at: &mut Scope<'_>,
    ) -> Vec<Self> {
        if messages.is_empty() {
            let trusted = TrustedProxies::Hops(xff_num_trusted_hops);
            return vec![OriginalIpDetection::ForwardedFor { trusted, skip_xff_append: true }];
        }
        at.list("original_ip_detection_extensions", messages, |message, at| {
            ExtensionConfig::from_typed(message, &[XFF, CUSTOM_HEADER], at)?.downcast().cloned()
        })
    }

    fn forwarded_for(message: xff::v3::XffConfig, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, xff::v3::XffConfig = message;
            implemented { xff_num_trusted_hops, xff_trusted_cidrs, skip_xff_append }
        }
        if xff_num_trusted_hops > 0 && xff_trusted_cidrs.is_some() {
            at.error("Cannot set both xff_num_trusted_hops and xff_trusted_cidrs");
        }
        let networks = at.message("xff_trusted_cidrs", xff_trusted_cidrs, |message, at| {
            open! { at, xff::v3::XffTrustedCidrs = message; implemented { cidrs } }
            Some(at.list("cidrs", cidrs, CidrRange::from_proto))
        });
        let trusted = networks.map_or(TrustedProxies::Hops(xff_num_trusted_hops), TrustedProxies::Networks);
        let skip_xff_append = skip_xff_append.is_none_or(|value| value.value);
        Some(OriginalIpDetection::ForwardedFor { trusted, skip_xff_append })
    }

    fn custom_header(message: custom_header::v3::CustomHeaderConfig, at: &mut Scope<'_>) -> Option<Self> {
        use custom_header::v3::CustomHeaderConfig;
        open! { at, CustomHeaderConfig = message;
            implemented { header_name, allow_extension_to_set_address_as_trusted, reject_with_status }
        }
        let header_name = at.required_string("header_name", header_name).to_ascii_lowercase();
        let reject_with_status = at.message("reject_with_status", reject_with_status, |message, at| {
            open! { at, type_v3::HttpStatus = message; implemented { code } }
            Some(u16::try_from(code).ok().filter(|code| *code >= 400).unwrap_or(DEFAULT_REJECT_STATUS))
        });
        Some(OriginalIpDetection::CustomHeader {
            header_name,
            allow_trusted_address_checks: allow_extension_to_set_address_as_trusted,
            reject_with_status,
        })
    }
}

/// Extensions take the place of the fields that say the same.
pub(super) fn check_alone(
    extensions: &[core::TypedExtensionConfig],
    use_remote_address: bool,
    xff_num_trusted_hops: u32,
    at: &mut Scope<'_>,
) {
    if extensions.is_empty() {
        return;
    }
    if use_remote_address {
        at.error("Original IP detection extensions and use_remote_address may not be mixed");
    }
    if xff_num_trusted_hops > 0 {
        at.error("Original IP detection extensions and xff_num_trusted_hops may not be mixed");
    }
}
