//! The two portals, the application that is registered with each, and the scopes that it can be granted.

use crate::noise::Noise;

/// What the new portal puts before the name of a scope.
const PREFIX: &str = "extapi:";

/// Every scope that an application can have, without a prefix.
const SCOPES: [&str; 11] = [
    "email",
    "personal",
    "daily",
    "heartrate",
    "workout",
    "tag",
    "session",
    "spo2",
    "ring_configuration",
    "stress",
    "heart_health",
];

/// Where an application is registered; the portals do not know of each other's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Portal {
    /// The one at cloud.ouraring.com.
    Legacy,
    /// The one at developer.ouraring.com.
    New,
}

/// An application that may ask wearers for their data.
#[derive(Clone)]
pub struct Application {
    /// Where it is registered.
    pub portal: Portal,
    /// Its public name.
    pub client_id: String,
    /// What it proves itself with at the token URL.
    pub client_secret: String,
    /// What it can be granted, in the portal's names.
    pub scopes: Vec<String>,
}

impl Portal {
    /// What the portal calls this scope.
    pub(super) fn scope(self, bare: &str) -> String {
        if self == Self::Legacy { bare.to_owned() } else { format!("{PREFIX}{bare}") }
    }

    /// The scope without the portal's prefix; nothing if it should have one and has none.
    pub(super) fn bare(self, scope: &str) -> Option<&str> {
        if self == Self::Legacy { Some(scope) } else { scope.strip_prefix(PREFIX) }
    }

    /// The portal's name in a form.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::New => "new",
        }
    }

    /// The portal with this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::Legacy, Self::New].into_iter().find(|portal| portal.name() == name)
    }
}

impl Application {
    /// What of `asked` it can be granted, in its own order; all if nothing is asked for. Other names pass in silence.
    pub(super) fn grantable(&self, asked: Option<&str>) -> Vec<String> {
        let is_asked = |scope: &String| asked.is_none_or(|asked| asked.split_whitespace().any(|one| one == scope));
        self.scopes.iter().filter(|scope| is_asked(scope)).cloned().collect()
    }
}

/// The application of the legacy portal and that of the new one.
pub(super) fn both(noise: Noise) -> [Application; 2] {
    let bits = |name: &str| (noise.of(name).bits(), noise.of(name).of("more").bits());
    let scopes = |portal: Portal| SCOPES.iter().map(|scope| portal.scope(scope)).collect();
    let (high, low) = bits("legacy id");
    let (secret, more) = bits("legacy secret");
    let legacy = Application {
        portal: Portal::Legacy,
        client_id: format!("{high:016X}{low:016X}"),
        client_secret: format!("{secret:016X}{more:016X}"),
        scopes: scopes(Portal::Legacy),
    };
    let (high, low) = bits("new id");
    let (secret, more) = bits("new secret");
    let new = Application {
        portal: Portal::New,
        client_id: format!("{:08x}-{:04x}-{low:016x}", high >> 32, high & 0xffff),
        client_secret: format!("{secret:016x}_{more:016x}"),
        scopes: scopes(Portal::New),
    };
    [legacy, new]
}
