//! Enums.

/// An enum type.
#[derive(Debug)]
pub struct Enum {
    pub(super) full_name: &'static str,
    pub(super) values: Vec<EnumValue>,
}

/// One value of an enum.
#[derive(Debug)]
pub struct EnumValue {
    /// The name as declared, such as `ROUND_ROBIN`.
    pub name: &'static str,
    /// The number on the wire.
    pub number: i32,
    /// Whether the API marks the value as deprecated.
    pub deprecated: bool,
}

impl Enum {
    /// The full name, such as `envoy.config.cluster.v3.Cluster.LbPolicy`.
    pub fn full_name(&self) -> &'static str {
        self.full_name
    }

    /// All values in the order of their declaration.
    pub fn values(&self) -> &[EnumValue] {
        &self.values
    }

    /// The first value with this number.
    pub fn value(&self, number: i32) -> Option<&EnumValue> {
        self.values.iter().find(|value| value.number == number)
    }

    /// The value with this name, in any case as Envoy takes it.
    pub fn value_named(&self, name: &str) -> Option<&EnumValue> {
        let exact = self.values.iter().find(|value| value.name == name);
        exact.or_else(|| self.values.iter().find(|value| value.name.eq_ignore_ascii_case(name)))
    }
}
