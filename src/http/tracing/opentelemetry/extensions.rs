//! The samplers and resource detectors that are configured:
//! `envoy.extensions.tracers.opentelemetry.{samplers,resource_detectors}.v3`.

use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::extensions::tracers::opentelemetry::resource_detectors::v3 as detectors;
use envoy_types::pb::envoy::extensions::tracers::opentelemetry::samplers::v3 as samplers;

use crate::config::cel::Expression;
use crate::config::extension::{Extension, ExtensionConfig, contained_type};
use crate::config::field::{Scope, open};
use crate::config::runtime::Fraction;

use super::resource::Detector;
use super::sampler::Sampler;

/// An extension of this kind, whose message `$read` makes a value of.
macro_rules! extension {
    ($name:literal, $type_name:literal, $read:expr) => {
        Extension {
            name: $name,
            type_name: $type_name,
            terminal: false,
            parse: |bytes, at| {
                let message = at.decode(bytes)?;
                Some(Arc::new($read(message, at)?))
            },
            per_route: None,
        }
    };
}

/// A sampler that is known and refused.
const DYNATRACE_SAMPLER: &str = "envoy.extensions.tracers.opentelemetry.samplers.v3.DynatraceSamplerConfig";

/// A resource detector likewise.
const DYNATRACE_DETECTOR: &str =
    "envoy.extensions.tracers.opentelemetry.resource_detectors.v3.DynatraceResourceDetectorConfig";

/// The samplers of this build.
const SAMPLERS: &[Extension] = &[
    extension!(
        "envoy.tracers.opentelemetry.samplers.always_on",
        "envoy.extensions.tracers.opentelemetry.samplers.v3.AlwaysOnSamplerConfig",
        always_on
    ),
    extension!(
        "envoy.tracers.opentelemetry.samplers.cel",
        "envoy.extensions.tracers.opentelemetry.samplers.v3.CELSamplerConfig",
        cel
    ),
    extension!(
        "envoy.tracers.opentelemetry.samplers.parent_based",
        "envoy.extensions.tracers.opentelemetry.samplers.v3.ParentBasedSamplerConfig",
        parent_based
    ),
    extension!(
        "envoy.tracers.opentelemetry.samplers.trace_id_ratio_based",
        "envoy.extensions.tracers.opentelemetry.samplers.v3.TraceIdRatioBasedSamplerConfig",
        ratio_based
    ),
];

/// The resource detectors of this build.
const DETECTORS: &[Extension] = &[
    extension!(
        "envoy.tracers.opentelemetry.resource_detectors.environment",
        "envoy.extensions.tracers.opentelemetry.resource_detectors.v3.EnvironmentResourceDetectorConfig",
        environment
    ),
    extension!(
        "envoy.tracers.opentelemetry.resource_detectors.static_config",
        "envoy.extensions.tracers.opentelemetry.resource_detectors.v3.StaticConfigResourceDetectorConfig",
        static_config
    ),
];

/// A sampler.
pub(super) fn sampler(message: core::TypedExtensionConfig, at: &mut Scope<'_>) -> Option<Sampler> {
    if is(&message, DYNATRACE_SAMPLER) {
        at.reject("typed_config", "how much is sampled would be asked of Dynatrace, which nobody here does");
        return None;
    }
    ExtensionConfig::from_typed(message, SAMPLERS, at)?.downcast().cloned()
}

/// A resource detector.
pub(super) fn detector(message: core::TypedExtensionConfig, at: &mut Scope<'_>) -> Option<Detector> {
    if is(&message, DYNATRACE_DETECTOR) {
        at.reject("typed_config", "nobody here reads the files that Dynatrace's agent writes");
        return None;
    }
    ExtensionConfig::from_typed(message, DETECTORS, at)?.downcast().cloned()
}

fn is(message: &core::TypedExtensionConfig, type_name: &str) -> bool {
    message.typed_config.as_ref().is_some_and(|any| contained_type(any) == type_name)
}

fn always_on(message: samplers::AlwaysOnSamplerConfig, at: &mut Scope<'_>) -> Option<Sampler> {
    open! { at, samplers::AlwaysOnSamplerConfig = message; implemented {} }
    Some(Sampler::AlwaysOn)
}

fn cel(message: samplers::CelSamplerConfig, at: &mut Scope<'_>) -> Option<Sampler> {
    open! { at, samplers::CelSamplerConfig = message; implemented { expression } }
    // What is not there is an expression without a tree, as in Envoy.
    let expression = Some(expression.unwrap_or_default());
    at.message("expression", expression, Expression::from_proto).map(Sampler::Cel)
}

