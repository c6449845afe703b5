//! From which severity on each component logs; changeable while the process runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tracing::Metadata;
use tracing::level_filters::LevelFilter;

use super::component::{COMPONENTS, by_name, by_target};
use super::level::Level;

/// The name of a field that marks an error as critical: `error!(critical = true, …)`.
pub(super) const CRITICAL: &str = "critical";

/// The thresholds of all components: what `-l`, `--component-log-level` and `/logging` set.
///
/// A clone is another handle to the same thresholds.
#[derive(Clone)]
pub struct Levels {
    thresholds: Arc<[AtomicU8; COMPONENTS.len()]>,
}

/// A component name that Envoy does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid component specified '{0}'")]
pub struct UnknownComponent(pub String);

impl Levels {
    /// Every component at `level`.
    pub fn new(level: Level) -> Self {
        Self { thresholds: Arc::new(std::array::from_fn(|_| AtomicU8::new(level as u8))) }
    }

    /// Each component with its threshold, in Envoy's order.
    pub fn levels(&self) -> Vec<(&'static str, Level)> {
        COMPONENTS.into_iter().enumerate().map(|(index, name)| (name, self.threshold(index))).collect()
    }

    /// Sets the threshold of one component.
    ///
    /// # Errors
    ///
    /// When no component is called `name`; nothing changes then.
    pub fn set(&self, name: &str, level: Level) -> Result<(), UnknownComponent> {
        let index = by_name(name).ok_or_else(|| UnknownComponent(name.to_owned()))?;
        self.thresholds[index].store(level as u8, Ordering::Relaxed);
        tracing::callsite::rebuild_interest_cache();
        Ok(())
    }

    /// Sets the threshold of every component.
    pub fn set_all(&self, level: Level) {
        for threshold in self.thresholds.iter() {
            threshold.store(level as u8, Ordering::Relaxed);
        }
        tracing::callsite::rebuild_interest_cache();
    }

    /// Whether a line from the place that `metadata` describes is to be written.
    pub(super) fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        severity(metadata) >= self.threshold(by_target(metadata.target()))
    }

    /// The most talkative threshold, so that the macros skip what nobody wants for the price of one load.
    pub(super) fn max_level_hint(&self) -> LevelFilter {
        let lowest = self.thresholds.iter().map(|threshold| threshold.load(Ordering::Relaxed)).min();
        lowest.map_or(LevelFilter::OFF, |level| Level::from_u8(level).filter())
    }

    fn threshold(&self, index: usize) -> Level {
        Level::from_u8(self.thresholds[index].load(Ordering::Relaxed))
    }
}

/// How severe the lines of a call site are.
pub(super) fn severity(metadata: &Metadata<'_>) -> Level {
    match Level::from(*metadata.level()) {
        Level::Error if metadata.fields().field(CRITICAL).is_some() => Level::Critical,
        level => level,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_has_its_own_level() {
        let levels = Levels::new(Level::Info);
        levels.set("upstream", Level::Debug).unwrap();
        let expected = |name| if name == "upstream" { Level::Debug } else { Level::Info };
        assert!(levels.levels().into_iter().all(|(name, level)| level == expected(name)));
        assert_eq!(levels.max_level_hint(), LevelFilter::DEBUG);
    }

    #[test]
    fn setting_all_overrules_the_components() {
        let levels = Levels::new(Level::Info);
        levels.set("upstream", Level::Trace).unwrap();
        levels.set_all(Level::Off);
        assert!(levels.levels().into_iter().all(|(_, level)| level == Level::Off));
        assert_eq!(levels.max_level_hint(), LevelFilter::OFF);
    }

    #[test]
    fn an_unknown_component_is_refused() {
        let levels = Levels::new(Level::Info);
        let error = levels.set("upstraem", Level::Debug).unwrap_err();
        assert_eq!(error.to_string(), "invalid component specified 'upstraem'");
    }
}
