use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::config::format::FormatSecret;
use crate::config::source::SourceKind;
use crate::config::tls::Purpose;

/// Uses a secret from this file until dropped.
fn user(used: &secrets::Secrets, file: &str) -> Arc<FormatSecret> {
    let from = SourceKind::Path { path: PathBuf::from(file), watched_directory: None };
    let source = Some(ConfigSource { from, initial_fetch_timeout: Duration::ZERO });
    let reference = SecretRef { name: "word".into(), source, purpose: Purpose::Generic };
    let user = Arc::new(FormatSecret::new(reference));
    assert_eq!(used.serve(std::slice::from_ref(&user)), Ok(()));
    user
}

/// What is wanted anew; sources of which nothing is wanted are forgotten, as by the control thread.
fn wishes(secrets: &mut Secrets) -> Vec<(usize, usize)> {
    let wishes = secrets.take_wishes();
    for wish in wishes.iter().filter(|wish| wish.names.is_empty()) {
        secrets.forget_source(wish.source);
    }
    wishes.into_iter().map(|wish| (wish.source, wish.names.len())).collect()
}

#[test]
fn a_source_of_which_nothing_is_wanted_is_forgotten_and_its_number_not_given_again() {
    let used = secrets::Secrets::default();
    let mut secrets = Secrets::new(Registry::new(0), used.clone());
    let kept = user(&used, "/kept");
    let mut user_of_other = user(&used, "/0");
    let mut both = wishes(&mut secrets);
    both.sort_unstable();
    assert_eq!(both, [(0, 1), (1, 1)]);
    for round in 1..20 {
        user_of_other = user(&used, &format!("/{round}"));
        let mut changed = wishes(&mut secrets);
        changed.sort_unstable();
        let [(gone, 0), (new, 1)] = changed[..] else { panic!("one goes, one comes: {changed:?}") };
        assert!(new > gone);
        assert_eq!(secrets.sources.iter().count(), 2);
    }
    drop((kept, user_of_other));
    assert_eq!(wishes(&mut secrets).len(), 2);
    assert_eq!((secrets.sources.iter().count(), wishes(&mut secrets)), (0, Vec::new()));
}

#[test]
fn what_comes_late_for_a_source_that_is_forgotten_changes_nothing() {
    let used = secrets::Secrets::default();
    let mut secrets = Secrets::new(Registry::new(0), used.clone());
    let user = user(&used, "/a");
    assert_eq!(wishes(&mut secrets), [(0, 1)]);
    drop(user);
    assert_eq!(wishes(&mut secrets), [(0, 0)]);
    secrets.reread(0, "word", Err("its files are gone".to_owned()));
    assert!(secrets.message(0, "word").is_none() && secrets.resources().next().is_none());
}