fn parent_based(message: samplers::ParentBasedSamplerConfig, at: &mut Scope<'_>) -> Option<Sampler> {
    open! { at, samplers::ParentBasedSamplerConfig = message; implemented { wrapped_sampler } }
    let wrapped = at.required("wrapped_sampler", wrapped_sampler);
    at.message("wrapped_sampler", wrapped, sampler).map(|wrapped| Sampler::ParentBased(Box::new(wrapped)))
}

/// Without a share it samples nothing, as in Envoy.
fn ratio_based(message: samplers::TraceIdRatioBasedSamplerConfig, at: &mut Scope<'_>) -> Option<Sampler> {
    open! { at, samplers::TraceIdRatioBasedSamplerConfig = message; implemented { sampling_percentage } }
    let share = at.message("sampling_percentage", sampling_percentage, Fraction::from_proto);
    Some(Sampler::TraceIdRatioBased(share.unwrap_or(Fraction::percent(0))))
}

fn environment(
    message: detectors::EnvironmentResourceDetectorConfig,
    at: &mut Scope<'_>,
) -> Option<Detector> {
    open! { at, detectors::EnvironmentResourceDetectorConfig = message; implemented {} }
    Some(Detector::Environment)
}

fn static_config(
    message: detectors::StaticConfigResourceDetectorConfig,
    at: &mut Scope<'_>,
) -> Option<Detector> {
    open! { at, detectors::StaticConfigResourceDetectorConfig = message; implemented { attributes } }
    Some(Detector::Static(attributes.into_iter().collect()))
}

#[cfg(test)]
mod tests {
    use envoy_types::pb::google::protobuf as pb;
    use prost::{Message, Name};

    use super::*;
    use crate::config::extension::Extensions;
    use crate::config::field::{Error, Findings};

    /// Reads an extension of this message.
    fn read<M: Message + Name, T>(
        message: &M,
        convert: fn(core::TypedExtensionConfig, &mut Scope<'_>) -> Option<T>,
    ) -> Result<T, Vec<Error>> {
        let mut findings = Findings::new(&Extensions::default());
        let value = convert(extension(message), &mut findings.scope());
        findings.finish(value).map(|(value, _)| value)
    }

    fn extension<M: Message + Name>(message: &M) -> core::TypedExtensionConfig {
        let any = pb::Any { type_url: M::type_url(), value: message.encode_to_vec() };
        core::TypedExtensionConfig { name: "one".to_owned(), typed_config: Some(any) }
    }

    fn reason<T>(result: Result<T, Vec<Error>>) -> String {
        let errors = result.err().expect("it is refused");
        format!("{} {:?}", errors[0], errors[0].parts())
    }

    #[test]
    fn samplers_stand_within_each_other() {
        let wrapped = extension(&samplers::TraceIdRatioBasedSamplerConfig::default());
        let outer = samplers::ParentBasedSamplerConfig { wrapped_sampler: Some(wrapped) };
        let nothing = Sampler::TraceIdRatioBased(Fraction::percent(0));
        let expected = Sampler::ParentBased(Box::new(nothing));
        assert_eq!(read(&outer, sampler).expect("it is right"), expected);
    }

    #[test]
    fn a_sampler_that_is_not_known_is_refused_with_those_that_are() {
        let text = reason(read(&detectors::EnvironmentResourceDetectorConfig {}, sampler));
        assert!(text.contains("AlwaysOnSamplerConfig") && text.contains("ParentBasedSamplerConfig"), "{text}");
    }

    #[test]
    fn those_of_dynatrace_are_refused_with_the_reason() {
        let text = reason(read(&samplers::DynatraceSamplerConfig::default(), sampler));
        assert!(text.contains("asked of Dynatrace"), "{text}");
        let text = reason(read(&detectors::DynatraceResourceDetectorConfig {}, detector));
        assert!(text.contains("Dynatrace's agent"), "{text}");
    }

    #[test]
    fn a_detector_has_the_attributes_that_it_is_told() {
        let attributes = [("a".to_owned(), "1".to_owned())];
        let told = detectors::StaticConfigResourceDetectorConfig { attributes: attributes.clone().into() };
        assert_eq!(read(&told, detector).expect("it is right"), Detector::Static(attributes.into()));
    }
}
