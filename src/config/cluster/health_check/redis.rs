//! `envoy.extensions.health_checkers.redis.v3.Redis`, and of `RedisProtocolOptions` who asks.

use std::collections::HashMap;
use std::fmt;

use envoy_types::pb::envoy::extensions::filters::network::redis_proxy::v3::RedisProtocolOptions;
use envoy_types::pb::envoy::extensions::health_checkers::redis::v3::Redis;
use envoy_types::pb::google::protobuf::Any;

use super::{Checker, HealthCheck};
use crate::config::field::{Scope, open};
use crate::config::{data_source, extension};

/// The key of the options in `typed_extension_protocol_options`.
const KEY: &str = "envoy.filters.network.redis_proxy";

/// Why credentials of AWS are refused.
const NO_AWS: &str = "credentials of AWS are not fetched; auth_password is served";

/// What a Redis server is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedisHealthCheck {
    /// The key that must not exist (`EXISTS`); `PING` is sent where there is none.
    pub key: Option<String>,
    /// Who asks; nobody in particular by default.
    pub credentials: Option<RedisCredentials>,
}

/// Who speaks to a Redis server: the first command of each connection is `auth`.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisCredentials {
    /// A user of its access lists, if not the default one.
    pub username: Option<Vec<u8>>,
    /// The user's password; empty only where there is a user.
    pub password: Vec<u8>,
}

impl fmt::Debug for RedisCredentials {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisCredentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// A command of Redis.
pub(super) fn from_proto(message: Redis, at: &mut Scope<'_>) -> Option<Checker> {
    open! { at, Redis = message;
        implemented { key }
        rejected { aws_iam: NO_AWS }
    }
    let key = Some(key).filter(|key| !key.is_empty());
    Some(Checker::Redis(Box::new(RedisHealthCheck { key, credentials: None })))
}

impl HealthCheck {
    /// The same with what the cluster's options by type say of Redis, which are taken out of them: nothing else of what
    /// is served reads them.
    pub(in crate::config::cluster) fn with_options(
        mut checks: Vec<Self>,
        typed: &mut HashMap<String, Any>,
        at: &mut Scope<'_>,
    ) -> Box<[Self]> {
        let mut of_redis: Vec<_> = checks.iter_mut().filter_map(HealthCheck::of_redis).collect();
        if !of_redis.is_empty()
            && let Some(any) = typed.remove(KEY)
        {
            let mut at = at.key("typed_extension_protocol_options", KEY);
            let credentials = extension::read(any, &mut at).and_then(|options| credentials(options, &mut at));
            of_redis.iter_mut().for_each(|check| check.credentials.clone_from(&credentials));
        }
        checks.into()
    }

    fn of_redis(&mut self) -> Option<&mut RedisHealthCheck> {
        match &mut self.checker {
            Checker::Redis(check) => Some(check),
            _ => None,
        }
    }
}

fn credentials(message: RedisProtocolOptions, at: &mut Scope<'_>) -> Option<RedisCredentials> {
    open! { at, RedisProtocolOptions = message;
        implemented { auth_password, auth_username }
        rejected {
            aws_iam: NO_AWS,
            credentials: "hosts are not told apart by their credentials; auth_password is served",
        }
    }
    let mut read = |name, source| {
        at.message(name, source, |source, at| data_source::read(source, None, at)).unwrap_or_default()
    };
    let username = read("auth_username", auth_username);
    let password = read("auth_password", auth_password);
    let is_anybody = username.is_empty() && password.is_empty();
    let username = Some(username).filter(|name| !name.is_empty());
    (!is_anybody).then_some(RedisCredentials { username, password })
}
