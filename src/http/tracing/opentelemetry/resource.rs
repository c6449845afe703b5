//! Who tells of spans: the attributes of the resource, by its detectors
//! (`envoy.extensions.tracers.opentelemetry.resource_detectors.v3`).

use std::collections::BTreeMap;

/// The name of a service that has none.
const UNKNOWN_SERVICE: &str = "unknown_service:envoy";

/// The variable that `EnvironmentResourceDetectorConfig` reads: pairs `key=value` with commas between them.
pub(super) const ENVIRONMENT_VARIABLE: &str = "OTEL_RESOURCE_ATTRIBUTES";

/// What is known of who tells, in the order of the names. Envoy's order is none: its hash table's, anew in each process.
pub(super) type Attributes = BTreeMap<String, String>;

/// What finds out about the resource; what a later one finds takes the place of what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Detector {
    /// `EnvironmentResourceDetectorConfig`
    Environment,
    /// `StaticConfigResourceDetectorConfig.attributes`; those that are empty are left out.
    Static(Attributes),
}

/// What the configuration says of the resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    /// `OpenTelemetryConfig.service_name`; `unknown_service:envoy` when empty.
    pub(super) service_name: String,
    /// `set_service_name_resource_attribute`; true when absent.
    pub(super) set_service_name: bool,
    /// `set_telemetry_sdk_resource_attributes`; true when absent.
    pub(super) set_telemetry_sdk: bool,
    /// `resource_detectors`, in their order.
    pub(super) detectors: Vec<Detector>,
}

impl Settings {
    /// The resource; `version` is that of this program, `environment` what the variable says where it is set.
    pub(super) fn detect(&self, version: &str, environment: Option<&str>) -> Attributes {
        let mut resource = Attributes::new();
        if self.set_service_name {
            let name = if self.service_name.is_empty() { UNKNOWN_SERVICE } else { &self.service_name };
            resource.insert("service.name".to_owned(), name.to_owned());
        }
        if self.set_telemetry_sdk {
            let sdk = [("language", "cpp"), ("name", "envoy"), ("version", version)];
            resource.extend(sdk.map(|(key, value)| (format!("telemetry.sdk.{key}"), value.to_owned())));
        }
        for detector in &self.detectors {
            match detector {
                Detector::Environment => resource.extend(environment.into_iter().flat_map(pairs)),
                Detector::Static(attributes) => {
                    let told = attributes.iter().filter(|(_, value)| !value.is_empty());
                    resource.extend(told.map(|(key, value)| (key.clone(), value.clone())));
                }
            }
        }
        resource
    }
}

/// The pairs of a text; what is none, or has more than two parts, is left out. White space stays.
fn pairs(text: &str) -> impl Iterator<Item = (String, String)> + '_ {
    text.split(',').filter_map(|pair| {
        let mut parts = pair.split('=').filter(|part| !part.is_empty());
        let (key, value) = (parts.next()?, parts.next()?);
        parts.next().is_none().then(|| (key.to_owned(), value.to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(detectors: Vec<Detector>) -> Settings {
        let set = true;
        Settings { service_name: "svc".to_owned(), set_service_name: set, set_telemetry_sdk: set, detectors }
    }

    fn attributes(pairs: &[(&str, &str)]) -> Attributes {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_resource_has_the_name_of_the_service_and_of_what_tells_of_it() {
        let expected = [
            ("service.name", "svc"),
            ("telemetry.sdk.language", "cpp"),
            ("telemetry.sdk.name", "envoy"),
            ("telemetry.sdk.version", "1"),
        ];
        assert_eq!(settings(Vec::new()).detect("1", None), attributes(&expected));
        let unknown = Settings { service_name: String::new(), ..settings(Vec::new()) };
        assert_eq!(unknown.detect("1", None)["service.name"], "unknown_service:envoy");
    }

    #[test]
    fn either_can_be_left_out() {
        let neither = Settings { set_service_name: false, set_telemetry_sdk: false, ..settings(Vec::new()) };
        assert_eq!(neither.detect("1", None), Attributes::new());
    }

    #[test]
    fn a_later_detector_has_the_last_word() {
        let told = Detector::Static(attributes(&[("a", "1"), ("service.name", "told"), ("empty", "")]));
        let environment = Some("a=2,b=3");
        let last = settings(vec![Detector::Environment, told.clone()]).detect("1", environment);
        assert_eq!((&*last["a"], &*last["b"], &*last["service.name"]), ("1", "3", "told"));
        assert!(!last.contains_key("empty"));
        let first = settings(vec![told, Detector::Environment]).detect("1", environment);
        assert_eq!(first["a"], "2");
    }

    #[test]
    fn what_is_no_pair_in_the_environment_is_left_out() {
        let found: Vec<_> = pairs("a=env,b=2,=3,c,d=,e=f=g, sp = v ,a=again,,").collect();
        let expected = [("a", "env"), ("b", "2"), (" sp ", " v "), ("a", "again")];
        assert_eq!(found, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }
}
