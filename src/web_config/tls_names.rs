//! The names that Go, and so the toolkit, has for versions, cipher suites and curves of TLS, and what they are here.

use rustls::{
    NamedGroup, ProtocolVersion, SupportedCipherSuite, SupportedProtocolVersion,
    crypto::SupportedKxGroup,
    version::{TLS12, TLS13},
};

use super::file::FileReader;

const VERSIONS: &[&str] = &["TLS10", "TLS11", "TLS12", "TLS13"];
const CURVES: &[(&str, NamedGroup)] = &[
    ("CurveP256", NamedGroup::secp256r1),
    ("CurveP384", NamedGroup::secp384r1),
    ("CurveP521", NamedGroup::secp521r1),
    ("X25519", NamedGroup::X25519),
];
/// What Go knows besides what there is here: suites without forward secrecy or of CBC.
const OLD_SUITES: &[&str] = &[
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
];

/// The versions between `least` and `most`, as far as there are any here.
pub(super) fn versions(
    least: Option<&str>,
    most: Option<&str>,
    reader: &mut FileReader<'_>,
) -> Vec<&'static SupportedProtocolVersion> {
    let mut number = |setting: &str, name: &str| {
        let number = VERSIONS.iter().position(|known| *known == name);
        if number.is_none() {
            reader.mistake(setting, &format!("\"{name}\" is not a known version; write TLS12 or TLS13"));
        }
        number
    };
    let least = number("tls_server_config.min_version", least.unwrap_or("TLS12"));
    let most = number("tls_server_config.max_version", most.unwrap_or("TLS13"));
    let (Some(least), Some(most)) = (least, most) else { return vec![] };
    if least < 2 {
        reader.warning("tls_server_config.min_version", "TLS 1.2 is the oldest supported version");
    }
    let spoken: Vec<_> = [&TLS12, &TLS13].into_iter().zip(2..).collect();
    let spoken: Vec<_> =
        spoken.into_iter().filter(|(_, number)| (least..=most).contains(number)).map(|(version, _)| version).collect();
    if spoken.is_empty() {
        let cause = "leaves no supported version; write TLS13, or leave it out";
        reader.mistake("tls_server_config.max_version", cause);
    }
    spoken
}

/// Those of `known` that `names` has; the suites of TLS 1.3 stay, as they are not chosen in Go either.
pub(super) fn cipher_suites(
    known: &[SupportedCipherSuite],
    names: &[String],
    reader: &mut FileReader<'_>,
) -> Vec<SupportedCipherSuite> {
    const SETTING: &str = "tls_server_config.cipher_suites";
    let go_name =
        |suite: &SupportedCipherSuite| suite.suite().as_str().unwrap_or_default().replacen("TLS13_", "TLS_", 1);
    let is_of_1_3 = |suite: &&SupportedCipherSuite| suite.version().version == ProtocolVersion::TLSv1_3;
    let mut chosen: Vec<_> = known.iter().filter(is_of_1_3).copied().collect();
    for name in names {
        match known.iter().find(|suite| go_name(suite) == *name) {
            Some(suite) if chosen.contains(suite) => {}
            Some(suite) => chosen.push(*suite),
            None if OLD_SUITES.contains(&name.as_str()) => {
                reader.warning(SETTING, &format!("{name} is not supported, because it is too weak"));
            }
            None => {
                let all: Vec<_> = known.iter().filter(|suite| !is_of_1_3(suite)).map(go_name).collect();
                reader.mistake(
                    SETTING,
                    &format!("\"{name}\" is not a known cipher suite; choose from {}", all.join(", ")),
                );
            }
        }
    }
    chosen
}

/// Those of `known` that `names` has, in that order.
pub(super) fn curves(
    known: &[&'static dyn SupportedKxGroup],
    names: &[String],
    reader: &mut FileReader<'_>,
) -> Vec<&'static dyn SupportedKxGroup> {
    const SETTING: &str = "tls_server_config.curve_preferences";
    let mut chosen = Vec::new();
    for name in names {
        let Some((_, curve)) = CURVES.iter().find(|(known, _)| known == name) else {
            let all: Vec<_> = CURVES.iter().map(|(name, _)| *name).collect();
            reader.mistake(SETTING, &format!("\"{name}\" is not a known curve; choose from {}", all.join(", ")));
            continue;
        };
        match known.iter().find(|group| group.name() == *curve) {
            Some(group) => chosen.push(*group),
            None => reader.warning(SETTING, &format!("{name} is not supported")),
        }
    }
    if chosen.is_empty() {
        reader.mistake(SETTING, "leaves no supported curve; add X25519 or CurveP256");
    }
    chosen
}
